//! Requests with a second one hidden in them, as they are smuggled past a proxy that reads them differently: the
//! second is never answered, and the connection ends.

use std::time::Duration;

use crate::support::{
    raw::Raw,
    server::{Server, Setup},
};

/// Idle connections end soon, so that a test need not know which way a shape ends.
async fn start() -> Server {
    let mut setup = Setup::new();
    setup.overrides.serving.idle = Duration::from_millis(500);
    setup.overrides.serving.head = Duration::from_millis(1_000);
    setup.overrides.serving.body_piece = Duration::from_millis(1_000);
    setup.start_without_accounts().await
}

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

/// How requests are smuggled. `{host}` is a Host header, `{hidden}` a whole request.
const SHAPES: [(&str, &str); 44] = [
    ("both lengths", "POST /setup HTTP/1.1\r\n{host}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
    (
        "both lengths turned round",
        "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{hidden}",
    ),
    (
        "a length over a chunk",
        "POST /setup HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\n{hidden}\r\n0\r\n\r\n",
    ),
    ("two lengths", "POST /setup HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: 44\r\n\r\n{hidden}"),
    ("the same length twice", "POST /setup HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx{hidden}"),
    ("a list of lengths", "POST /setup HTTP/1.1\r\n{host}Content-Length: 0, 44\r\n\r\n{hidden}"),
    ("a list of the same length", "POST /setup HTTP/1.1\r\n{host}Content-Length: 0, 0\r\n\r\n{hidden}"),
    ("a length with a sign", "POST /setup HTTP/1.1\r\n{host}Content-Length: +0\r\n\r\n{hidden}"),
    ("a negative length", "POST /setup HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n{hidden}"),
    ("a length in another base", "POST /setup HTTP/1.1\r\n{host}Content-Length: 0x0\r\n\r\n{hidden}"),
    ("a length with a unit", "POST /setup HTTP/1.1\r\n{host}Content-Length: 0 bytes\r\n\r\n{hidden}"),
    ("an empty length", "POST /setup HTTP/1.1\r\n{host}Content-Length:\r\n\r\n{hidden}"),
    ("a length beyond all numbers", "POST /setup HTTP/1.1\r\n{host}Content-Length: 18446744073709551616\r\n\r\n{hidden}"),
    ("a space before the colon", "POST /setup HTTP/1.1\r\n{host}Content-Length : 44\r\n\r\n{hidden}"),
    ("a space before the other colon", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
    ("a tab before the colon", "POST /setup HTTP/1.1\r\n{host}Content-Length\t: 44\r\n\r\n{hidden}"),
    ("a space before the name", "POST /setup HTTP/1.1\r\n{host} Content-Length: 44\r\n\r\n{hidden}"),
    ("chunked and then something", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
    ("something and then chunked", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}"),
    (
        "two codings",
        "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}",
    ),
    (
        "chunked twice",
        "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    ),
    ("an unknown coding", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
    ("a coding with a parameter", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{hidden}"),
    ("a coding in quotes", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{hidden}"),
    ("a coding behind a control", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n{hidden}"),
    ("a coding on a line of its own", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}"),
    ("a folded line", "POST /setup HTTP/1.1\r\n{host}X-Folded: a\r\n Content-Length: 44\r\n\r\n{hidden}"),
    (
        "a coding under HTTP/1.0",
        "POST /setup HTTP/1.0\r\n{host}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    ),
    ("a bare line feed in the head", "POST /setup HTTP/1.1\r\n{host}X: a\nContent-Length: 44\r\n\r\n{hidden}"),
    ("a bare line feed at the end", "GET /setup HTTP/1.1\r\n{host}X: a\r\n\n{hidden}"),
    ("bare line feeds alone", "GET /setup HTTP/1.1\nHost: 127.0.0.1\n\n{hidden}"),
    ("a bare carriage return", "POST /setup HTTP/1.1\r\n{host}X: a\rContent-Length: 44\r\n\r\n{hidden}"),
    ("a zero byte in a header", "GET /setup HTTP/1.1\r\n{host}X: a\0b\r\n\r\n{hidden}"),
    ("a line feed in a chunk's extension", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n{hidden}"),
    ("a bare line feed after a chunk's size", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\n\r\n{hidden}"),
    ("a chunk's size with a sign", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{hidden}"),
    ("a chunk's size in another base", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
    (
        "a chunk's size beyond all numbers",
        "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{hidden}",
    ),
    (
        "a chunk that is longer than its size",
        "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n{hidden}",
    ),
    ("a request in the trailers", "POST /setup HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n{hidden}"),
    ("a body of a GET", "GET /setup HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n{hidden}"),
    (
        "a body that nobody reads",
        "POST /setup HTTP/1.1\r\n{host}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{hidden}",
    ),
    ("one after the other without waiting", "GET /setup HTTP/1.1\r\n{host}\r\n{hidden}"),
    ("two names of the host", "GET /setup HTTP/1.1\r\n{host}{host}\r\n{hidden}"),
];

#[tokio::test]
async fn a_hidden_request_is_never_answered() {
    let server = start().await;
    let host = format!("Host: {}\r\n", server.listening);
    let hidden = format!("GET /healthz HTTP/1.1\r\n{host}\r\n");
    let length = hidden.len().to_string();
    for (name, shape) in SHAPES {
        // As a form, so that its body is read.
        let form = match shape.contains("Content-Type") {
            true => "{host}",
            false => "{host}Content-Type: application/x-www-form-urlencoded\r\n",
        };
        let shape = shape.replacen("{host}", form, 1);
        let request = shape.replace("{host}", &host).replace("{hidden}", &hidden).replace("{length}", &length);
        for pieces in [1, 2] {
            // Whole, or with what is hidden behind in a piece of its own.
            let (first, second) = request.split_at(if pieces == 1 { request.len() } else { request.find("GET /healthz").unwrap() });
            let mut raw = Raw::with(server.listening, first).await;
            // If the first piece was refused, the connection may be closed already.
            let _ = raw.try_write(second).await;
            let answer = raw.rest().await;
            assert!(answers(&answer) <= 1 && !answer.contains("ok\ndatabase: "), "{name} in {pieces}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{name} in {pieces}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_ambiguous_is_refused() {
    let server = start().await;
    let host = format!("Host: {}\r\n", server.listening);
    for head in
        ["GET /healthz HTTP/1.1\n{host}\r\n", "GET /healthz HTTP/1.1\r\n{host}X: a\n\r\n", "\nGET /healthz HTTP/1.1\r\n{host}\r\n"]
    {
        let answer = Raw::with(server.listening, &head.replace("{host}", &host)).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{head:?}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_request_after_the_other_is_answered() {
    let server = start().await;
    let host = format!("Host: {}\r\n", server.listening);
    let mut raw = Raw::connect(server.listening).await;
    // A form with its body in the same piece, then in another; an empty line more between requests is allowed.
    let form =
        format!("POST /setup HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n");
    let get = format!("GET /healthz HTTP/1.1\r\n{host}\r\n");
    for text in [format!("{form}token=x"), form.clone()] {
        raw.write(&text).await;
        if text == form {
            raw.write("token=x").await;
        }
        assert!(raw.until("</html>").await.starts_with("HTTP/1.1 403 "));
        raw.write(&get).await;
        assert!(raw.until("ok\n").await.starts_with("HTTP/1.1 200 "));
        raw.write("\r\n").await;
        raw.write(&get).await;
        assert!(raw.until("ok\n").await.starts_with("HTTP/1.1 200 "));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_in_chunks_is_taken_and_is_the_last() {
    let server = start().await;
    let head = format!(
        "POST /setup HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.listening
    );
    let mut raw = Raw::with(server.listening, &format!("{head}3\r\ntok\r\n4\r\nen=x\r\n0\r\n\r\n")).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("connection: close") && answer.ends_with("</html>"), "{answer}");
    server.stop().await;
}
