//! What of a request reaches the service, and what of its answer the client: method, path, headers, bodies, ranges,
//! trailers, in both directions and without being held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{Request, Response},
};
use futures_util::{StreamExt, stream};
use hyper::body::Incoming;
use reqwest::Method;
use tokio::sync::{Notify, mpsc};

use super::Scene;
use crate::{
    support::{api_server::with_json, raw::Raw},
    web::sessions::until,
};

/// Answers with what came.
async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert("x-method", head.method.as_str().parse().unwrap());
    response
}

#[tokio::test]
async fn a_request_arrives_with_the_token_in_place_of_the_key() {
    let scene = Scene::set(echo).await;
    let answer = scene
        .get("/users/7?page=2&q=a%20b&q=c")
        .header("cookie", "keytile_session=x")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-custom", "kept")
        .header("x-request-id", "run-17")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-keytile-upstream"], "1");
    assert_eq!(answer.headers()["x-request-id"], "run-17");
    let seen = scene.service.seen().pop().unwrap();
    assert_eq!(seen.uri, "/users/7?page=2&q=a%20b&q=c");
    assert_eq!(seen.header("authorization"), Some("Basic tok-1"));
    assert_eq!(seen.header("host"), Some("api.talkdeskapp.com"));
    assert_eq!((seen.header("x-custom"), seen.header("x-request-id")), (Some("kept"), Some("run-17")));
    assert_eq!((seen.header("cookie"), seen.header("x-forwarded-for")), (None, None));
    assert!(!format!("{seen:?}").contains(&scene.key), "the key goes no further");
    let posted = scene.ask(Method::POST, &scene.destination, "/contacts").body("{\"name\":\"Ö\"}").send().await.unwrap();
    assert_eq!((posted.headers()["x-method"].to_str().unwrap(), posted.status().as_u16()), ("POST", 200));
    assert_eq!(posted.text().await.unwrap(), "{\"name\":\"Ö\"}");
    assert_eq!(scene.service.issued(), 1, "the token of the Save is used");
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let scene = Scene::set(echo).await;
    scene.get("/users").send().await.unwrap().text().await.unwrap();
    let before = scene.service.connections();
    for _ in 0..20 {
        scene.get("/users").send().await.unwrap().text().await.unwrap();
    }
    assert_eq!(scene.service.connections(), before);
}

