//! Forged and replayed forms, and methods that no page uses, on every route.

use keytile::domain::users::Role;
use reqwest::{Method, RequestBuilder, header};

use super::{form_paths, routes};
use crate::support::{
    https::plain_client,
    server::{ADMINISTRATOR, Browser, PASSWORD, Server, Setup},
};

/// A form with exactly this body, as a page of the same site would send it.
fn raw(browser: &Browser, path: &str, body: &str) -> RequestBuilder {
    browser.form(path, &[]).body(body.to_owned())
}

/// Whatever was tried, the user's name is unchanged.
async fn nothing_changed(server: &Server) {
    assert_eq!(server.browser().get("/settings").await.value("name"), "Ana");
}

#[tokio::test]
async fn a_form_with_any_other_token_reaches_no_handler() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut ana = server.browser();
    let (own, others) = (ana.form_token(), server.browser_as("eve@example.com", Role::Editor).await);
    let bodies = [
        String::new(),
        "name=Eve".to_owned(),
        "name=Eve&form_token=".to_owned(),
        format!("name=Eve&form_token={}", others.form_token()),
        format!("name=Eve&form_token={}", &own[..own.len() - 1]),
        format!("name=Eve&form_token={own}x"),
        format!("name=Eve&form_token=%20{own}"),
        format!("name=Eve&form_token={}", if own == own.to_uppercase() { own.to_lowercase() } else { own.to_uppercase() }),
        // The first of two counts, so a right one that follows helps nobody.
        format!("name=Eve&form_token=x&form_token={own}"),
        format!("name=Eve&form_token[]={own}"),
        format!("name=Eve&Form_Token={own}"),
        format!("name=Eve;form_token={own}"),
    ];
    for path in form_paths() {
        for body in &bodies {
            let answered = ana.send(raw(&ana, &path, body)).await;
            assert_eq!(answered.status, 403, "{path} with {body}");
        }
        // In the address, where it would be logged and sent on, it does not count.
        let answered = ana.send(raw(&ana, &format!("{path}?form_token={own}"), "name=Eve")).await;
        assert_eq!(answered.status, 403, "{path}");
    }
    nothing_changed(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_token_ends_with_its_session_and_is_another_after_the_sign_in() {
    let server = Setup::new().start().await;
    let mut visitor = server.visitor();
    visitor.get("/sign-in").await;
    let before = visitor.form_token();
    let signed = visitor.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).await;
    assert_eq!(signed.status, 303, "{}", signed.text);
    let during = visitor.form_token();
    assert_ne!(before, during);
    let stale = visitor.send(raw(&visitor, "/settings/name", &format!("name=Eve&form_token={before}"))).await;
    assert_eq!(stale.status, 403);
    let thief = visitor.clone();
    assert_eq!(visitor.post("/sign-out", &[]).await.status, 303);
    // Cookie and token from before the sign-out: they belong to no session now.
    let mut replay = thief.clone();
    let replayed = replay.send(raw(&thief, "/settings/name", &format!("name=Eve&form_token={during}"))).await;
    assert!(replayed.status == 403 || replayed.location.is_some_and(|to| to.starts_with("/sign-in")));
    nothing_changed(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn the_same_form_as_another_content_type_is_refused_everywhere() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let body = format!("name=Eve&form_token={}", ana.form_token());
    let json = format!("{{\"name\":\"Eve\",\"form_token\":\"{}\"}}", ana.form_token());
    let types = [
        Some("text/plain"),
        Some("text/plain; application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json"),
        Some("application/x-www-form-urlencodedx"),
        Some(""),
        None,
    ];
    for path in form_paths() {
        for kind in types {
            for body in [&body, &json] {
                let request = plain_client().post(ana.url(&path)).header("Sec-Fetch-Site", "same-origin");
                let request = match kind {
                    Some(kind) => request.header(header::CONTENT_TYPE, kind),
                    None => request,
                };
                let answered = ana.send(request.body(body.clone())).await;
                assert_eq!(answered.status, 415, "{path} as {kind:?}");
            }
        }
    }
    nothing_changed(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn no_route_has_a_method_that_no_page_uses() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    for route in routes() {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post"] {
            // With all that a form of this session has, so that only the method is wrong.
            let mut request = ana.form(&route.path, &[("name", "Eve")]).build().unwrap();
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
            let request = RequestBuilder::from_parts(plain_client(), request);
            let status = ana.send(request).await.status;
            assert_eq!(status, 405, "{method} {}", route.path);
        }
        if route.takes_post && !route.takes_get {
            assert_eq!(
                ana.get(&format!("{}?name=Eve&form_token={}", route.path, ana.form_token())).await.status,
                405,
                "{}",
                route.path
            );
        }
        if !route.takes_post && route.path.starts_with('/') && !["/healthz", "/readyz"].contains(&route.path.as_str()) {
            assert_eq!(ana.post(&route.path, &[]).await.status, 405, "{}", route.path);
        }
    }
    nothing_changed(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn fields_that_a_form_does_not_have_change_nothing() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut eve = server.browser_as("eve@example.com", Role::Viewer).await;
    let extra = [
        ("name", "Eve E"),
        ("role", "administrator"),
        ("email", "ana@example.com"),
        ("id", super::NOTHING),
        ("user", super::NOTHING),
        ("owner", super::NOTHING),
        ("disabled", "false"),
        ("version", "99"),
        ("status", "administrator"),
    ];
    assert_eq!(eve.post("/settings/name", &extra).await.status, 303);
    let page = eve.get("/settings").await;
    assert_eq!(page.value("name"), "Eve E");
    page.says("eve@example.com");
    page.does_not_say("ana@example.com");
    assert_eq!(eve.get("/settings/people").await.status, 403, "still a viewer");
    nothing_changed(&server).await;
    server.stop().await;
}
