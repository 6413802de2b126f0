//! HTTPS clients of the tests: they trust one authority only, and find named hosts where a test says.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

/// A client that trusts `authority` and nothing else, and connects to `address` for each of `hosts`.
/// Give URLs without a port: the port comes from the address.
pub(crate) fn client(authority: CertificateDer<'static>, address: SocketAddr, hosts: &[&str]) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30));
    hosts.iter().fold(builder, |builder, host| builder.resolve(host, address)).build().unwrap()
}
