//! The sandbox's certificate authority and server certificate, created at each start.
//!
//! The authority can only vouch for TalkDesk host names (name constraints, RFC 5280 section 4.2.1.10), and
//! its key is dropped as soon as it has signed, so that trusting it puts nothing else at risk.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

use super::hosts;

pub(super) struct TlsIdentity {
    /// Has the server's certificate; speaks HTTP/1.1 over TLS 1.2 and 1.3.
    pub(super) server_config: Arc<ServerConfig>,
    /// The authority's certificate, in PEM.
    pub(super) ca_pem: String,
    /// The authority's certificate, in DER.
    pub(super) ca_der: CertificateDer<'static>,
}

/// Creates an authority and a certificate for every TalkDesk host name.
///
/// Both are valid for centuries: tests set the sandbox's clock, and the other side checks against its own.
pub(super) fn issue() -> Result<TlsIdentity, Box<dyn std::error::Error + Send + Sync>> {
    let authority = CertifiedIssuer::self_signed(authority_params()?, KeyPair::generate()?)?;
    let server_key = KeyPair::generate()?;
    let server = server_params()?.signed_by(&server_key, &authority)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server_config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![server.into()], PrivatePkcs8KeyDer::from(server_key.serialize_der()).into())?;
    server_config.alpn_protocols = vec![b"http/1.1".to_vec()];

    Ok(TlsIdentity { server_config: Arc::new(server_config), ca_pem: authority.pem(), ca_der: authority.der().clone() })
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Keytile sandbox authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    // A permitted subtree includes everything below its domain, so the `*.` of a pattern is dropped.
    let permitted = hosts::PATTERNS.map(|pattern| GeneralSubtree::DnsName(pattern.trim_start_matches("*.").to_owned()));
    params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted.to_vec(), excluded_subtrees: Vec::new() });
    Ok(params)
}

fn server_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts::PATTERNS.map(str::to_owned).to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "Keytile sandbox");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
