//! Whose word on the client's address is taken: what the audit trail says of where a request came from.

use reqwest::header;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::{
    https::plain_client,
    server::{Browser, Setup},
};

/// The address in the newest event.
async fn last_address(setup: &Setup) -> String {
    let options = SqliteConnectOptions::new().filename(setup.data_dir().join("keytile.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let address = sqlx::query_scalar("SELECT address FROM audit_events ORDER BY seq DESC LIMIT 1");
    let address = address.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    address
}

/// Sends a form that is refused, which is recorded, with these headers.
async fn refused(browser: &mut Browser, headers: &[(&str, &str)]) {
    let mut request = browser.form("/sign-out", &[]).body("form_token=forged");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    assert_eq!(browser.send(request).await.status, 403);
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_comes_from() {
    let setup = Setup::new().with("--trusted-proxy=127.0.0.0/8,10.0.0.0/8");
    let server = setup.start().await;
    let mut browser = server.browser();
    for (lists, client) in [
        (&[][..], "127.0.0.1"),
        (&["198.51.100.1"], "198.51.100.1"),
        (&["6.6.6.6, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (&["6.6.6.6", "2001:db8::1"], "2001:db8::1"),
        (&["6.6.6.6, nonsense"], "127.0.0.1"),
    ] {
        let mut headers: Vec<_> = lists.iter().map(|list| ("x-forwarded-for", *list)).collect();
        headers.extend([("forwarded", "for=9.9.9.9"), ("x-real-ip", "9.9.9.9")]);
        refused(&mut browser, &headers).await;
        assert_eq!(last_address(&setup).await, client, "{lists:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    for setup in [Setup::new(), Setup::new().with("--trusted-proxy=10.0.0.0/8")] {
        let server = setup.start().await;
        refused(&mut server.browser(), &[("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")]).await;
        assert_eq!(last_address(&setup).await, "127.0.0.1");
        server.stop().await;
    }
}

#[tokio::test]
async fn no_proxy_says_which_host_was_asked_or_how() {
    let server = Setup::new().with("--trusted-proxy=127.0.0.0/8").start().await;
    let mut browser = server.browser();
    let request = plain_client().get(browser.url("/")).header(header::HOST, "evil.example");
    let forwarded = request.header("x-forwarded-host", server.listening.to_string()).header("x-forwarded-proto", "https");
    let page = browser.send(forwarded).await;
    assert_eq!(page.status, 421);
    assert!(!page.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    let https = browser.form("/sign-out", &[]).header("x-forwarded-proto", "https");
    let page = browser.send(https).await;
    let cookies: Vec<_> = page.headers.get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(!cookies.is_empty() && cookies.iter().all(|cookie| !cookie.contains("Secure")), "{cookies:?}");
    server.stop().await;
}
