//! Where calls may go: pins, and addresses that are refused before anything reaches them.

use std::sync::atomic::{AtomicUsize, Ordering};

use keytile::{
    domain::credentials::verification::{Blame, FaultCode, Stage},
    upstream::{Nameserver, UpstreamSettings},
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;
use crate::support::dns_server::{DnsServer, Says};

/// A server on this machine under the port that a token URL names, and settings that trust it
/// without a pin.
async fn local() -> (FaultServer, UpstreamSettings, Authority) {
    let authority = Authority::new();
    let server = FaultServer::start(authority.server(&["id.example.test", "127.0.0.1", "localhost"]), |_| Reply::token()).await;
    let settings = UpstreamSettings { extra_ca: vec![authority.certificate()], ..UpstreamSettings::default() };
    (server, settings, authority)
}

async fn fetch_from(upstream: &Upstream, url: &str) -> TokenAttempt {
    upstream.tokens.fetch_token(&generic(), &generic_values(url), &Unobserved).await
}

#[tokio::test]
async fn addresses_in_place_of_host_names_are_refused_in_every_way_to_write_them() {
    let (server, settings, _) = local().await;
    let upstream = upstream(settings);
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00:ec2::254]",
    ] {
        let diagnosis = failure(fetch_from(&upstream, &format!("https://{host}:{port}/token")).await);
        let found = (diagnosis.stage, diagnosis.code, diagnosis.blame);
        assert_eq!(found, (Stage::Address, FaultCode::AddressRefused, Blame::Input), "{host}");
        assert_eq!(fields(&diagnosis), ["token_url"]);
        assert!(diagnosis.remedy.contains("--allow-private-egress") && diagnosis.remedy.contains("--egress-pin"));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn names_of_this_machine_are_refused() {
    let (server, settings, _) = local().await;
    let port = server.address.port();
    // Both by the system's resolver, which knows the name, and by one that was told to lie.
    let dns = DnsServer::start(|_, ipv6| Says::address(if ipv6 { "::1" } else { "127.0.0.1" })).await;
    let lied_to = UpstreamSettings { nameserver: Nameserver::At(dns.address), ..settings.clone() };
    for settings in [settings, lied_to] {
        let upstream = upstream(settings);
        for host in ["localhost", "LOCALHOST.", "a.localhost"] {
            let diagnosis = failure(fetch_from(&upstream, &format!("https://{host}:{port}/token")).await);
            assert_eq!(diagnosis.stage, Stage::Address, "{host}");
            let refused = matches!(diagnosis.code, FaultCode::AddressRefused | FaultCode::NoSuchHost | FaultCode::ResolverFailed);
            assert!(refused && (host.starts_with("a.") || diagnosis.code == FaultCode::AddressRefused), "{host} {diagnosis:?}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    for address in ["10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", "fe80::1"] {
        let dns = DnsServer::start(move |_, _| Says::address(address)).await;
        let upstream = upstream(UpstreamSettings { nameserver: Nameserver::At(dns.address), ..UpstreamSettings::default() });
        let diagnosis = failure(fetch_from(&upstream, "https://id.example.test/token").await);
        assert_eq!((diagnosis.stage, diagnosis.code), (Stage::Address, FaultCode::AddressRefused), "{address}");
        // A connector's own host that leads inside is not what was typed.
        let diagnosis = failure(fetch(&upstream).await);
        assert_eq!((diagnosis.code, diagnosis.blame), (FaultCode::AddressRefused, Blame::ThisServer));
        assert!(diagnosis.fields.is_empty());
    }
}

#[tokio::test]
async fn a_second_answer_of_dns_cannot_slip_past() {
    let (server, mut settings, _) = local().await;
    let port = server.address.port();
    // The first answer is an allowed address where nothing listens; every later one is this machine.
    let answers = AtomicUsize::new(0);
    let dns = DnsServer::start(move |_, ipv6| {
        if ipv6 {
            return Says::Addresses(Vec::new());
        }
        let first = answers.fetch_add(1, Ordering::SeqCst) == 0;
        Says::address(if first { "127.9.9.9" } else { "127.0.0.1" })
    })
    .await;
    settings.nameserver = Nameserver::At(dns.address);
    settings.allow_private = vec!["127.9.9.9/32".parse().unwrap()];
    let upstream = upstream(settings);
    let url = format!("https://id.example.test:{port}/token");
    // The connection goes to the address that was checked, and fails there.
    assert_eq!(failure(fetch_from(&upstream, &url).await).stage, Stage::Connection);
    for _ in 0..3 {
        assert_eq!(failure(fetch_from(&upstream, &url).await).code, FaultCode::AddressRefused);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn of_good_and_bad_addresses_only_the_good_are_used() {
    let (server, mut settings, _) = local().await;
    let port = server.address.port();
    let both = ["10.0.0.1", "127.0.0.1", "169.254.169.254"].map(|address| address.parse().unwrap());
    let dns = DnsServer::start(move |_, _| Says::Addresses(both.to_vec())).await;
    settings.nameserver = Nameserver::At(dns.address);
    settings.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
    assert!(fetch_from(&upstream(settings), &format!("https://id.example.test:{port}/token")).await.result.is_ok());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_an_operator_allows_is_reached_by_name_and_by_address() {
    let (server, mut settings, _) = local().await;
    let port = server.address.port();
    settings.allow_private = vec!["127.0.0.1/32".parse().unwrap()];
    let upstream = upstream(settings);
    assert!(fetch_from(&upstream, &format!("https://127.0.0.1:{port}/token")).await.result.is_ok());
    assert!(fetch_from(&upstream, &format!("https://localhost:{port}/token")).await.result.is_ok());
    assert_eq!(server.seen()[0].header("host"), Some(format!("127.0.0.1:{port}").as_str()));
}

#[tokio::test]
async fn a_pin_decides_on_address_and_port_and_leaves_the_name() {
    let authority = Authority::new();
    // The certificate is for the name alone, so a success proves that TLS asked for the name.
    let server = FaultServer::start(authority.server(&["id.example.test"]), |_| Reply::token()).await;
    let pin = format!("*.example.test={}", server.address).parse().unwrap();
    let upstream =
        upstream(UpstreamSettings { pins: vec![pin], extra_ca: vec![authority.certificate()], ..UpstreamSettings::default() });
    for (url, host) in [
        ("https://id.example.test/token", "id.example.test"),
        ("https://id.example.test:8443/token", "id.example.test:8443"),
        ("https://id.example.test:443/token", "id.example.test"),
        ("https://ID.Example.test:1/token", "id.example.test:1"),
    ] {
        assert!(fetch_from(&upstream, url).await.result.is_ok(), "{url}");
        assert_eq!(server.seen().pop().unwrap().header("host"), Some(host));
    }
    // A name that only ends alike is not pinned: it is looked up, and is not there.
    let unknown = failure(fetch_from(&upstream, "https://idexample.test.invalid/token").await);
    assert_eq!(unknown.stage, Stage::Address);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_resolver_that_cannot_be_used_does_not_keep_pins_from_working() {
    let authority = Authority::new();
    let server = FaultServer::start(authority.server(NAMES), |_| Reply::token()).await;
    let dns = DnsServer::start(|_, _| Says::Nothing).await;
    let settings = UpstreamSettings { nameserver: Nameserver::At(dns.address), ..pinned(&server, &authority) };
    assert!(fetch(&upstream(settings)).await.result.is_ok());
    assert_eq!(dns.asked(), 0);
}

#[tokio::test]
async fn no_token_is_asked_for_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pin = format!("id.example.test=http://{}", listener.local_addr().unwrap());
    let upstream = upstream(UpstreamSettings { pins: vec![pin.parse().unwrap()], ..UpstreamSettings::default() });
    let listening = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 64];
        stream.read_exact(&mut first).await.unwrap();
        first
    };
    let (attempt, first) = tokio::join!(fetch_from(&upstream, "https://id.example.test/token"), listening);
    assert_eq!(failure(attempt).stage, Stage::Tls);
    assert_eq!(first[..2], [0x16, 0x03], "a handshake record of TLS");
}
