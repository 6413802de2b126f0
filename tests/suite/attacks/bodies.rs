//! Bodies that are no form, or too much of one: each is answered, by every route, and none is an error of Keytile's.

use reqwest::{RequestBuilder, header};

use super::{form_paths, script::typed_forms};
use crate::support::server::{Browser, Setup};

/// A form of this session with these bytes behind its token.
fn after_the_token(browser: &Browser, path: &str, bytes: &[u8]) -> RequestBuilder {
    let mut body = format!("form_token={}&", browser.form_token()).into_bytes();
    body.extend_from_slice(bytes);
    browser.form(path, &[]).body(body)
}

/// What is no form, too much of one, or one of somebody who tries things.
fn malformed() -> Vec<Vec<u8>> {
    let many_fields = "a=1&".repeat(60_000);
    let twice = "name=a&name=b&email=c&email=d&draft=x&draft=y&version=1&version=2&role=viewer&role=administrator";
    let numbers = "version=99999999999999999999999&version=-1&expires=-9223372036854775809";
    vec![
        b"name=%".to_vec(),
        b"name=%zz%f&%=%&=&&&===".to_vec(),
        b"name=%00&email=%00&draft=%00&with=%00&q=%00&description=%00&password=%00&code=%00&to=%00".to_vec(),
        b"name=\0&email=\0&to=\0".to_vec(),
        b"name=\xff\xfe&email=\xc0\xaf&password=\xed\xa0\x80".to_vec(),
        b"name=%ff%fe&email=%c0%af&password=%ed%a0%80".to_vec(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(),
        b"name[$ne]=1&__proto__[role]=administrator&name.role=x".to_vec(),
        twice.as_bytes().to_vec(),
        numbers.as_bytes().to_vec(),
        many_fields.into_bytes(),
        format!("name={0}&email={0}&to={0}&with={0}&q={0}", "x".repeat(40_000)).into_bytes(),
        "name=\u{202e}\u{feff}\u{0}&email=a@b\u{130}.example".as_bytes().to_vec(),
    ]
}

#[tokio::test]
async fn malformed_forms_are_never_an_error_of_the_server() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let bodies = malformed();
    // The sign-out is left out: after it there is no session whose forms could be sent.
    for path in form_paths().into_iter().filter(|path| path != "/sign-out") {
        for bytes in &bodies {
            let status = ana.send(after_the_token(&ana, &path, bytes)).await.status;
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            assert!(status < 500, "{path} answers {status} to {start:?}");
        }
    }
    assert_eq!(ana.get("/").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn malformed_forms_for_what_there_is_are_none_either() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let mut answered = std::collections::BTreeMap::new();
    for form in typed_forms(&mut ana).await {
        for bytes in malformed() {
            let page = ana.send(after_the_token(&ana, &form.address, &bytes)).await;
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            assert!(page.status < 500, "{} answers {} to {start:?}", form.route, page.status);
            *answered.entry(page.status).or_insert(0) += 1;
        }
    }
    // Most reached the handler of something that there is: shown again, or told to be no form of a page.
    assert!(answered[&422] > 40 && answered[&400] > 20, "{answered:?}");
    assert_eq!(ana.get("/").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_in_a_coding_is_not_unpacked_and_a_million_fields_are_too_many() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    // gzip of nothing: what is not unpacked has no token in it.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for path in form_paths() {
        let packed = ana.form(&path, &[]).header(header::CONTENT_ENCODING, "gzip").body(gzip.to_vec());
        assert_eq!(ana.send(packed).await.status, 403, "{path}");
    }
    let million = "a&".repeat(1_000_000);
    let answered = ana.send(after_the_token(&ana, "/settings/name", million.as_bytes())).await;
    assert_eq!(answered.status, 413);
    server.stop().await;
}
