//! What the browser brings back, and what the token and userinfo endpoints answer.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    liar::{ACCESS_TOKEN, CODE, ISSUER},
    *,
};

fn is_answer(error: &SingleSignOnError, words: &str) -> bool {
    matches!(error, SingleSignOnError::Answer(said) if said.contains(words))
}

#[tokio::test]
async fn an_answer_without_the_state_of_this_browser_is_not_looked_at() {
    let liar = Liar::start().await;
    let (_, pending, right) = liar.begin().await.unwrap();
    let (_, other, _) = liar.begin().await.unwrap();
    let asked = liar.server.connections();
    let refused = liar.finish(&other, &right).await;
    assert_eq!(refused, Err(SingleSignOnError::ForeignAnswer));
    for state in [None, Some(""), Some("another")] {
        let answer = CallbackAnswer {
            code: Some(CODE.into()),
            state: state.map(Into::into),
            error: Some("Call 555-1234 to unlock your account".into()),
            ..CallbackAnswer::default()
        };
        assert_eq!(liar.finish(&pending, &answer).await, Err(SingleSignOnError::ForeignAnswer));
    }
    assert_eq!(liar.server.connections(), asked);
}

#[tokio::test]
async fn an_answer_names_the_issuer_that_was_asked() {
    let liar = Liar::start().await;
    let (_, pending, mut answer) = liar.begin().await.unwrap();
    for iss in ["https://evil.example.test", "https://id.example.test/", ""] {
        answer.iss = Some(iss.into());
        assert_eq!(liar.finish(&pending, &answer).await, Err(SingleSignOnError::OtherIssuer), "{iss}");
    }
    assert_eq!(liar.asked("/token"), 0);
    answer.iss = Some(ISSUER.into());
    assert!(liar.finish(&pending, &answer).await.is_ok());
    // Who always names itself does not forget to.
    liar.change(|says| says.document["authorization_response_iss_parameter_supported"] = true.into());
    liar.clock.advance(Duration::from_secs(11 * 60));
    assert_eq!(liar.refused().await, SingleSignOnError::OtherIssuer);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_providers_words_without_secrets() {
    let liar = Liar::start().await;
    let (_, pending, answer) = liar.begin().await.unwrap();
    let denied = CallbackAnswer {
        error: Some("access_denied".into()),
        error_description: Some(format!("No\u{202e} way.\r\nX {CODE} {}", "y".repeat(900))),
        ..answer
    };
    let Err(SingleSignOnError::Refused { error, description }) = liar.finish(&pending, &denied).await else { panic!() };
    assert_eq!(error, "access_denied");
    let description = description.unwrap();
    assert!(description.starts_with("No way.  X [redacted] yyy") && description.chars().count() <= 500, "{description}");
    assert_eq!(liar.asked("/token"), 0);

    // The token endpoint repeats all that it was sent.
    let kept = serde_json::to_value(&pending).unwrap();
    let header = BASE64_STANDARD.encode(format!("{}:{}", encoded(liar::CLIENT), encoded(HARD_SECRET)));
    let echoed =
        format!("{HARD_SECRET} | {} | {CODE} | {} | {header}", encoded(HARD_SECRET), kept["pkce_verifier"].as_str().unwrap());
    liar.change(|says| {
        says.token_reply = Some(Reply::json(400, json!({"error": format!("invalid {CODE}"), "error_description": echoed})));
    });
    let (_, _, answer) = liar.begin().await.unwrap();
    let answer = CallbackAnswer { state: kept["state"].as_str().map(Into::into), ..answer };
    let Err(error) = liar.finish(&pending, &answer).await else { panic!() };
    let hidden = ["[redacted]"; 5].join(" | ");
    let expected = SingleSignOnError::Refused { error: "invalid [redacted]".into(), description: Some(hidden.clone()) };
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), format!("The identity provider refused the sign-in: invalid [redacted] ({hidden})."));
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn an_answer_without_tokens_is_refused() {
    let liar = Liar::start().await;
    let tokens = |id_token: &str| json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token});
    let location = vec![("Location", "https://other.example.test/token".to_owned())];
    for (reply, words) in [
        (Reply::Whole(302, location.clone(), String::new()), "redirect (302)"),
        (Reply::Whole(307, location, tokens("x").to_string()), "redirect (307)"),
        (Reply::Whole(200, vec![("Content-Type", "text/html".into())], tokens("x").to_string()), "isn't JSON with tokens"),
        (Reply::Whole(200, Vec::new(), format!("{{\"access_token\": \"{ACCESS_TOKEN}\"")), "isn't JSON with tokens"),
        (Reply::Whole(200, Vec::new(), String::new()), "isn't JSON with tokens"),
        (Reply::Whole(400, Vec::new(), format!("oh no: {CODE}")), "isn't JSON with tokens"),
        (Reply::json(200, json!({"id_token": "a.b.c"})), "isn't JSON with tokens"),
        (Reply::json(200, json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer"})), "no ID token"),
        (Reply::Endless, "is too large"),
    ] {
        liar.change(|says| says.token_reply = Some(reply));
        let error = liar.refused().await;
        assert!(is_answer(&error, words), "{words}: {error}");
    }
    for id_token in ["", "a.b", "a.b.c", "....", "é", ACCESS_TOKEN] {
        liar.change(|says| says.token_reply = Some(Reply::json(200, tokens(id_token))));
        assert_eq!(liar.refused().await, SingleSignOnError::InvalidToken(TokenFault::Malformed), "{id_token}");
    }
    liar.change(|says| says.token_reply = Some(Reply::json(502, json!({"error": "server_error"}))));
    assert!(matches!(liar.refused().await, SingleSignOnError::Unreachable(_)));
    assert!(liar.server.seen().iter().all(|seen| seen.header("host") == Some(liar::HOST)));
}

#[tokio::test]
async fn an_access_token_that_no_header_takes_does_no_harm() {
    let liar = Liar::start().await;
    liar.change(|says| {
        says.access_token = "a\r\nX-Injected: b".into();
        says.claims.as_object_mut().unwrap().remove("email");
    });
    let error = liar.refused().await;
    assert!(is_answer(&error, "can't be sent in a header"), "{error}");
}

#[tokio::test]
async fn a_code_that_is_missing_is_no_sign_in() {
    let liar = Liar::start().await;
    let (_, pending, answer) = liar.begin().await.unwrap();
    let answer = CallbackAnswer { code: None, ..answer };
    assert!(is_answer(&liar.finish(&pending, &answer).await.unwrap_err(), "neither a code nor an error"));
}

#[tokio::test]
async fn the_secret_is_shown_in_the_way_that_the_provider_wants() {
    let mut liar = Liar::start().await;
    assert!(liar.sign_in().await.is_ok());
    liar.change(|says| says.document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]));
    liar.clock.advance(Duration::from_secs(11 * 60));
    let now = liar.clock.now().as_millis() / 1000;
    liar.change(|says| says.claims["exp"] = (now + 300).into());
    assert!(liar.sign_in().await.is_ok());
    liar.settings.client_secret = None;
    assert!(liar.sign_in().await.is_ok());

    let seen: Vec<Seen> = liar.server.seen().into_iter().filter(|seen| seen.target == "/token").collect();
    let form = |seen: &Seen, name: &str| {
        form_urlencoded::parse(&seen.body).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    };
    for seen in &seen {
        assert_eq!(form(seen, "grant_type").as_deref(), Some("authorization_code"));
        assert_eq!(form(seen, "code").as_deref(), Some(CODE));
        assert_eq!(form(seen, "redirect_uri").as_deref(), Some(redirect().as_str()));
        assert_eq!(form(seen, "code_verifier").unwrap().len(), 43);
    }
    let pair = BASE64_STANDARD.encode(format!("{}:{}", encoded(liar::CLIENT), encoded(HARD_SECRET)));
    assert_eq!(seen[0].header("authorization"), Some(format!("Basic {pair}").as_str()));
    assert_eq!(form(&seen[0], "client_secret"), None);
    assert_eq!(seen[1].header("authorization"), None);
    assert_eq!(form(&seen[1], "client_secret").as_deref(), Some(HARD_SECRET));
    assert_eq!(seen[2].header("authorization"), None);
    assert_eq!((form(&seen[2], "client_secret"), form(&seen[2], "client_id").as_deref()), (None, Some(liar::CLIENT)));
}

