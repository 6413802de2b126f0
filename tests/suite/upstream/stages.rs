//! Failures below HTTP, each where it happens: address, connection, TLS, and the limits.

use std::time::{Duration, Instant};

use hickory_resolver::proto::op::ResponseCode;
use keytile::{
    domain::credentials::verification::{Blame, FaultCode, Stage, StageOutcome},
    upstream::{Limits, Nameserver, UpstreamSettings},
};
use tokio::time::timeout;

use super::*;
use crate::{
    support::{
        dns_server::{DnsServer, Says},
        raw::PATIENCE,
    },
    web::sessions::until,
};

async fn fetch_asking(server: &DnsServer, limits: Limits) -> Diagnosis {
    let nameserver = Nameserver::At(server.address);
    failure(fetch(&upstream(UpstreamSettings { nameserver, limits, ..UpstreamSettings::default() })).await)
}

#[tokio::test]
async fn a_success_passes_every_stage_and_tells_of_each() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    let told = Told::default();
    let attempt = upstream.tokens.fetch_token(&talkdesk(), &talkdesk_values(), &told).await;
    assert_eq!(told.reports(), attempt.stages);
    assert_eq!(attempt.stages.len(), 7);
    assert!(attempt.stages.iter().all(|report| report.outcome == StageOutcome::Passed));
    for stage in [Stage::Connection, Stage::Tls, Stage::Http] {
        let report = attempt.stages.iter().find(|report| report.stage == stage).unwrap();
        assert!(report.micros > 0, "{report:?}");
    }
    assert_eq!(attempt.result.unwrap().lifetime, Duration::from_secs(600));
    assert_eq!((server.connections(), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn calls_can_run_in_tasks_of_their_own() {
    let (server, upstream) = serving(|_| Reply::token()).await;
    let upstream = Arc::new(upstream);
    let tasks = (0..8).map(|_| {
        let upstream = Arc::clone(&upstream);
        tokio::spawn(async move {
            let token = fetch(&upstream).await.result.unwrap().access_token;
            upstream.api.probe(&talkdesk(), &talkdesk_values(), &token).await.notice
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), None);
    }
    // No connection is kept and used by another call.
    assert_eq!(server.connections(), 16);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_the_account_name() {
    let dns = DnsServer::start(|name, _| {
        assert_eq!(name, "acme.talkdeskid.com");
        Says::Code(ResponseCode::NXDomain)
    })
    .await;
    let diagnosis = fetch_asking(&dns, Limits::default()).await;
    assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Address, FaultCode::NoSuchHost, Blame::Input));
    assert_eq!(fields(&diagnosis)[0], "account_name");
    assert_eq!(diagnosis.summary, "Account Name or Region: TalkDesk knows no such account.");
}

#[tokio::test]
async fn a_name_without_addresses_does_not_exist_either() {
    let dns = DnsServer::start(|_, _| Says::Addresses(Vec::new())).await;
    assert_eq!(fetch_asking(&dns, Limits::default()).await.code, FaultCode::NoSuchHost);
}

#[tokio::test]
async fn a_host_that_a_field_chooses_is_named_by_that_field() {
    let dns = DnsServer::start(|_, _| Says::Code(ResponseCode::NXDomain)).await;
    let upstream = upstream(UpstreamSettings { nameserver: Nameserver::At(dns.address), ..UpstreamSettings::default() });
    let attempt = upstream.tokens.fetch_token(&generic(), &generic_values("https://id.example.test/token"), &Unobserved).await;
    let diagnosis = failure(attempt);
    assert_eq!(fields(&diagnosis), ["token_url"]);
    assert_eq!(diagnosis.summary, "Token URL: this host does not exist.");
}

#[tokio::test]
async fn a_resolver_that_fails_is_this_servers_dns() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let dns = DnsServer::start(move |_, _| Says::Code(code)).await;
        let diagnosis = fetch_asking(&dns, Limits::default()).await;
        let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
        assert_eq!(found, (Stage::Address, FaultCode::ResolverFailed, Blame::ThisServer), "{code}");
        assert!(diagnosis.fields.is_empty());
        assert!(diagnosis.summary.contains("DNS"), "{}", diagnosis.summary);
    }
}

#[tokio::test]
async fn one_family_that_fails_leaves_open_whether_the_name_exists() {
    let dns = DnsServer::start(|_, ipv6| if ipv6 { Says::Addresses(Vec::new()) } else { Says::Code(ResponseCode::ServFail) }).await;
    assert_eq!(fetch_asking(&dns, Limits::default()).await.code, FaultCode::ResolverFailed);
}

