//! What token endpoints answer, and what is said of it.

use std::time::Duration;

use keytile::domain::credentials::verification::{Blame, FaultCode, Stage};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

async fn diagnosis_of(reply: Reply) -> Diagnosis {
    let (_server, upstream) = serving(move |_| reply.clone()).await;
    failure(fetch(&upstream).await)
}

fn html(status: u16) -> Reply {
    Reply::Whole(status, vec![("Content-Type", "text/html; charset=utf-8".into())], "<h1>Welcome</h1>".into())
}

#[tokio::test]
async fn lifetimes_come_from_the_answer_or_from_the_connector() {
    for (expires_in, seconds) in [
        (Some(json!(1_234)), 1_234),
        (Some(json!("1234")), 1_234),
        (None, 600),
        (Some(json!(0)), 600),
        (Some(json!(-5)), 600),
        (Some(json!("-5")), 600),
        (Some(json!(1e18)), 30 * 86_400),
    ] {
        let mut answer = json!({"access_token": "tok-1", "token_type": "Bearer"});
        if let Some(expires_in) = expires_in.clone() {
            answer["expires_in"] = expires_in;
        }
        let (_server, upstream) = serving(move |_| Reply::json(200, answer.clone())).await;
        let token = fetch(&upstream).await.result.unwrap();
        assert_eq!(token.access_token.expose_secret(), "tok-1");
        assert_eq!(token.lifetime, Duration::from_secs(seconds), "{expires_in:?}");
    }
}

#[tokio::test]
async fn a_rejected_client_is_said_so_in_either_way() {
    let with_error = json!({"error": "invalid_client", "error_description": "Client authentication failed"});
    for (reply, error) in [
        (Reply::json(400, with_error.clone()), Some("invalid_client")),
        (Reply::json(401, with_error.clone()), Some("invalid_client")),
        (Reply::json(200, with_error), Some("invalid_client")),
        (Reply::json(401, json!({"message": "no"})), None),
        (html(401), None),
    ] {
        let diagnosis = diagnosis_of(reply).await;
        let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
        assert_eq!(found, (Stage::Oauth, FaultCode::InvalidClient, Blame::Input));
        assert_eq!(diagnosis.summary, "TalkDesk rejected this Client ID or Client Secret.");
        assert!(diagnosis.remedy.contains("newly added scope can take some minutes"));
        assert_eq!(fields(&diagnosis), ["client_id", "client_secret"]);
        assert_eq!(diagnosis.service.unwrap().error.as_deref(), error);
    }
}

#[tokio::test]
async fn oauth_errors_name_their_field() {
    for (status, error, code, field) in [
        (400, "invalid_scope", FaultCode::InvalidScope, Some("scopes")),
        (400, "unauthorized_client", FaultCode::UnauthorizedClient, Some("client_id")),
        (400, "unsupported_grant_type", FaultCode::UnauthorizedClient, Some("client_id")),
        (403, "access_denied", FaultCode::UnauthorizedClient, Some("client_id")),
        (400, "invalid_request", FaultCode::RequestRejected, None),
        (400, "something_else", FaultCode::RequestRejected, None),
        (415, "unsupported", FaultCode::RequestRejected, None),
    ] {
        let diagnosis = diagnosis_of(Reply::json(status, json!({"error": error}))).await;
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Oauth, code, Blame::Input), "{error}");
        assert_eq!(fields(&diagnosis).first().copied(), field, "{error}");
        let words = diagnosis.service.unwrap();
        assert_eq!((words.status, words.error.as_deref()), (Some(status), Some(error)));
    }
    assert_eq!(diagnosis_of(html(403)).await.code, FaultCode::UnauthorizedClient);
    assert_eq!(diagnosis_of(html(400)).await.code, FaultCode::RequestRejected);
}

#[tokio::test]
async fn nothing_at_the_token_url_is_the_account_name() {
    for status in [404, 410] {
        let diagnosis = diagnosis_of(html(status)).await;
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::NotFound, Blame::Input));
        assert_eq!(diagnosis.summary, "Account Name or Region: TalkDesk knows no such account.");
        assert_eq!(fields(&diagnosis), ["account_name", "region"]);
    }
    let (_server, upstream) = serving(|_| html(404)).await;
    let attempt = upstream.tokens.fetch_token(&generic(), &generic_values("https://id.example.test/tokens"), &Unobserved).await;
    let diagnosis = failure(attempt);
    assert_eq!(diagnosis.summary, "Token URL: there is no token endpoint at this address.");
    assert_eq!(fields(&diagnosis), ["token_url"]);
}

#[tokio::test]
async fn too_many_requests_honours_both_forms_of_retry_after() {
    for (header, seconds, remedy) in [
        (Some("30"), Some(30), "Try again in 30 seconds."),
        (Some("Sun, 06 Nov 1994 08:59:37 GMT"), Some(600), "Try again in 10 minutes."),
        (Some("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "Try again in a moment."),
        (Some("5400"), Some(5_400), "Try again in 90 minutes."),
        (Some("36000"), Some(36_000), "Try again in 10 hours."),
        (Some("99999999999999999999"), Some(30 * 86_400), "Try again in 30 days."),
        (Some("whenever"), None, "Wait a few minutes and try again."),
        (None, None, "Wait a few minutes and try again."),
    ] {
        let headers = header.map(|value| ("Retry-After", value.to_owned())).into_iter().collect();
        let diagnosis = diagnosis_of(Reply::Whole(429, headers, String::new())).await;
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::RateLimited, Blame::Service));
        assert_eq!((diagnosis.retry_after, diagnosis.remedy.as_str()), (seconds, remedy), "{header:?}");
        assert!(diagnosis.fields.is_empty());
    }
}

