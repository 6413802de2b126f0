//! What a provider says of itself: how long it is believed, and when it cannot be used.

use serde_json::json;

use super::{
    liar::{CLIENT, ISSUER},
    *,
};

const CONFIGURATION: &str = "/.well-known/openid-configuration";

async fn not_begun(liar: &Liar) -> SingleSignOnError {
    match liar.begin().await {
        Ok((url, ..)) => panic!("a sign-in was begun: {url}"),
        Err(error) => error,
    }
}

fn is_discovery(error: &SingleSignOnError, words: &str) -> bool {
    matches!(error, SingleSignOnError::Discovery(said) if said.contains(words))
}

#[tokio::test]
async fn a_sign_in_begins_with_all_that_protects_it() {
    let liar = Liar::start().await;
    let (url, pending, _) = liar.begin().await.unwrap();
    assert!(url.as_str().starts_with(&format!("{ISSUER}/authorize?")));
    let sent = |name: &str| parameter(&url, name).unwrap();
    assert_eq!(sent("response_type"), "code");
    assert_eq!(sent("client_id"), CLIENT);
    assert_eq!(sent("redirect_uri"), redirect().as_str());
    assert_eq!(sent("scope"), "openid email profile");
    assert_eq!(sent("code_challenge_method"), "S256");
    let kept = serde_json::to_value(&pending).unwrap();
    assert_eq!((kept["state"].as_str(), kept["nonce"].as_str()), (Some(&*sent("state")), Some(&*sent("nonce"))));
    assert!(!url.as_str().contains(kept["pkce_verifier"].as_str().unwrap()));
    let (again, ..) = liar.begin().await.unwrap();
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(parameter(&url, name), parameter(&again, name), "{name}");
    }
}

