//! A host that an operator has pinned to an `http://` address: what is forwarded goes there without TLS.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use reqwest::Method;
use tokio::net::TcpListener;

use super::{HOSTS, Scene};
use crate::support::{api_server::with_json, server::Setup};

#[tokio::test]
async fn what_is_forwarded_goes_in_the_clear_where_a_pin_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, body: Bytes| {
        keep.lock().unwrap().push((headers, body));
        async { "in the clear" }
    };
    let serving = tokio::spawn(async move { axum::serve(listener, Router::new().route("/contacts", post(answer))).await });
    let setup = Setup::new().with(format!("--egress-pin={}=http://{address}", HOSTS[1]));
    let scene = Scene::set_with(setup, async |_| with_json(500, &serde_json::json!({}))).await;
    for number in 1..=2 {
        let answer = scene.ask(Method::POST, &scene.destination, "/contacts").body(format!("{number}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["x-keytile-upstream"].to_str().unwrap()), (200, "1"));
        assert_eq!(answer.text().await.unwrap(), "in the clear");
    }
    serving.abort();
    let seen = seen.lock().unwrap();
    for ((headers, body), number) in seen.iter().zip(["1", "2"]) {
        assert_eq!((headers["host"].to_str().unwrap(), headers["authorization"].to_str().unwrap()), (HOSTS[1], "Basic tok-1"));
        assert_eq!(body, number);
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(scene.service.seen().len(), 0, "nothing went where the later pin leads");
}