#[tokio::test]
async fn errors_of_the_service_are_not_the_input() {
    for (status, body) in [(500, json!({"error": "invalid_client"})), (503, json!({})), (502, json!(null)), (504, json!([]))] {
        let diagnosis = diagnosis_of(Reply::json(status, body)).await;
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::ServiceError, Blame::Service));
        assert!(diagnosis.fields.is_empty());
        assert!(diagnosis.remedy.contains("not the cause"), "{}", diagnosis.remedy);
        assert_eq!(diagnosis.service.unwrap().status, Some(status));
    }
    let later = Reply::Whole(503, vec![("Retry-After", "120".into())], String::new());
    assert_eq!(diagnosis_of(later).await.retry_after, Some(120));
}

#[tokio::test]
async fn a_redirect_is_refused_and_nothing_reaches_its_target() {
    let authority = Authority::new();
    let target = FaultServer::start(authority.server(NAMES), |_| Reply::token()).await;
    for status in [301, 302, 303, 307, 308] {
        let port = target.address.port();
        let server = FaultServer::start(authority.server(NAMES), move |_| {
            Reply::Whole(status, vec![("Location", format!("https://id.example.test:{port}/oauth/token"))], String::new())
        })
        .await;
        let mut settings = pinned(&server, &authority);
        // Following the redirect would succeed.
        settings.pins.insert(0, format!("id.example.test={}", target.address).parse().unwrap());
        let diagnosis = failure(fetch(&upstream(settings)).await);
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::Redirected, Blame::Input));
        assert_eq!(diagnosis.service.unwrap().status, Some(status));
        assert_eq!(server.seen().len(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn what_is_no_token_endpoint_is_shown_with_status_and_type() {
    let diagnosis = diagnosis_of(html(200)).await;
    assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Oauth, FaultCode::NotTokenEndpoint, Blame::Input));
    assert!(diagnosis.summary.contains("a web page (status 200)"), "{}", diagnosis.summary);
    let words = diagnosis.service.unwrap();
    assert_eq!((words.status, words.content_type.as_deref()), (Some(200), Some("text/html")));

    let whole = |body: &str| Reply::Whole(200, vec![("Content-Type", "text/plain".into())], body.into());
    for (reply, stage) in [
        (whole("access_token=tok-1&expires_in=600"), Stage::Oauth),
        (whole(""), Stage::Oauth),
        (whole("{\"access_token\": \"tok-1\""), Stage::Oauth),
        (Reply::json(204, json!("")), Stage::Oauth),
        (Reply::json(200, json!(["tok-1"])), Stage::Oauth),
        (Reply::json(200, json!({})), Stage::Token),
        (Reply::json(200, json!({"token": "tok-1"})), Stage::Token),
        (Reply::json(200, json!({"error": "unheard_of"})), Stage::Token),
        (Reply::json(200, json!({"access_token": ""})), Stage::Token),
        (Reply::json(200, json!({"access_token": 7})), Stage::Token),
        (Reply::json(200, json!({"access_token": null})), Stage::Token),
        (Reply::json(200, json!({"access_token": "two\nlines"})), Stage::Token),
        (Reply::json(200, json!({"access_token": "tök"})), Stage::Token),
    ] {
        let diagnosis = diagnosis_of(reply).await;
        assert_eq!((diagnosis.stage, diagnosis.code), (stage, FaultCode::NotTokenEndpoint), "{diagnosis:?}");
    }
}

#[tokio::test]
async fn a_service_that_echoes_the_request_gives_nothing_away() {
    // Answers with all that came: header, its decoded content, body, and the target.
    let (server, upstream) = serving(|seen| {
        let authorization = seen.header("authorization").unwrap_or_default();
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let decoded: Vec<String> = form_urlencoded::parse(&seen.body).map(|(name, value)| format!("{name} {value}")).collect();
        let host = seen.header("host").unwrap();
        let said = format!("{authorization} | {body} | {} | {HARD_SECRET} | client-1 at {host}\u{202E}\u{7}", decoded.join(" "));
        Reply::json(400, json!({"error": "invalid_client", "error_description": said}))
    })
    .await;
    for (connector, values) in [
        (talkdesk(), talkdesk_values()),
        (generic(), {
            let mut values = generic_values("https://id.example.test/token");
            values.insert(FieldId::new("client_authentication").unwrap(), FieldValue::Plain("body".into()));
            values
        }),
    ] {
        // `failure` looks for the values themselves.
        let diagnosis = failure(upstream.tokens.fetch_token(&connector, &values, &Unobserved).await);
        let said = diagnosis.service.unwrap().description.unwrap();
        assert!(said.contains("[redacted]") && said.contains("[Client ID]"), "{said}");
        assert!(!said.contains(['\u{202E}', '\u{7}']), "{said}");
        let sent = server.seen().pop().unwrap();
        let credentials =
            sent.header("authorization").and_then(|value| value.strip_prefix("Basic ")).unwrap_or("c2VjcmV0LW5vdC1zZW50");
        assert!(!said.contains(credentials), "{said}");
        assert!(!said.contains("s3+cret") && !said.contains("s3%20cret") && !said.contains("%2B%2F%26"), "{said}");
    }
}

#[tokio::test]
async fn long_words_are_cut() {
    let long: Value = "x".repeat(5_000).into();
    let diagnosis = diagnosis_of(Reply::json(400, json!({"error": long, "error_description": long}))).await;
    let words = diagnosis.service.unwrap();
    assert_eq!(words.error.unwrap().chars().count(), 500);
    assert_eq!(words.description.unwrap().chars().count(), 500);
}
