//! The parts of the service that nginx can't play: an endpoint that issues tokens, and an API that reads bodies to
//! their end before it responds. Also the authority that signs its certificates.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    header::AUTHORIZATION,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::super::Outcome;

/// The only access token that is issued.
const TOKEN: &str = "bench-4f1c8a9e7d2b";
/// The authorization that the service accepts.
pub(super) const RIGHT: &str = "Bearer bench-4f1c8a9e7d2b";

/// A certificate authority for this run.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Outcome<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        // With the same name as its certificates, OpenSSL would take those for self-signed.
        params.distinguished_name.push(DnType::CommonName, "Authority of the benchmark");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate for a host and its key, as PEM.
    pub(super) fn pair(&self, host: &str) -> Outcome<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Issues the token, as often as it is asked.
#[derive(Clone)]
pub(super) struct TokenService {
    pub(super) address: SocketAddr,
    issued: Arc<AtomicU64>,
    /// Its response time, in milliseconds.
    delay: Arc<AtomicU64>,
}

impl TokenService {
    pub(super) async fn start(authority: &Authority, host: &str) -> Outcome<Self> {
        let (certificate, key) = authority.pair(host)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth();
        let tls = tls.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let service = Self { address: listener.local_addr()?, issued: Arc::default(), delay: Arc::default() };
        let shared = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    serve(stream, move |_| service.clone().issue()).await;
                });
            }
        });
        Ok(service)
    }

    /// How many tokens it has issued.
    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::SeqCst)
    }

    /// Sets its response time.
    pub(super) fn take(&self, time: Duration) {
        self.delay.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    async fn issue(self) -> Response<String> {
        self.issued.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst))).await;
        // Long enough that no token is refreshed during a measurement.
        Response::new(format!("{{\"access_token\":\"{TOKEN}\",\"token_type\":\"Bearer\",\"expires_in\":864000}}"))
    }
}

/// An API that reads each body to its end and responds with its length; 401 without the right authorization.
pub(super) async fn start_upload() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, take_body));
        }
    });
    Ok(address)
}

async fn take_body(request: Request<Incoming>) -> Response<String> {
    let right = request.headers().get(AUTHORIZATION).is_some_and(|value| value == RIGHT);
    let mut body = std::pin::pin!(request.into_body());
    let mut length = 0;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        length += frame.data_ref().map_or(0, |data| data.len());
    }
    let mut response = Response::new(length.to_string());
    if !right {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

async fn serve<S, A>(stream: S, answer: impl Fn(Request<Incoming>) -> A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = Response<String>>,
{
    let service = service_fn(|request| {
        let answering = answer(request);
        async { Ok::<_, Infallible>(answering.await) }
    });
    // How a connection ends is up to the client.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
