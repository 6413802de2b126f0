//! What a client may use of time, size and number, and what it is answered beyond that: 408, 413, 431, 503.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    raw::Raw,
    server::{Server, Setup},
};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(600);

/// The head of a form for `/setup`, up to its length.
const FORM: &str = "POST /setup HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n";

fn host(server: &Server) -> String {
    format!("Host: {}\r\n", server.listening)
}

async fn ask(server: &Server, head: &str) -> String {
    Raw::with(server.listening, &format!("{head}{}Connection: close\r\n\r\n", host(server))).await.rest().await
}

#[tokio::test]
async fn a_head_has_a_largest_size_and_a_most_of_lines() {
    let server = Setup::new().start_without_accounts().await;
    for (lines, line, status) in [(1, 30_000, 200), (1, 40_000, 431), (8, 5_000, 431), (97, 1, 200), (101, 1, 431)] {
        let lines: String = (0..lines).map(|at| format!("X-{at}: {}\r\n", "x".repeat(line))).collect();
        let answer = ask(&server, &format!("GET /healthz HTTP/1.1\r\n{lines}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
    let answer = ask(&server, &format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    let server = Setup::new().start_without_accounts().await;
    // The answer is not lost where the client reads it only after it has sent all, as browsers do.
    let body = "x".repeat(1_000_000);
    let head = format!("{FORM}{}Content-Length: {}\r\n\r\n", host(&server), body.len());
    let answer = Raw::with(server.listening, &format!("{head}{body}")).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("Form too large"), "{answer}");
    assert!(answer.contains("connection: close") && answer.ends_with("</html>"), "{answer}");
    let mut chunked = Raw::with(server.listening, &format!("{FORM}{}Transfer-Encoding: chunked\r\n\r\n", host(&server))).await;
    chunked.write(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
    assert!(chunked.rest().await.starts_with("HTTP/1.1 413 "));
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let mut setup = Setup::new();
    (setup.overrides.serving.head, setup.overrides.serving.idle) = (SHORT, LONG);
    let server = setup.start_without_accounts().await;
    let nothing = async {
        let started = Instant::now();
        assert_eq!(Raw::connect(server.listening).await.rest().await, "");
        assert!(started.elapsed() >= SHORT);
    };
    let half = async {
        let answer = Raw::with(server.listening, "GET / HTTP/1.1\r\nHost: a").await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
    };
    // Each piece comes soon, and the whole never.
    let drop_by_drop = async {
        let mut raw = Raw::with(server.listening, "GET / HTTP/1.1\r\n").await;
        let started = Instant::now();
        while raw.try_write("X-Drop: x\r\n").await.is_ok() {
            assert!(started.elapsed() < Duration::from_secs(15), "a slow head is taken for ever");
            sleep(Duration::from_millis(20)).await;
        }
    };
    let second = async {
        let mut raw = Raw::with(server.listening, &format!("GET /healthz HTTP/1.1\r\n{}\r\n", host(&server))).await;
        raw.until("ok\n").await;
        raw.write("GET /healthz HTTP/1.1\r\n").await;
        assert!(raw.rest().await.starts_with("HTTP/1.1 408 "));
    };
    tokio::join!(nothing, half, drop_by_drop, second);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let mut setup = Setup::new();
    (setup.overrides.serving.idle, setup.overrides.serving.head) = (SHORT, LONG);
    let server = setup.start_without_accounts().await;
    let mut raw = Raw::connect(server.listening).await;
    for _ in 0..3 {
        raw.write(&format!("GET /healthz HTTP/1.1\r\n{}\r\n", host(&server))).await;
        raw.until("ok\n").await;
    }
    assert_eq!(raw.rest().await, "", "closed without a word");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_rests_is_served_when_it_asks_again() {
    let mut setup = Setup::new();
    setup.overrides.serving.rest = Duration::from_millis(20);
    (setup.overrides.serving.idle, setup.overrides.serving.head) = (2 * SHORT, SHORT);
    let server = setup.start_without_accounts().await;
    let request = format!("GET /healthz HTTP/1.1\r\n{}\r\n", host(&server));
    let mut raw = Raw::connect(server.listening).await;
    let mut asked = Instant::now();
    for pause in [0, 10, 20, 60, 60] {
        sleep(Duration::from_millis(pause)).await;
        asked = Instant::now();
        raw.write(&request).await;
        raw.until("ok\n").await;
    }
    // What it was allowed before it is allowed still: so long without a request, and so long for a head.
    assert_eq!(raw.rest().await, "", "closed without a word");
    assert!(asked.elapsed() >= 2 * SHORT, "{:?}", asked.elapsed());
    let mut raw = Raw::with(server.listening, &request).await;
    raw.until("ok\n").await;
    sleep(Duration::from_millis(60)).await;
    raw.write("GET /healthz HTTP/1.1\r\n").await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 408 "));
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut setup = Setup::new();
    (setup.overrides.serving.body_piece, setup.overrides.serving.body_whole) = (SHORT, LONG);
    let server = setup.start_without_accounts().await;
    for part in ["", "token=x"] {
        let head = format!("{FORM}{}Content-Length: 100\r\n\r\n{part}", host(&server));
        let answer = Raw::with(server.listening, &head).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("Request timed out") && answer.contains("content-security-policy"), "{answer}");
    }
    server.stop().await;

    (setup.overrides.serving.body_piece, setup.overrides.serving.body_whole) = (LONG, SHORT);
    let server = setup.start_without_accounts().await;
    let mut raw = Raw::with(server.listening, &format!("{FORM}{}Content-Length: 100000\r\n\r\n", host(&server))).await;
    let started = Instant::now();
    while raw.try_write("x").await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(15), "a slow body is taken for ever");
        sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn more_requests_than_can_be_answered_are_told_to_come_back() {
    let mut setup = Setup::new();
    setup.overrides.serving.in_flight = 1;
    let server = setup.start_without_accounts().await;
    let head = format!("{FORM}{}Expect: 100-continue\r\nContent-Length: 7\r\n\r\n", host(&server));
    let mut first = Raw::with(server.listening, &head).await;
    // Now its body is being waited for.
    first.until("100 Continue\r\n\r\n").await;
    let beyond = ask(&server, "GET /setup HTTP/1.1\r\n").await;
    assert!(
        beyond.starts_with("HTTP/1.1 503 ") && beyond.contains("retry-after: 1") && beyond.contains("Temporarily unavailable"),
        "{beyond}"
    );
    assert!(ask(&server, "GET /healthz HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200 "), "who watches over it is answered");
    first.write("token=x").await;
    assert!(first.until("</html>").await.starts_with("HTTP/1.1 403 "));
    assert!(ask(&server, "GET /setup HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_are_still_coming_keep_nobody_from_reading() {
    let mut setup = Setup::new();
    setup.overrides.serving.receiving = 8;
    let server = setup.start_without_accounts().await;
    let head = format!("{FORM}{}Expect: 100-continue\r\nContent-Length: 7\r\n\r\n", host(&server));
    let mut first = Raw::with(server.listening, &head).await;
    first.until("100 Continue\r\n\r\n").await;
    // One client has an eighth of the places.
    let beyond = Raw::with(server.listening, &head).await.rest().await;
    assert!(beyond.starts_with("HTTP/1.1 503 ") && beyond.contains("retry-after: 1"), "{beyond}");
    assert!(ask(&server, "GET /setup HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200 "));
    first.write("token=x").await;
    assert!(first.until("</html>").await.starts_with("HTTP/1.1 403 "));
    let mut next = Raw::with(server.listening, &head).await;
    next.until("100 Continue\r\n\r\n").await;
    drop(next);
    server.stop().await;
}

#[tokio::test]
async fn beyond_the_most_connections_the_next_waits_for_a_silent_one_to_end() {
    let mut setup = Setup::new();
    (setup.overrides.serving.connections, setup.overrides.serving.head) = (2, SHORT);
    let server = setup.start_without_accounts().await;
    let started = Instant::now();
    let silent = [Raw::connect(server.listening).await, Raw::connect(server.listening).await];
    // In the system's queue its time has not begun.
    assert!(ask(&server, "GET /healthz HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200 "));
    assert!(started.elapsed() >= SHORT, "there was no room: {:?}", started.elapsed());
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_nobody_who_has_not_asked() {
    let mut setup = Setup::new();
    (setup.overrides.serving.head, setup.overrides.serving.idle) = (LONG, LONG);
    let server = setup.start_without_accounts().await;
    let get = format!("GET /healthz HTTP/1.1\r\n{}\r\n", host(&server));
    let mut silent = Raw::connect(server.listening).await;
    let mut half = Raw::with(server.listening, "GET /healthz HTTP/1.1\r\nHost").await;
    let mut idle = Raw::with(server.listening, &get).await;
    idle.until("ok\n").await;
    let mut half_a_second = Raw::with(server.listening, &get).await;
    half_a_second.until("ok\n").await;
    half_a_second.write("GET /healthz HTTP/1.1\r\nHost").await;
    assert!(ask(&server, "GET /healthz HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200 "));
    timeout(Duration::from_secs(10), server.stop()).await.expect("the stop is prompt");
    for raw in [&mut silent, &mut half, &mut idle, &mut half_a_second] {
        assert_eq!(raw.rest().await, "");
    }
}
