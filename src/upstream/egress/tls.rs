//! TLS: which authorities are trusted, and how an exchange notices that a handshake begins.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, NamedGroup, RootCertStore,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// Reads certificates from PEM. The error is a sentence that doesn't name the file.
pub fn read_ca_file(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    let mut store = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = index + 1;
        let certificate = certificate.map_err(|error| format!("certificate {number} is not readable as PEM: {error}"))?;
        let usable = store.add(certificate.clone());
        usable.map_err(|error| format!("certificate {number} cannot be a certificate authority: {error}"))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err("there is no `BEGIN CERTIFICATE` in it; give certificates as PEM".into());
    }
    Ok(certificates)
}

/// The configuration of every connection: TLS 1.2 or newer, the public authorities and the extra ones.
pub(in crate::upstream) fn config(extra_ca: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(Arc::new(roots));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The same configuration, which calls `begins` when a handshake begins. Sessions are not resumed, so that each
/// verification checks the server's certificate.
pub(in crate::upstream) fn watched(config: &ClientConfig, begins: impl Fn() + Send + Sync + 'static) -> ClientConfig {
    let mut config = config.clone();
    config.resumption = Resumption::store(Arc::new(HandshakeWatch { begins: Box::new(begins) }));
    config
}

/// A session store that keeps nothing. rustls asks it for a hint when it begins a handshake, which is when the TCP
/// connection is open.
struct HandshakeWatch {
    begins: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for HandshakeWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandshakeWatch")
    }
}

impl ClientSessionStore for HandshakeWatch {
    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        (self.begins)();
        None
    }

    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn set_tls12_session(&self, _server_name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, _value: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_is_read_or_refused_with_a_reason() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        assert_eq!(read_ca_file(pem.as_bytes()).unwrap().len(), 1);
        assert_eq!(read_ca_file(format!("a comment\n{pem}\n{pem}").as_bytes()).unwrap().len(), 2);
        assert!(read_ca_file(b"").unwrap_err().contains("BEGIN CERTIFICATE"));
        assert!(read_ca_file(key.serialize_pem().as_bytes()).unwrap_err().contains("BEGIN CERTIFICATE"));
        let hollow = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(read_ca_file(hollow).unwrap_err().contains("certificate 1"));
    }
}