#[tokio::test]
async fn a_silent_resolver_is_this_servers_dns_within_the_time_for_connecting() {
    let dns = DnsServer::start(|_, _| Says::Nothing).await;
    // The resolver's own patience is five seconds for each try.
    let limits = Limits { connect: Duration::from_millis(100), ..Limits::default() };
    let diagnosis = timeout(Duration::from_secs(4), fetch_asking(&dns, limits)).await.expect("it is not waited for");
    let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
    assert_eq!(found, (Stage::Address, FaultCode::ResolverFailed, Blame::ThisServer));
    assert!(dns.asked() > 0);
}

#[tokio::test]
async fn a_silent_second_family_does_not_hold_up_the_first() {
    let dns = DnsServer::start(|_, ipv6| if ipv6 { Says::Nothing } else { Says::address("127.0.0.1") }).await;
    // Who waits for both families waits as long as this.
    let limits = Limits { connect: Duration::from_secs(600), ..Limits::default() };
    let diagnosis = timeout(PATIENCE, fetch_asking(&dns, limits)).await.expect("it is not waited for");
    // The address itself is refused, which shows that it was found.
    assert_eq!(diagnosis.code, FaultCode::AddressRefused);
}

#[tokio::test]
async fn a_closed_port_refuses_the_connection() {
    let authority = Authority::new();
    let server = FaultServer::silent().await;
    let settings = pinned(&server, &authority);
    let address = server.address;
    drop(server);
    // The port is closed once the task that listened has ended.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let diagnosis = failure(fetch(&upstream(settings)).await);
    let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
    assert_eq!(found, (Stage::Connection, FaultCode::ConnectionRefused, Blame::Service));
    assert!(diagnosis.fields.is_empty() && diagnosis.service.is_none());
}

#[tokio::test]
async fn a_port_that_says_nothing_runs_out_of_time_in_tls() {
    let authority = Authority::new();
    let server = FaultServer::silent().await;
    let upstream = upstream(UpstreamSettings { limits: short(), ..pinned(&server, &authority) });
    let diagnosis = failure(fetch(&upstream).await);
    assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Tls, FaultCode::TimedOut, Blame::Service));
}

#[tokio::test]
async fn a_stage_is_told_while_the_next_one_is_waited_for() {
    let authority = Authority::new();
    let server = FaultServer::silent().await;
    let long = Duration::from_secs(600);
    let limits = Limits { connect: long, request: long, ..Limits::default() };
    let upstream = upstream(UpstreamSettings { limits, ..pinned(&server, &authority) });
    let told = Told::default();
    let (connector, values) = (talkdesk(), talkdesk_values());
    let fetching = upstream.tokens.fetch_token(&connector, &values, &told);
    let connected = until(async || told.reports().iter().any(|report| report.stage == Stage::Connection));
    tokio::select! {
        biased;
        () = connected => {}
        _ = fetching => panic!("nobody has answered"),
    }
}

