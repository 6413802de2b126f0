//! A provider of single sign-on that lies: it sends browsers to addresses that run, Keytile to addresses inside, and
//! says what harms whoever reads it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keytile::domain::credentials::verification::SERVICE_WORDS_MAX;
use serde_json::{Value, json};
use url::Url;

use super::hostile_service::{HOSTILE, longest_run, one_line_each, reads_as_text, token_answers};
use crate::support::{
    fault_server::{FaultServer, Reply},
    https::pem,
    server::{Browser, Page, Server, Setup},
    tls::Authority,
};

const ISSUER: &str = "https://id.example.test";

/// What the provider says at present.
struct Says {
    document: Value,
    /// In place of the document.
    discovery: Option<Reply>,
    token: Reply,
}

/// A Keytile and its provider.
struct Scene {
    setup: Setup,
    server: Server,
    says: Arc<Mutex<Says>>,
    _provider: FaultServer,
    /// A connection here means that Keytile was led inside.
    victim: FaultServer,
}

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/jwks"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    })
}

impl Scene {
    async fn set() -> Self {
        let authority = Authority::new();
        let says = Arc::new(Mutex::new(Says { document: document(), discovery: None, token: Reply::json(400, json!({})) }));
        let saying = Arc::clone(&says);
        let provider = FaultServer::start(authority.server(&["id.example.test"]), move |seen| {
            let says = saying.lock().unwrap();
            match seen.target.as_str() {
                "/.well-known/openid-configuration" => {
                    says.discovery.clone().unwrap_or_else(|| Reply::json(200, says.document.clone()))
                }
                "/token" => says.token.clone(),
                "/jwks" => Reply::json(200, json!({"keys": []})),
                _ => Reply::json(404, json!({})),
            }
        })
        .await;
        let victim = FaultServer::start(authority.server(&["127.0.0.1", "localhost"]), |_| Reply::token()).await;
        let setup = Setup::new();
        let (file, secret) = (setup.folder.path().join("authority.pem"), setup.folder.path().join("secret"));
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        std::fs::write(&secret, "s3cret of the client\n").unwrap();
        let setup = setup
            .with(format!("--egress-pin=id.example.test={}", provider.address))
            .with(format!("--extra-ca={}", file.display()))
            .with(format!("--sso-issuer={ISSUER}"))
            .with("--sso-client-id=keytile")
            .with(format!("--sso-client-secret-file={}", secret.display()));
        let server = setup.start().await;
        Self { setup, server, says, _provider: provider, victim }
    }

    /// Lets the provider say something else, long enough after what it said before that nothing of it counts.
    fn says(&self, change: impl FnOnce(&mut Says)) {
        self.setup.clock.advance(Duration::from_secs(25 * 3_600));
        let mut says = self.says.lock().unwrap();
        *says = Says { document: document(), discovery: None, token: Reply::json(400, json!({})) };
        change(&mut says);
    }

    /// Begins a sign-in in a new browser.
    async fn begin(&self) -> (Browser, Page) {
        let mut browser = self.server.visitor();
        let page = browser.get("/sign-in/sso").await;
        (browser, page)
    }

    /// Begins a sign-in, and comes back from the provider with this.
    async fn come_back(&self, with: &[(&str, &str)]) -> Page {
        let (mut browser, sent) = self.begin().await;
        assert_eq!(sent.status, 303, "{}", sent.text);
        let to: Url = sent.location.unwrap().parse().unwrap();
        let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(with).append_pair("state", &state).append_pair("iss", ISSUER);
        let page = browser.get(&format!("/sign-in/sso/callback?{}", query.finish())).await;
        assert_eq!(browser.get("/").await.status, 303, "nobody is signed in by this");
        page
    }
}

