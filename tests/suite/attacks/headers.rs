//! The headers that protect, on answers that are easily forgotten, and content types that play with character sets.

use reqwest::{Method, header};

use super::routes;
use crate::support::{
    https::{client, plain_client},
    server::{Page, Setup},
    tls::Authority,
};

/// What every answer says.
const PROTECTIVE: [&str; 8] = [
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
    "content-type",
];

fn value<'a>(headers: &'a header::HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_answer_without_a_body_has_the_headers_of_the_one_with_it() {
    let server = Setup::sandbox().start().await;
    for mut browser in [server.browser(), server.visitor()] {
        let mut asked = 0;
        for route in routes().into_iter().filter(|route| route.takes_get) {
            let with: Page = browser.clone().get(&route.path).await;
            let head = plain_client().request(Method::HEAD, browser.url(&route.path));
            let without = browser.send(head).await;
            assert_eq!((without.status, without.text.as_str()), (with.status, ""), "{}", route.path);
            for name in PROTECTIVE {
                assert_eq!(value(&without.headers, name), value(&with.headers, name), "{name} of {}", route.path);
                assert!(name == "content-type" || !value(&without.headers, name).is_empty(), "{name} of {}", route.path);
            }
            assert_eq!(without.location, with.location, "{}", route.path);
            asked += 1;
        }
        assert!(asked > 25, "{asked}");
    }
    server.stop().await;
}

#[tokio::test]
async fn over_tls_every_answer_asks_for_tls_from_then_on() {
    let authority = Authority::new();
    let setup = Setup::new();
    let (certificate, key) = (setup.folder.path().join("certificate.pem"), setup.folder.path().join("key.pem"));
    let pair = authority.pair(&["127.0.0.1"]);
    std::fs::write(&certificate, pair.0).unwrap();
    std::fs::write(&key, pair.1).unwrap();
    let setup = setup.with(format!("--tls-cert={}", certificate.display())).with(format!("--tls-key={}", key.display()));
    let server = setup.start_without_accounts().await;
    let client = client(authority.certificate(), server.listening, &[]);
    let mut paths: Vec<String> = routes().into_iter().map(|route| route.path).collect();
    paths.extend(["/nothing/that/is", "/static/nothing", "/%ff"].map(str::to_owned));
    let mut statuses = std::collections::BTreeSet::new();
    for path in paths {
        let url = server.address.join(&path).unwrap();
        let requests = [
            client.get(url.clone()),
            client.head(url.clone()),
            client.post(url.clone()),
            client.delete(url.clone()),
            client.get(url.clone()).header(header::HOST, "evil.example"),
            client.post(url.clone()).header(header::ORIGIN, "https://evil.example"),
            client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body("a=1"),
        ];
        for request in requests {
            let answer = request.send().await.unwrap();
            let what = format!("{path}: {}", answer.status());
            statuses.insert(answer.status().as_u16());
            assert_eq!(value(answer.headers(), "strict-transport-security"), "max-age=31536000", "{what}");
            assert!(value(answer.headers(), "content-security-policy").contains("frame-ancestors 'none'"), "{what}");
            for cookie in answer.headers().get_all(header::SET_COOKIE) {
                let cookie = cookie.to_str().unwrap();
                assert!(
                    cookie.starts_with("__Host-") && cookie.contains("; Secure") && cookie.contains("; HttpOnly"),
                    "{what}: {cookie}"
                );
            }
        }
    }
    for status in [200, 303, 403, 404, 405, 415, 421] {
        assert!(statuses.contains(&status), "no answer was {status}: {statuses:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_form_that_names_another_character_set_is_read_and_shown_as_utf_8() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let token = ana.form_token();
    // `<script>` in UTF-7, which is text in UTF-8.
    let name = "+ADw-script+AD4-pwned()+ADw-/script+AD4-";
    let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let body = format!("name={encoded}&form_token={token}");
    let wide: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for charset in
        ["utf-7", "utf-16", "\"utf-16le\"", "utf-32", "iso-2022-jp", "ibm037", "x-user-defined", "\"", "utf-8; charset=utf-7"]
    {
        let kind = format!("application/x-www-form-urlencoded; charset={charset}");
        let narrow = ana.form("/settings/name", &[]).header(header::CONTENT_TYPE, &kind).body(body.clone());
        let done = ana.send(narrow).await;
        // Two content types are none.
        assert!([303, 415].contains(&done.status), "{charset}: {}", done.status);
        for path in super::form_paths() {
            let request = plain_client().post(ana.url(&path)).header("Sec-Fetch-Site", "same-origin");
            let refused = ana.send(request.header(header::CONTENT_TYPE, &kind).body(wide.clone())).await;
            assert_eq!(refused.status, 403, "{path} as {charset}");
            assert_eq!(value(&refused.headers, "content-type"), "text/html; charset=utf-8", "{path}");
        }
    }
    let request = plain_client().post(ana.url("/settings/name")).header("Sec-Fetch-Site", "same-origin");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-7");
    assert_eq!(ana.send(request.body(body)).await.status, 303);
    let page = ana.get("/settings").await;
    assert_eq!(value(&page.headers, "content-type"), "text/html; charset=utf-8");
    assert_eq!(page.value("name"), name);
    assert!(!page.text.contains("<script>pwned"));
    server.stop().await;
}