#[tokio::test]
async fn certificates_that_prove_nothing_end_the_call_before_anything_is_sent() {
    let authority = Authority::new();
    let stranger = Authority::named("Another authority");
    let impostor = Authority::new();
    for (tls, code) in [
        (authority.expired_server(NAMES), FaultCode::CertificateExpired),
        (authority.early_server(NAMES), FaultCode::CertificateExpired),
        (authority.server(&["other.example.test"]), FaultCode::CertificateWrongName),
        (stranger.server(NAMES), FaultCode::CertificateUnknownAuthority),
        (impostor.server(NAMES), FaultCode::CertificateUnknownAuthority),
    ] {
        let server = FaultServer::start(tls, |_| Reply::token()).await;
        let diagnosis = failure(fetch(&upstream(pinned(&server, &authority))).await);
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Tls, code, Blame::Service), "{diagnosis:?}");
        assert!(diagnosis.summary.contains("certificate"), "{}", diagnosis.summary);
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn an_authoritys_certificate_is_no_servers() {
    let authority = Authority::new();
    let own = Authority::own_certificate(NAMES);
    // Trusted as an authority it proves no more than otherwise.
    for trusted in [authority.certificate(), own.0.clone()] {
        let server = FaultServer::start(Arc::clone(&own.1), |_| Reply::token()).await;
        let settings = UpstreamSettings { extra_ca: vec![trusted], ..pinned(&server, &authority) };
        let diagnosis = failure(fetch(&upstream(settings)).await);
        let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
        assert_eq!(found, (Stage::Tls, FaultCode::CertificateUnknownAuthority, Blame::Service), "{diagnosis:?}");
        assert!(diagnosis.summary.contains("only an authority can use"), "{}", diagnosis.summary);
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_breaks_off() {
    let authority = Authority::new();
    let plain = FaultServer::plain(|_| Reply::token()).await;
    let diagnosis = failure(fetch(&upstream(pinned(&plain, &authority))).await);
    assert_eq!((diagnosis.stage, diagnosis.code), (Stage::Tls, FaultCode::TlsFailed));
    assert!(diagnosis.summary.contains("does not speak TLS"), "{}", diagnosis.summary);
    assert!(plain.seen().is_empty());

    let closing = FaultServer::closing().await;
    let diagnosis = failure(fetch(&upstream(pinned(&closing, &authority))).await);
    assert_eq!((diagnosis.stage, diagnosis.blame), (Stage::Tls, Blame::Service), "{diagnosis:?}");
}

#[tokio::test]
async fn a_slow_drip_ends_with_the_time_for_the_whole_request() {
    let (_server, upstream) = serving_within(short(), |_| Reply::Drip).await;
    let begun = Instant::now();
    let diagnosis = failure(timeout(PATIENCE, fetch(&upstream)).await.expect("it ends"));
    assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::TimedOut, Blame::Service));
    assert!(begun.elapsed() >= short().request, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_answer_that_never_begins_ends_with_the_time_too() {
    let (server, upstream) = serving_within(short(), |_| Reply::Silence).await;
    let diagnosis = failure(fetch(&upstream).await);
    assert_eq!((diagnosis.stage, diagnosis.code), (Stage::Http, FaultCode::TimedOut));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_without_end_is_refused_at_the_limit() {
    let (_server, upstream) = serving(|_| Reply::Endless).await;
    let diagnosis = failure(fetch(&upstream).await);
    assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, FaultCode::AnswerTooLarge, Blame::Service));
}

#[tokio::test]
async fn a_head_over_the_limit_is_named_as_one() {
    for headers in [(0..101).map(|_| ("X-One", "1".to_owned())).collect::<Vec<_>>(), vec![("X-Long", "x".repeat(1_000_000))]] {
        let (_server, upstream) = serving(move |_| Reply::Whole(200, headers.clone(), String::new())).await;
        let diagnosis = failure(fetch(&upstream).await);
        let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
        assert_eq!(found, (Stage::Http, FaultCode::AnswerTooLarge, Blame::Service), "{diagnosis:?}");
        assert_eq!(diagnosis.summary, "The headers in the answer of TalkDesk are too many or too long.");
        assert!(diagnosis.fields.is_empty());
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let body = |length: usize| {
        let token = r#"{"access_token":"tok-1"}"#;
        format!("{token}{}", " ".repeat(length - token.len()))
    };
    let (_server, upstream) = serving(move |seen| {
        let length = if seen.header("x-more").is_some() { 64 * 1024 + 1 } else { 64 * 1024 };
        Reply::Whole(200, Vec::new(), body(length))
    })
    .await;
    assert!(fetch(&upstream).await.result.is_ok());
    let more = generic_with("[token.params]", "[token.headers]\nX-More = \"1\"\n\n[token.params]");
    let attempt = upstream.tokens.fetch_token(&more, &generic_values("https://id.example.test/token"), &Unobserved).await;
    assert_eq!(failure(attempt).code, FaultCode::AnswerTooLarge);
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_the_answer_is_seen() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n";
    for (answer, code) in [
        (format!("{head}{{\"access_token\":"), FaultCode::AnswerCut),
        (head.to_owned(), FaultCode::AnswerCut),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"acc".to_owned(), FaultCode::AnswerCut),
        // Without a length the end of the connection is the end of the answer, but TLS says that it was no end.
        ("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"tok-1\"}".to_owned(), FaultCode::AnswerCut),
        ("HTTP/1.1 20".to_owned(), FaultCode::ConnectionFailed),
        (String::new(), FaultCode::ConnectionFailed),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), FaultCode::NotTokenEndpoint),
    ] {
        let cut = answer.clone();
        let (_server, upstream) = serving(move |_| Reply::Cut(cut.clone())).await;
        let diagnosis = failure(fetch(&upstream).await);
        assert_eq!((diagnosis.stage, diagnosis.code, diagnosis.blame), (Stage::Http, code, Blame::Service), "{answer}");
    }
}