#[tokio::test]
async fn it_is_believed_for_some_minutes_and_asked_for_once() {
    let liar = Liar::start().await;
    let many = futures_util::future::join_all((0..8).map(|_| liar.begin())).await;
    assert!(many.iter().all(Result::is_ok));
    assert_eq!(liar.asked(CONFIGURATION), 1);
    liar.clock.advance(Duration::from_secs(9 * 60));
    assert!(liar.begin().await.is_ok());
    assert_eq!(liar.asked(CONFIGURATION), 1);
    liar.clock.advance(Duration::from_secs(2 * 60));
    assert!(liar.begin().await.is_ok());
    assert_eq!(liar.asked(CONFIGURATION), 2);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let liar = Liar::start().await;
    liar.change(|says| says.discovery_reply = Some(Reply::json(503, json!({}))));
    assert!(matches!(not_begun(&liar).await, SingleSignOnError::Unreachable(words) if words.contains("503")));
    liar.change(|says| says.discovery_reply = None);
    assert!(liar.begin().await.is_ok());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_trusted_is_refused() {
    let liar = Liar::start().await;
    let right = liar.says.lock().unwrap().document.clone();
    for (name, value, words) in [
        ("issuer", json!("https://evil.example.test"), "evil.example.test"),
        ("issuer", json!(format!("{ISSUER}/realm")), "/realm"),
        ("issuer", json!("<script>"), "something else"),
        ("issuer", json!(7), "isn't an OpenID Connect configuration"),
        ("token_endpoint", json!("http://id.example.test/token"), "token_endpoint isn't an https address"),
        ("token_endpoint", json!("https://a:b@id.example.test/token"), "token_endpoint has a username"),
        ("token_endpoint", json!(null), "token_endpoint is missing"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "authorization_endpoint isn't an https address"),
        ("authorization_endpoint", json!("/authorize"), "authorization_endpoint isn't a valid address"),
        ("userinfo_endpoint", json!("http://id.example.test/userinfo"), "userinfo_endpoint isn't an https address"),
        ("jwks_uri", json!("file:///etc/passwd"), "jwks_uri isn't an https address"),
        ("jwks_uri", json!(null), "jwks_uri is missing"),
        ("jwks_uri", json!(format!("{ISSUER}/nothing")), "404"),
        ("jwks_uri", json!(format!("{ISSUER}/token")), "isn't a set of keys"),
    ] {
        liar.change(|says| {
            says.document = right.clone();
            says.document[name] = value.clone();
        });
        let error = not_begun(&liar).await;
        assert!(is_discovery(&error, words), "{name} {value}: {error}");
    }
    // Where Keytile does not need it, it may be missing.
    liar.change(|says| {
        says.document = right;
        says.document["userinfo_endpoint"] = json!("");
    });
    assert!(liar.sign_in().await.is_ok());
}

#[tokio::test]
async fn what_is_no_configuration_is_refused() {
    let liar = Liar::start_within(short()).await;
    let header = |name, value: &str| vec![(name, value.to_owned())];
    for (reply, words) in [
        (
            Reply::Whole(200, header("Content-Type", "text/html"), "<h1>Welcome</h1>".into()),
            "isn't an OpenID Connect configuration",
        ),
        (Reply::json(404, json!({})), "status 404"),
        (Reply::Whole(302, header("Location", "https://other.example.test/"), String::new()), "redirect (302)"),
        (Reply::Endless, "is too large"),
        (Reply::Whole(200, Vec::new(), " ".repeat(300 * 1024)), "is too large"),
    ] {
        liar.change(|says| says.discovery_reply = Some(reply));
        let error = not_begun(&liar).await;
        assert!(is_discovery(&error, words), "{words}: {error}");
    }
    for (reply, words) in [
        (Reply::Silence, "id.example.test didn't respond in time"),
        (Reply::Drip, "id.example.test started to respond, but didn't finish in time"),
    ] {
        liar.change(|says| says.discovery_reply = Some(reply));
        let error = not_begun(&liar).await;
        assert_eq!(error, SingleSignOnError::Unreachable(words.into()));
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_safe_is_not_even_asked() {
    let mut liar = Liar::start().await;
    for issuer in
        ["http://id.example.test", "https://a:b@id.example.test", "https://id.example.test/?a=b", "https://id.example.test/#a"]
    {
        liar.settings.issuer = issuer.parse().unwrap();
        assert!(matches!(not_begun(&liar).await, SingleSignOnError::Settings(_)), "{issuer}");
    }
    assert_eq!(liar.server.connections(), 0);
}

#[tokio::test]
async fn the_issuers_own_host_may_be_private_and_no_other_host() {
    let liar = Liar::in_own_network().await;
    assert_eq!(liar.sign_in().await.unwrap().subject, "subject-1");
    let port = liar.server.address.port();
    for (name, path) in [("jwks_uri", "jwks"), ("token_endpoint", "token"), ("userinfo_endpoint", "userinfo")] {
        for host in ["other.example.test", "127.0.0.1", "[::1]", "169.254.169.254"] {
            let before = liar.server.connections();
            liar.change(|says| {
                says.claims.as_object_mut().unwrap().remove("email");
                for (endpoint, path) in [("jwks_uri", "jwks"), ("token_endpoint", "token"), ("userinfo_endpoint", "userinfo")] {
                    says.document[endpoint] = format!("{ISSUER}:{port}/{path}").into();
                }
                says.document[name] = format!("https://{host}:{port}/{path}").into();
            });
            liar.clock.advance(Duration::from_secs(11 * 60));
            let now = liar.clock.now().as_millis() / 1000;
            liar.change(|says| says.claims["exp"] = (now + 300).into());
            let error = liar.refused().await;
            let refused = matches!(&error, SingleSignOnError::Unreachable(words) if words.contains("doesn't connect to"));
            assert!(refused, "{name} {host}: {error}");
            // Whatever was asked for before was asked for at the issuer's own host.
            let own = format!("{}:{port}", liar::HOST);
            assert!(liar.server.seen().iter().all(|seen| seen.header("host") == Some(&own)));
            assert!(liar.server.connections() > before);
        }
    }
}
