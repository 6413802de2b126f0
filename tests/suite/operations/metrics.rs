//! What is counted, and that nothing of what is stored is told by it.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use axum::{body::Body, http::Response};
use reqwest::Method;
use serde_json::json;

use super::scrape::Scrape;
use crate::{
    proxy::Scene,
    support::{
        https::plain_client,
        raw::Raw,
        server::{OVERLAY, Server, Setup, good_values, replaced},
    },
    web::sessions::until,
};

fn with_metrics() -> Setup {
    Setup::new().with("--metrics-listen=127.0.0.1:0")
}

fn address(server: &Server) -> SocketAddr {
    server.metrics.expect("figures are told")
}

#[tokio::test]
async fn figures_are_off_until_they_are_asked_for_and_never_on_the_main_port() {
    let off = Setup::new().start().await;
    assert_eq!(off.metrics, None);
    let on = with_metrics().start().await;
    for server in [&off, &on] {
        let answer = server.browser().get("/metrics").await;
        assert!(answer.status == 404 && !answer.text.contains("keytile_http_requests"), "{}", answer.text);
    }
    assert!(Scrape::of(address(&on)).await.text.contains("keytile_build_info"));
}

#[tokio::test]
async fn the_listener_knows_one_address_and_two_methods() {
    let server = with_metrics().start().await;
    let address = address(&server);
    let client = plain_client();
    let ask = |method: Method, path: &str| client.request(method, format!("http://{address}{path}")).send();
    for path in ["/", "/metrics/", "/healthz", "/credentials", "/proxy/x"] {
        assert_eq!(ask(Method::GET, path).await.unwrap().status(), 404, "{path}");
    }
    let refused = ask(Method::POST, "/metrics").await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    let head = ask(Method::HEAD, "/metrics").await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
    let plain = ask(Method::GET, "/metrics?x=1").await.unwrap();
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(!plain.text().await.unwrap().contains("# EOF"));
    let accepted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let open = client.get(format!("http://{address}/metrics")).header("accept", accepted).send().await.unwrap();
    assert_eq!(open.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = open.text().await.unwrap();
    assert!(text.ends_with("# EOF\n") && text.contains("# TYPE keytile_proxy_requests counter\n"), "{text}");
}

/// More connections than it takes at once, which say nothing: whoever asks is answered when they are given up, and
/// Keytile itself is not touched.
#[tokio::test]
async fn idle_connections_to_it_cost_nobody_anything() {
    let server = with_metrics().start().await;
    let address = address(&server);
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(Raw::connect(address).await);
    }
    assert_eq!(server.visitor().get("/healthz").await.status, 200);
    drop(idle);
    assert!(Scrape::of(address).await.names().contains("keytile_ready"));
    server.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_pattern_method_and_class() {
    let server = with_metrics().start().await;
    let mut browser = server.browser();
    let before = Scrape::of(address(&server)).await;
    for path in
        ["/credentials", "/credentials?q=secretive", "/credentials/018f0000-0000-7000-8000-000000000001", "/nowhere/at/all/x"]
    {
        browser.get(path).await;
    }
    let request = plain_client().request(Method::from_bytes(b"BREW").unwrap(), browser.url("/credentials")).send().await.unwrap();
    assert!(request.status().is_client_error(), "{}", request.status());
    let after = Scrape::of(address(&server)).await;
    let grown = |series: &str| after.value(series) - before.series.get(series).copied().unwrap_or(0.0);
    assert_eq!(grown("keytile_http_requests_total{route=\"/credentials\",method=\"GET\",status=\"2xx\"}"), 2.0);
    assert_eq!(grown("keytile_http_requests_total{route=\"/credentials/{id}\",method=\"GET\",status=\"4xx\"}"), 1.0);
    assert_eq!(grown("keytile_http_requests_total{route=\"none\",method=\"GET\",status=\"4xx\"}"), 1.0);
    assert_eq!(grown("keytile_http_requests_total{route=\"/credentials\",method=\"other\",status=\"4xx\"}"), 1.0);
    assert_eq!(grown("keytile_http_request_duration_seconds_count{route=\"/credentials\"}"), 3.0);
    assert!(grown("keytile_cache_lookups_total{kind=\"sessions\",result=\"found\"}") >= 3.0);
    for told in ["secretive", "018f0000", "nowhere", "BREW"] {
        assert!(!after.text.contains(told), "{told} is told");
    }
}

#[tokio::test]
async fn requests_of_programs_are_counted_by_who_answered_and_how() {
    let scene = Scene::set_with(with_metrics(), async |request| {
        let status = if request.uri().path() == "/users/none" { 404 } else { 200 };
        Response::builder().status(status).body(Body::from("answer")).unwrap()
    })
    .await;
    let address = address(&scene.server);
    let before = Scrape::of(address).await;
    for path in ["/users", "/users", "/users/none"] {
        scene.get(path).send().await.unwrap().text().await.unwrap();
    }
    // Refused: another key, another method, another resource.
    let url = scene.server.address.join(&format!("/proxy/{}/users", scene.source)).unwrap();
    scene.client.get(url).header("authorization", "Bearer kt_none").send().await.unwrap();
    scene.ask(Method::DELETE, &scene.source, "/users").send().await.unwrap();
    scene.ask(Method::GET, "018f0000-0000-7000-8000-000000000001", "/users").send().await.unwrap();
    // The token is refused once, and another fetched.
    scene.service.revoke();
    scene.get("/users").send().await.unwrap().text().await.unwrap();
    let after = Scrape::of(address).await;
    let grown = |series: &str| after.value(series) - before.series.get(series).copied().unwrap_or(0.0);
    let proxied = |by: &str, outcome: &str| grown(&format!("keytile_proxy_requests_total{{by=\"{by}\",outcome=\"{outcome}\"}}"));
    assert_eq!((proxied("service", "2xx"), proxied("service", "4xx"), proxied("service", "5xx")), (3.0, 1.0, 0.0));
    for code in ["key_rejected", "method_not_allowed", "resource_not_found"] {
        assert_eq!(proxied("keytile", code), 1.0, "{code}");
    }
    assert_eq!(grown("keytile_proxy_request_duration_seconds_count"), 4.0);
    assert_eq!(grown("keytile_proxy_requests_sent_again_total"), 1.0);
    assert_eq!(grown("keytile_token_fetches_total{reason=\"refused\",outcome=\"issued\"}"), 1.0);
    assert_eq!(grown("keytile_token_fetch_duration_seconds_count"), 1.0);
    assert_eq!(grown("keytile_token_requests_total{outcome=\"memory\"}"), 4.0);
    assert_eq!(grown("keytile_token_requests_total{outcome=\"waited\"}"), 1.0);
    assert_eq!(after.value("keytile_broker_credentials{state=\"fresh\"}"), 1.0);
    assert_eq!(after.value("keytile_broker_fetches_in_flight"), 0.0);
    assert!(after.value("keytile_upstream_connections{state=\"idle\"}") >= 1.0);
    assert!(grown("keytile_cache_lookups_total{kind=\"resources\",result=\"found\"}") >= 1.0);
    for told in [&scene.credential, &scene.source, &scene.destination, "Support", "Agents", "talkdesk", "acme", "tok-", "ana@"] {
        assert!(!after.text.contains(told), "{told} is told:\n{}", after.text);
    }
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_counted_too() {
    let scene = Scene::set_with(with_metrics(), async |_| std::future::pending().await).await;
    let address = address(&scene.server);
    let asked = tokio::spawn(scene.get("/users").send());
    until(async || !scene.service.seen().is_empty()).await;
    let abandoned = "keytile_proxy_requests_total{by=\"nobody\",outcome=\"abandoned\"}";
    assert_eq!(Scrape::of(address).await.value(abandoned), 0.0);
    asked.abort();
    until(async || Scrape::of(address).await.value(abandoned) > 0.0).await;
}

#[tokio::test]
async fn a_service_that_issues_no_tokens_is_seen() {
    let scene = Scene::set_with(with_metrics(), async |_| Response::new(Body::empty())).await;
    let address = address(&scene.server);
    scene.service.issues_instead(Some((401, json!({ "error": "invalid_client" }))));
    scene.setup.clock.advance(Duration::from_secs(700));
    assert_eq!(scene.get("/users").send().await.unwrap().status(), 502);
    let after = Scrape::of(address).await;
    assert_eq!(after.value("keytile_token_fetches_total{reason=\"expired\",outcome=\"rejected\"}"), 1.0);
    assert_eq!(after.value("keytile_token_requests_total{outcome=\"none\"}"), 1.0);
    assert_eq!(after.value("keytile_proxy_requests_total{by=\"keytile\",outcome=\"credential_rejected\"}"), 1.0);
    assert_eq!(after.value("keytile_broker_credentials{state=\"failing\"}"), 1.0);
    assert_eq!(after.value("keytile_credentials_failing{status=\"rejected\"}"), 1.0);
    assert_eq!(after.value("keytile_credentials_failing{status=\"unreachable\"}"), 0.0);
}

#[tokio::test]
async fn verifications_are_counted_by_stage_and_outcome() {
    let server = Setup::sandbox().with("--metrics-listen=127.0.0.1:0").start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support").await;
    let draft = browser.get(OVERLAY).await.value("draft");
    browser.post(OVERLAY, &replaced(good_values("Wrong", &draft), &[("client_secret", "no")])).await;
    browser.post(&format!("/credentials/{credential}/test"), &[]).await;
    let after = Scrape::of(address(&server)).await;
    assert_eq!(after.value("keytile_verifications_total{stage=\"token\",outcome=\"verified\"}"), 2.0);
    assert_eq!(after.value("keytile_verifications_total{stage=\"oauth\",outcome=\"rejected\"}"), 1.0);
    assert_eq!(after.value("keytile_verifications_total{stage=\"address\",outcome=\"unreachable\"}"), 0.0);
    assert_eq!(after.value("keytile_verification_duration_seconds_count"), 3.0);
}

#[tokio::test]
async fn process_and_parts_are_measured_when_somebody_asks() {
    let server = with_metrics().start().await;
    let scrape = Scrape::of(address(&server)).await;
    assert_eq!((scrape.value("keytile_ready{part=\"database\"}"), scrape.value("keytile_ready{part=\"keyring\"}")), (1.0, 1.0));
    assert_eq!(scrape.value("keytile_database_connections_max{pool=\"write\"}"), 1.0);
    assert!(scrape.value("keytile_database_connections{pool=\"write\",state=\"idle\"}") <= 1.0);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.value("process_cpu_seconds_total") > 0.0);
    assert!(scrape.value("process_start_time_seconds") > 1.6e9);
    assert!(scrape.value("process_open_fds") < scrape.value("process_max_fds"));
    assert_eq!(scrape.types["process_cpu_seconds_total"], "counter");
    assert!(scrape.value(&format!("keytile_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))) == 1.0);
}

#[tokio::test]
async fn without_a_database_the_figures_are_told_all_the_same() {
    let server = with_metrics().start().await;
    assert_eq!(Scrape::of(address(&server)).await.value("keytile_credentials_failing{status=\"rejected\"}"), 0.0);
    server.service.close().await;
    let scrape = Scrape::of(address(&server)).await;
    assert_eq!((scrape.value("keytile_ready{part=\"database\"}"), scrape.value("keytile_ready{part=\"keyring\"}")), (0.0, 0.0));
    let names: BTreeSet<&str> = scrape.names();
    assert!(names.contains("keytile_http_requests_total") && !names.contains("keytile_credentials_failing"));
}
