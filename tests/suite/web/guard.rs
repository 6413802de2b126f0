//! What every answer carries, and which requests are turned away before they reach a page.

use reqwest::header;

use crate::support::{
    https::plain_client,
    server::{OVERLAY, Setup, good_values},
};

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_it() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for path in ["/", "/connectors", "/credentials", OVERLAY, "/sources/new", "/nowhere", "/sources/not-an-id"] {
        let page = browser.get(path).await;
        let header =
            |name: &str| page.headers.get(name).unwrap_or_else(|| panic!("{path} has no {name}")).to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert!(!header("x-request-id").is_empty());
        assert!(page.headers.contains_key("referrer-policy") && page.headers.contains_key("cross-origin-opener-policy"));
        assert!(
            !page.text.contains("<script>") && !page.text.contains(" style=\"") && !page.text.contains("onclick"),
            "{path} has something inline"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_of_other_sites_change_nothing() {
    let server = Setup::sandbox().start().await;
    let browser = server.browser();
    let mut stranger = server.browser();
    let draft = stranger.get(OVERLAY).await.value("draft");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(good_values("Forged", &draft)).finish();
    let plain = || {
        plain_client()
            .post(browser.url(OVERLAY))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.clone())
    };
    for request in [
        plain().header("Sec-Fetch-Site", "cross-site"),
        plain().header("Sec-Fetch-Site", "same-site"),
        plain().header(header::ORIGIN, "https://evil.example"),
        plain().header(header::ORIGIN, "null"),
    ] {
        let page = stranger.send(request).await;
        assert_eq!(page.status, 403, "{}", page.text);
    }
    stranger.get("/credentials").await.does_not_say("Forged");
    server.stop().await;
}

#[tokio::test]
async fn other_host_names_are_refused() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
        let request = plain_client().get(browser.url("/")).header(header::HOST, host);
        assert_eq!(browser.send(request).await.status, 421, "{host}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bodies_have_a_limit_and_odd_requests_an_answer() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let huge = "x".repeat(600_000);
    let mut form = good_values("Huge", &draft);
    form.push(("description", &huge));
    assert_eq!(browser.post(OVERLAY, &form).await.status, 413);
    for (path, status) in [
        ("/sources/new/nothing/authenticate", 404),
        ("/pipes/new", 404),
        ("/credentials/not-an-id", 404),
        ("/credentials/01890a5d-ac96-774b-bcce-b302099a8057", 404),
        ("/sources/01890a5d-ac96-774b-bcce-b302099a8057", 404),
        ("/static/../Cargo.toml", 404),
        ("/static/%2e%2e/Cargo.toml", 404),
        ("/sources/new/talkdesk/authenticate?credential=nonsense&after=nonsense", 200),
        ("/healthz", 200),
        ("/readyz", 200),
    ] {
        assert_eq!(browser.get(path).await.status, status, "{path}");
    }
    let json = browser.form(OVERLAY, &[]).header(header::CONTENT_TYPE, "application/json");
    let answered = browser.send(json).await;
    assert!([400, 415, 422].contains(&answered.status), "{}", answered.status);
    assert_eq!(browser.post("/connectors", &[]).await.status, 405);
    // No page sends a form without its id; a form with nothing else is a form with errors.
    assert_eq!(browser.post(OVERLAY, &[]).await.status, 400);
    assert_eq!(browser.post(OVERLAY, &[("draft", &draft)]).await.status, 422);
    server.stop().await;
}