#[tokio::test]
async fn userinfo_adds_what_the_id_token_does_not_say() {
    let liar = Liar::start().await;
    liar.change(|says| {
        says.claims.as_object_mut().unwrap().remove("email");
        says.claims.as_object_mut().unwrap().remove("email_verified");
        let more =
            json!({"sub": "subject-1", "email": "more@example.test", "email_verified": true, "name": "Other", "groups": ["more"]});
        says.userinfo = Reply::json(200, more);
    });
    let person = liar.sign_in().await.unwrap();
    assert_eq!((person.email.as_deref(), person.email_verified), (Some("more@example.test"), true));
    // What the ID token says stays.
    assert_eq!((person.name.as_deref(), person.groups), (Some("Ada"), vec!["admins".to_owned(), "staff".to_owned()]));
    let seen = liar.server.seen().pop().unwrap();
    assert_eq!((seen.target.as_str(), seen.header("authorization")), ("/userinfo", Some(&*format!("Bearer {ACCESS_TOKEN}"))));
}

#[tokio::test]
async fn userinfo_that_cannot_be_believed_signs_nobody_in() {
    let liar = Liar::start().await;
    liar.change(|says| {
        says.claims.as_object_mut().unwrap().remove("groups");
        says.userinfo = Reply::json(200, json!({"sub": "subject-2", "groups": ["admins"]}));
    });
    assert_eq!(liar.refused().await, SingleSignOnError::OtherSubject);
    for (reply, words) in [
        (Reply::json(200, json!({"groups": ["admins"]})), "isn't JSON about a person"),
        (Reply::json(403, json!({"error": ACCESS_TOKEN})), "status 403"),
        (Reply::Whole(200, vec![("Content-Type", "text/html".into())], ACCESS_TOKEN.into()), "or without JSON"),
        (Reply::Whole(303, vec![("Location", "https://other.example.test/".into())], String::new()), "redirect"),
        (Reply::Endless, "is too large"),
    ] {
        liar.change(|says| says.userinfo = reply);
        let error = liar.refused().await;
        assert!(is_answer(&error, words), "{words}: {error}");
    }
    // A signed answer counts only with a signature that is allowed for it.
    liar.change(|says| says.userinfo = Reply::Whole(200, vec![("Content-Type", "application/jwt".into())], says.id_token()));
    let error = liar.refused().await;
    assert!(is_answer(&error, "signature of its userinfo"), "{error}");
    liar.change(|says| says.userinfo = Reply::json(500, json!({})));
    assert!(matches!(liar.refused().await, SingleSignOnError::Unreachable(_)));
}
