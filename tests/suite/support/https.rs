//! HTTPS clients of the tests: they trust one authority only, and find named hosts where a test says.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

/// A client that trusts `authority` and nothing else, and connects to `address` for each of `hosts`.
/// Give URLs without a port: the port comes from the address.
pub(crate) fn client(authority: CertificateDer<'static>, address: SocketAddr, hosts: &[&str]) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    hosts.iter().fold(builder(roots), |builder, host| builder.resolve(host, address)).build().unwrap()
}

/// A client for Keytile itself, which the tests reach without TLS.
pub(crate) fn plain_client() -> reqwest::Client {
    builder(RootCertStore::empty()).build().unwrap()
}

fn builder(roots: RootCertStore) -> reqwest::ClientBuilder {
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
}

/// A certificate as text, for a file of authorities.
pub(crate) fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let encoded = BASE64_STANDARD.encode(certificate);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