#[tokio::test]
async fn what_http_says_of_an_answer_is_kept() {
    let scene = Scene::set(|request: Request<Incoming>| async move {
        let has = |name: &str| request.headers().contains_key(name);
        let response = Response::builder();
        match request.uri().path() {
            "/not-modified" if has("if-none-match") => response.status(304).header("etag", "\"x\"").body(Body::empty()),
            "/range" if has("range") => response.status(206).header("content-range", "bytes 1-3/9").body(Body::from("bcd")),
            "/nothing" => response.status(204).body(Body::empty()),
            "/head" => response.header("content-length", "12345").header("x-only", "head").body(Body::empty()),
            "/packed" => response.header("content-encoding", "gzip").body(Body::from(&b"\x1f\x8b no gzip at all"[..])),
            "/moved" => response.status(307).header("location", "https://elsewhere.example/").body(Body::empty()),
            "/limited" => response.status(429).header("retry-after", "7").body(Body::from("slow down")),
            "/cookie" => response
                .header("set-cookie", "a=b")
                .header("x-request-id", "of-the-service")
                .header("cache-control", "max-age=60")
                .body(Body::empty()),
            _ => response.status(404).body(Body::from("none")),
        }
        .unwrap()
    })
    .await;
    let modified = scene.get("/not-modified").header("if-none-match", "\"x\"").send().await.unwrap();
    assert_eq!((modified.status().as_u16(), modified.headers()["etag"].to_str().unwrap()), (304, "\"x\""));
    let range = scene.get("/range").header("range", "bytes=1-3").send().await.unwrap();
    assert_eq!(range.headers()["content-range"], "bytes 1-3/9");
    assert_eq!((range.status().as_u16(), range.text().await.unwrap()), (206, "bcd".into()));
    assert_eq!(scene.get("/nothing").send().await.unwrap().status(), 204);
    let head = scene.ask(Method::HEAD, &scene.source, "/head").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "12345"));
    assert_eq!(scene.service.seen().pop().unwrap().method, "HEAD");
    let packed = scene.get("/packed").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.bytes().await.unwrap(), &b"\x1f\x8b no gzip at all"[..]);
    let moved = scene.get("/moved").send().await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (307, "https://elsewhere.example/"));
    let limited = scene.get("/limited").send().await.unwrap();
    assert_eq!((limited.status().as_u16(), limited.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(limited.headers()["x-keytile-upstream"], "1", "it is the service that says so");
    let cookie = scene.get("/cookie").send().await.unwrap();
    assert!(!cookie.headers().contains_key("set-cookie"));
    assert_eq!(cookie.headers()["cache-control"], "max-age=60");
    assert_eq!(cookie.headers()["x-upstream-request-id"], "of-the-service");
    assert_eq!(scene.get("/else").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn bodies_stream_both_ways_without_being_held() {
    // The API answers each piece as it comes.
    let scene = Scene::set(|request: Request<Incoming>| async move {
        Response::new(Body::from_stream(Body::new(request.into_body()).into_data_stream()))
    })
    .await;
    let (pieces, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = stream::unfold(body, |mut body| async move { body.recv().await.map(|piece| (piece, body)) });
    let request = scene.ask(Method::POST, &scene.destination, "/contacts").body(reqwest::Body::wrap_stream(body));
    let sending = tokio::spawn(request.send());
    pieces.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut answer = sending.await.unwrap().unwrap().bytes_stream();
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    // The second piece is sent only when the first has come back: nothing waits for the end.
    pieces.send(Ok(Bytes::from_static(b"second"))).await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "second");
    drop(pieces);
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn large_bodies_go_through_whole() {
    const PIECE: usize = 64 * 1024;
    const PIECES: u64 = 400;
    let scene = Scene::set(|request: Request<Incoming>| async move {
        if request.method() == Method::GET {
            let pieces = stream::iter(0..PIECES).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; PIECE])));
            return Response::new(Body::from_stream(pieces));
        }
        let mut body = Body::new(request.into_body()).into_data_stream();
        let mut length = 0;
        while let Some(piece) = body.next().await {
            length += piece.unwrap().len();
        }
        with_json(200, &serde_json::json!({ "length": length }))
    })
    .await;
    let mut down = scene.get("/export").send().await.unwrap().bytes_stream();
    let mut length = 0;
    while let Some(piece) = down.next().await {
        length += piece.unwrap().len();
    }
    assert_eq!(length as u64, PIECES * PIECE as u64);
    let pieces = stream::iter(0..PIECES).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; PIECE])));
    let up = scene.ask(Method::POST, &scene.destination, "/import").body(reqwest::Body::wrap_stream(pieces)).send().await;
    let up: serde_json::Value = serde_json::from_str(&up.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(up["length"], PIECES * PIECE as u64);
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_beginning_of_an_answer() {
    let mut setup = crate::support::server::Setup::new();
    setup.overrides.limits.first_byte = Duration::from_secs(1);
    let scene = Scene::set_with(setup, |request: Request<Incoming>| async move {
        let body = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
        Response::new(Body::from(body.len().to_string()))
    })
    .await;
    let pieces = stream::unfold(0, |number| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (number < 8).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(&[7; 1_000])), number + 1))
    });
    let sent = scene.ask(Method::POST, &scene.destination, "/import").body(reqwest::Body::wrap_stream(pieces)).send().await;
    assert_eq!(sent.unwrap().text().await.unwrap(), "8000");
}