#[tokio::test]
async fn browsers_are_sent_to_no_address_that_runs() {
    let scene = Scene::set().await;
    let (mut sent, mut refused) = (0, 0);
    for address in [
        "https://id.example.test/authorize",
        "https://id.example.test/authorize?a=b",
        "javascript:pwned()//",
        "JAVASCRIPT:pwned()//",
        "data:text/html,<script>pwned()</script>",
        "vbscript:pwned()",
        "http://id.example.test/authorize",
        "//evil.example/",
        "/authorize",
        "https:evil",
        "https://id.example.test/a\r\nSet-Cookie: injected=yes",
        "https://id.example.test/a\nInjected: yes",
        "https://id.example.test/\"><script>pwned()</script>",
        "https://x:y@id.example.test/",
        "",
        HOSTILE,
    ] {
        scene.says(|says| says.document["authorization_endpoint"] = address.into());
        let (browser, page) = scene.begin().await;
        reads_as_text(&page, address);
        assert!(!browser.cookies.contains_key("injected") && !page.headers.contains_key("injected"), "{address:?}");
        match page.location {
            Some(location) => {
                let to: Url = location.parse().unwrap_or_else(|_| panic!("{address:?} leads to {location:?}"));
                // On whatever host: where people sign in is the provider's to say.
                assert!(to.scheme() == "https" && to.has_host() && to.username().is_empty(), "{address:?} leads to {location:?}");
                assert!(!location.contains(['"', '<', ' ']), "{address:?} leads to {location:?}");
                sent += 1;
            }
            None => {
                assert_eq!(page.status, 502, "{address:?}");
                refused += 1;
            }
        }
    }
    assert!(sent >= 2 && refused >= 8, "{sent} {refused}");
    scene.server.stop().await;
}

#[tokio::test]
async fn keytile_is_sent_to_no_address_inside() {
    let scene = Scene::set().await;
    let at = format!("127.0.0.1:{}", scene.victim.address.port());
    let port = scene.victim.address.port();
    let mut came_back = 0;
    for endpoint in ["token_endpoint", "jwks_uri", "userinfo_endpoint", "issuer"] {
        for address in [
            format!("https://{at}/token"),
            format!("https://localhost:{port}/token"),
            format!("http://{at}/token"),
            format!("https://id.example.test@{at}/token"),
            format!("https://id.example.test\\@{at}/token"),
            format!("https://[::ffff:127.0.0.1]:{port}/token"),
            format!("https://2130706433:{port}/token"),
            format!("https://0x7f.1:{port}/token"),
            format!("https://127。0。0。1:{port}/token"),
            format!("//{at}/token"),
            "https://169.254.169.254/latest/meta-data/".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            let what = format!("{endpoint} is {address}");
            scene.says(|says| {
                says.document[endpoint] = address.as_str().into();
                // What makes the keys and the rest be asked for.
                let id_token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJhIn0.AAAA";
                says.token = Reply::json(200, json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token}));
            });
            let (_, begun) = scene.begin().await;
            reads_as_text(&begun, &what);
            if begun.status == 303 {
                let page = scene.come_back(&[("code", "c0de")]).await;
                assert!(page.status >= 400, "{what}: {}", page.status);
                reads_as_text(&page, &what);
                came_back += 1;
            }
            assert_eq!(scene.victim.connections(), 0, "{what}");
        }
    }
    assert!(came_back > 5, "{came_back}");
    one_line_each(&scene.setup).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn words_of_a_provider_are_text() {
    let scene = Scene::set().await;
    let long = format!("{HOSTILE}{}", "x".repeat(5_000));
    let mut shown = 0;
    let mut look = |page: &Page, what: &str| {
        assert!(page.status >= 400, "{what}: {}", page.status);
        reads_as_text(page, what);
        assert!(longest_run(page) <= SERVICE_WORDS_MAX, "{what}: {}", longest_run(page));
        shown += usize::from(page.text.contains("pwned"));
    };
    for (error, description) in [(HOSTILE, HOSTILE), ("access_denied", long.as_str()), (long.as_str(), "")] {
        scene.says(|_| {});
        let page =
            scene.come_back(&[("error", error), ("error_description", description), ("error_uri", "javascript:pwned()")]).await;
        look(&page, "the provider's refusal");
    }
    for (number, answer) in token_answers().into_iter().enumerate() {
        scene.says(|says| says.token = answer.clone());
        look(&scene.come_back(&[("code", "c0de")]).await, &format!("token answer {number}"));
        scene.says(|says| says.discovery = Some(answer));
        let (_, page) = scene.begin().await;
        look(&page, &format!("answer {number} for the configuration"));
    }
    assert!(shown >= 5, "only {shown} pages show what the provider said");
    one_line_each(&scene.setup).await;
    scene.server.stop().await;
}
