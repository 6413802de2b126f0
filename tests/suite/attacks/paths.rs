//! Addresses that lead out of where they should, ids that are none, and lines slipped into headers.

use super::routes;
use crate::support::{
    raw::Raw,
    server::{Server, Setup},
};

/// Sends a request target as it is, which no client does; answers the whole answer.
async fn ask(server: &Server, target: &str, headers: &str) -> String {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}Connection: close\r\n\r\n", server.listening);
    Raw::with(server.listening, &head).await.rest().await
}

#[tokio::test]
async fn nothing_but_the_assets_is_served_however_it_is_asked_for() {
    let server = Setup::new().start().await;
    for up in
        ["..", "%2e%2e", ".%2e", "..%2f..", "..%5c..", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "....//", "..;", "%252e%252e", "%2f"]
    {
        for file in ["Cargo.toml", "etc/passwd", "keytile.db", "data/keyring"] {
            for target in [
                format!("/static/{up}/{file}"),
                format!("/static/{up}%2f{file}"),
                format!("/static//{up}/{file}"),
                format!("/{up}/{file}"),
            ] {
                let answer = ask(&server, &target, "").await;
                let status: u16 = answer[9..12].parse().unwrap();
                assert!((300..500).contains(&status), "{target}: {answer}");
                for content in ["[package]", "root:", "SQLite format"] {
                    assert!(!answer.contains(content), "{target}: {answer}");
                }
            }
        }
    }
    for name in ["%00", "keytile.css%00.js", "%ff", "a%0d%0aSet-Cookie:%20x=1", &"a".repeat(5_000), "."] {
        let answer = ask(&server, &format!("/static/{name}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
        assert!(!answer.contains("\r\nSet-Cookie: x=1"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_id_of_another_shape_is_a_page_that_does_not_exist() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let long = "1".repeat(5_000);
    let shapes = ["0", "-1", "1'%20OR%201=1--", "%00", "%ff", "..%2f..", "%E2%80%AE", "null", "{id}", "*", long.as_str()];
    for route in routes().into_iter().filter(|route| route.takes_get && route.path.contains(super::NOTHING)) {
        for shape in shapes {
            let path = route.path.replace(super::NOTHING, shape);
            let status = ana.get(&path).await.status;
            assert!([400, 404].contains(&status), "{status} for {path}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn no_header_line_can_be_slipped_in() {
    let server = Setup::new().start().await;
    for (target, headers) in [
        ("/sign-in?next=/%0d%0aInjected:%20yes", ""),
        ("/credentials?q=%0d%0aInjected:%20yes", ""),
        ("/%0d%0aInjected:%20yes", ""),
        ("/", "X-Request-Id: a%0d%0aInjected: yes\r\n"),
        ("/", "X-Request-Id: a\rInjected: yes\r\n"),
        ("/sign-in", "Cookie: keytile_session=a\rInjected: yes\r\n"),
        ("/sign-in", "Cookie: keytile_session=\"><script>alert(1)</script>\r\n"),
        ("/sign-in", "X-Forwarded-For: 1.1.1.1\nInjected: yes\r\n"),
        ("/sign-in", "X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n"),
    ] {
        let answer = ask(&server, target, headers).await;
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("injected")), "{target} {headers}: {answer}");
        assert!(!answer.contains("evil.example") && !answer.contains("<script>alert"), "{target} {headers}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{target} {headers}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_of_every_route_keeps_out_of_frames_and_caches() {
    let server = Setup::sandbox().start().await;
    for mut browser in [server.browser(), server.visitor()] {
        for route in routes() {
            for page in [browser.get(&route.path).await, browser.clone().post(&route.path, &[]).await] {
                let value = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
                let policy = value("content-security-policy");
                assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{} {policy}", route.path);
                assert_eq!(value("x-content-type-options"), "nosniff", "{}", route.path);
                assert_eq!(value("cross-origin-opener-policy"), "same-origin", "{}", route.path);
                assert_eq!(value("cross-origin-resource-policy"), "same-origin", "{}", route.path);
                assert_eq!(value("referrer-policy"), "same-origin", "{}", route.path);
                assert_eq!(value("cache-control"), "no-store", "{}", route.path);
                let to = page.location.unwrap_or_default();
                assert!(to.is_empty() || to.starts_with('/') && !to.starts_with("//"), "{} leads to {to}", route.path);
            }
        }
    }
    server.stop().await;
}