#[tokio::test]
async fn trailers_of_an_answer_arrive() {
    let scene = Scene::set(|_| async {
        let trailers = [("x-checksum".parse().unwrap(), "77".parse().unwrap())].into_iter().collect();
        let frames = [hyper::body::Frame::data(Bytes::from_static(b"body")), hyper::body::Frame::trailers(trailers)];
        let frames = stream::iter(frames.map(Ok::<_, std::io::Error>));
        let mut response = Response::new(Body::new(http_body_util::StreamBody::new(frames)));
        response.headers_mut().insert("trailer", "x-checksum".parse().unwrap());
        response
    })
    .await;
    let request = format!(
        "GET /proxy/{}/users HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nTE: trailers\r\nConnection: close\r\n\r\n",
        scene.source, scene.server.listening, scene.key
    );
    let answer = Raw::with(scene.server.listening, &request).await.rest().await;
    assert!(answer.to_ascii_lowercase().contains("\r\nx-checksum: 77\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it_or_the_refusal() {
    let scene = Scene::set(echo).await;
    let head = |resource: &str, length: u64| {
        format!(
            "POST /proxy/{resource}/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n",
            scene.server.listening, scene.key
        )
    };
    let mut good = Raw::with(scene.server.listening, &head(&scene.destination, 4)).await;
    let leave = good.until("\r\n\r\n").await;
    assert!(leave.starts_with("HTTP/1.1 100 "), "{leave}");
    good.write("body").await;
    let answer = good.until("body").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(scene.service.seen().pop().unwrap().header("expect"), None);
    let refused = Raw::with(scene.server.listening, &head(&scene.destination, 1 << 40)).await.until("\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_at_the_service() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&gone);
    let scene = Scene::set(move |_| {
        let held = Gone(Arc::clone(&count));
        async move {
            let endless = stream::unfold(held, |held| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024])), held))
            });
            Response::new(Body::from_stream(endless))
        }
    })
    .await;
    let mut answer = scene.get("/endless").send().await.unwrap().bytes_stream();
    answer.next().await.unwrap().unwrap();
    drop(answer);
    until(async || gone.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let begun = Arc::new(Notify::new());
    let waiting = Arc::clone(&begun);
    let scene = Scene::set(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            let half = stream::iter([Ok(Bytes::from_static(b"half"))]);
            let broken = stream::once(async move {
                waiting.notified().await;
                Err(std::io::Error::other("broken"))
            });
            Response::new(Body::from_stream(half.chain(broken)))
        }
    })
    .await;
    let answer = scene.get("/users").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    begun.notify_one();
    assert!(answer.text().await.is_err());
}

#[tokio::test]
async fn a_slow_reader_makes_the_service_wait() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let scene = Scene::set(move |_| {
        let count = Arc::clone(&count);
        async move {
            let pieces = stream::unfold(count, |count| async move {
                count.fetch_add(1, Ordering::SeqCst);
                Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20])), count))
            });
            Response::new(Body::from_stream(pieces))
        }
    })
    .await;
    let answer = scene.get("/endless").send().await.unwrap();
    // What is on the way fills the buffers of the system, and then it stops: nothing takes in what nobody reads.
    let (last, still) = (AtomicUsize::new(0), AtomicUsize::new(0));
    until(async || {
        let now = sent.load(Ordering::SeqCst);
        let same = now > 0 && last.swap(now, Ordering::SeqCst) == now;
        still.store(if same { still.load(Ordering::SeqCst) + 1 } else { 0 }, Ordering::SeqCst);
        still.load(Ordering::SeqCst) >= 20
    })
    .await;
    let last = last.load(Ordering::SeqCst);
    assert!(last < 64, "{last} MiB were taken from the service, and none was read");
    drop(answer);
}

/// A body of 5 MiB, no part of which is in that of another number.
fn numbered(number: u32) -> Bytes {
    let block = |place: u32| [number.to_le_bytes(), place.to_le_bytes()].concat().repeat(512);
    (0..1_280).map(block).collect::<Vec<_>>().concat().into()
}

#[tokio::test]
async fn large_answers_stay_apart_and_whole_however_fast_they_are_taken() {
    let number = |path: &str| path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let scene = Scene::set(move |request: Request<Incoming>| {
        let body = Body::from(numbered(number(request.uri().path())));
        async { Response::new(body) }
    })
    .await;
    // Somebody who stops in the middle has a part in memory that the others must not get.
    let mut stopped = scene.get("/large/100").send().await.unwrap();
    let mut taken = stopped.chunk().await.unwrap().unwrap().to_vec();
    for round in 0..3 {
        let answers = (1..=6).map(|place| round * 10 + place).map(|number| {
            let ask = scene.get(&format!("/large/{number}"));
            async move { (number, ask.send().await.unwrap().bytes().await.unwrap()) }
        });
        for (number, body) in futures_util::future::join_all(answers).await {
            assert!(body == numbered(number), "{number} is another one: {} bytes", body.len());
        }
    }
    while let Some(more) = stopped.chunk().await.unwrap() {
        taken.extend_from_slice(&more);
    }
    assert!(taken == numbered(100), "{} bytes", taken.len());
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_is_sent() {
    let release = Arc::new(Notify::new());
    let scene = Scene::set(|_| async { with_json(409, &serde_json::json!({"message": "not now"})) }).await;
    let waiting = Arc::clone(&release);
    let pieces = stream::unfold((), move |()| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.notified().await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        }
    });
    let answer =
        scene.ask(Method::POST, &scene.destination, "/contacts").body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(answer.status(), 409);
    release.notify_one();
}
