//! `keytile health`: asks a running Keytile on this machine whether it is ready. The health check of the container
//! image, which contains no other program that could ask.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(3);

/// The settings of `keytile health`.
#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// The address that Keytile listens on.
    #[arg(long, env = "KEYTILE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8440")]
    listen: SocketAddr,

    /// Set this if Keytile serves TLS. The file isn't read, and any certificate is accepted.
    #[arg(long, env = "KEYTILE_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
}

pub(super) async fn run(arguments: &HealthArguments) -> Result<(), String> {
    let address = reachable(arguments.listen);
    let asked = timeout(PATIENCE, ask(address, arguments.tls_cert.is_some()));
    let status = asked.await.map_err(|_| format!("{address} did not respond within {} s", PATIENCE.as_secs()))?;
    let status = status.map_err(|error| format!("{address}: {error}"))?;
    if status.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(format!("{address} responded with {}", status.trim())) }
}

/// The address to connect to: loopback, if Keytile listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status line of `/readyz`.
async fn ask(address: SocketAddr, tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if !tls {
        return ask_over(stream, address).await;
    }
    let connector = TlsConnector::from(Arc::new(unverified().map_err(io::Error::other)?));
    ask_over(connector.connect(ServerName::from(address.ip()), stream).await?, address).await
}

async fn ask_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: SocketAddr) -> io::Result<String> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(1_024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

/// TLS without verification. The certificate names the public host rather than this address, and may be issued by a
/// private authority. Nothing secret is sent, and only a status comes back: anyone who could impersonate Keytile on
/// this machine could also listen on its port.
fn unverified() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
