//! Single sign-on as the only way in, and beside passwords.

use super::*;
use crate::support::{
    https::plain_client,
    server::{ADMINISTRATOR, PASSWORD},
};

#[tokio::test]
async fn beside_passwords_the_sign_in_page_has_a_button() {
    let site = Site::start(people(&[]), &["--sso-default-role=viewer", "--sso-name=Example ID"]).await;
    let mut browser = site.server.visitor();
    let page = browser.get("/sign-in?next=/credentials%3Fq%3Da%2526b").await;
    page.says("Sign in with Example ID");
    assert!(page.text.contains("href=\"/sign-in/sso?next=/credentials%3Fq%3Da%2526b\""), "{}", page.text);
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
    let typed = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", "/")];
    assert_eq!(browser.post("/sign-in", &typed).await.status, 303);

    // Without single sign-on there is neither button nor address.
    let site = {
        let Site { mut setup, server, provider } = site;
        setup.arguments.clear();
        let server = restart(&mut setup, server).await;
        Site { setup, server, provider }
    };
    let mut browser = site.server.visitor();
    browser.get("/sign-in").await.does_not_say("single-sign-on");
    for path in ["/sign-in/sso", "/sign-in/sso/callback?code=a&state=b"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    site.server.stop().await;
}

#[tokio::test]
async fn another_site_cannot_begin_it() {
    let site = Site::start(people(&[]), &["--sso-default-role=viewer"]).await;
    let begin = async |from: &str| {
        let mut browser = site.server.visitor();
        let request = plain_client().get(browser.url("/sign-in/sso?next=/credentials")).header("Sec-Fetch-Site", from);
        let page = browser.send(request).await;
        (page.status, page.location.unwrap_or_default(), !browser.cookies.is_empty())
    };
    for from in ["cross-site", "same-site"] {
        assert_eq!(begin(from).await, (303, "/sign-in?next=/credentials".to_owned(), false), "{from}");
    }
    for from in ["same-origin", "none"] {
        let (status, to, pending) = begin(from).await;
        assert!(status == 303 && to.starts_with("https://") && pending, "{from}: {to}");
    }
    site.server.stop().await;
}

#[tokio::test]
async fn single_sign_on_needs_no_second_factor_of_keytile() {
    let site = Site::start(people(&[]), &["--sso-default-role=viewer", "--require-second-factor"]).await;
    let mut ada = site.browser_of("ada").await;
    assert_eq!(ada.get("/credentials").await.status, 200);
    site.server.stop().await;
}

#[tokio::test]
async fn as_the_only_way_in_it_takes_no_password_and_no_link() {
    let site = Site::start(people(&[]), &["--sso-default-role=viewer", "--sso-only"]).await;
    let mut browser = site.server.visitor();
    let asked = browser.get("/credentials?q=x").await;
    assert_eq!((asked.status, asked.location.as_deref()), (303, Some("/sign-in?next=/credentials%3Fq%3Dx")));
    let page = browser.get("/sign-in?next=/credentials%3Fq%3Dx").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("href=\"/sign-in/sso?next=/credentials%3Fq%3Dx\""), "{}", page.text);
    assert!(!page.text.contains("name=\"password\""), "{}", page.text);

    // The right password, with a form token that fits the browser's cookie.
    browser.cookies.insert(SESSION.to_owned(), "x".repeat(43));
    let typed = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", "/")];
    let refused = browser.post("/sign-in", &typed).await;
    assert_eq!(refused.status, 403);
    refused.says("You can't sign in with a password here");
    for path in ["/sign-in/code", "/password", "/password?token=abc"] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    assert_eq!(browser.post("/password", &[("token", "abc"), ("password", PASSWORD)]).await.status, 403);
    assert!(!site.is_signed_in(&browser).await);
    let events = site.events().await;
    assert_eq!(events.len(), 5, "{events:#?}");
    let event = "session.sign_in|refused|||with a password or a link, but single sign-on is the only way in";
    assert!(events.iter().all(|recorded| recorded == event), "{events:#?}");

    // By single sign-on people come in, and are sent on by the page of the button.
    let mut ada = site.browser_of("ada").await;
    let on = ada.get("/sign-in?next=/credentials").await;
    assert_eq!((on.status, on.location.as_deref()), (303, Some("/credentials")));
    assert_eq!(ada.post("/sign-out", &[]).await.status, 303);
    assert!(!site.is_signed_in(&ada).await);
    site.server.stop().await;
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_audit_trail_with_refused_passwords() {
    let site = Site::start(people(&[]), &["--sso-only"]).await;
    let mut browser = site.server.visitor();
    for _ in 0..30 {
        assert_eq!(browser.get("/password?token=abc").await.status, 403);
    }
    assert_eq!(site.events().await.len(), 20);
    // Users who are signed in are not affected.
    assert_eq!(site.server.browser().get("/").await.status, 200);
    site.server.stop().await;
}
