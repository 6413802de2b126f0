//! The certificate of Keytile's own TLS, and replacing it without closing connections.
//!
//! The pair is read again on SIGHUP and when one of its files changes. An invalid pair is logged and ignored, so
//! that after a failed renewal the old certificate stays in use until it expires.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    Error as TlsError, InconsistentKeys, ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// A certificate with its key, as last read from the files of `--tls-cert` and `--tls-key`.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    seen: Stamps,
    /// SIGHUP, until it is waited for. Listened for as soon as there is a pair to replace: a SIGHUP that nobody listens
    /// for ends the process.
    asked: Mutex<Option<Signal>>,
}

/// Identifies the version of each file: modification time in nanoseconds, inode and size. The paths may be symbolic
/// links, which `certbot` and Kubernetes redirect; the file at the end counts.
type Stamps = [Option<(i64, i64, u64, u64)>; 2];

impl Certificate {
    /// Reads the pair. The error is a sentence that names the setting and the file.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, String> {
        // Without the signal, the files are still looked at.
        let asked = Mutex::new(signal(SignalKind::hangup()).ok());
        let seen = stamps(chain, key);
        let current = RwLock::new(read(chain, key)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current, seen, asked })
    }

    /// The TLS acceptor for a new connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Replaces the pair when it changes, and on SIGHUP. Never returns.
    pub(super) async fn keep_fresh(&self, every: Duration) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut used, mut last) = (self.seen, self.seen);
        loop {
            let hangup = async {
                match &mut asked {
                    Some(asked) => asked.recv().await,
                    None => std::future::pending().await,
                }
            };
            let on_signal = tokio::select! {
                _ = ticks.tick() => false,
                _ = hangup => true,
            };
            let now = stamps(&self.chain, &self.key);
            // The two files are not written at the same moment: waits until both are unchanged for one interval.
            let at_rest = now == last;
            last = now;
            if on_signal || (at_rest && now != used) {
                used = now;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match read(&self.chain, &self.key) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("reloaded the TLS certificate for new connections");
            }
            Err(reason) => tracing::error!(reason, "could not reload the TLS certificate; still using the previous one"),
        }
    }
}

fn stamps(chain: &Path, key: &Path) -> Stamps {
    [chain, key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.mtime(), metadata.mtime_nsec(), metadata.ino(), metadata.size()))
    })
}

/// The configuration of TLS 1.2 and 1.3 with the pair in these files.
fn read(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let certificates = read_chain(chain).map_err(|reason| format!("--tls-cert: {}: {reason}", chain.display()))?;
    let private = read_key(key).map_err(|reason| format!("--tls-key: {}: {reason}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    let built = builder.with_no_client_auth().with_single_cert(certificates, private);
    let mut config = built.map_err(|error| match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("--tls-key: {}: this key does not belong to the first certificate of {}", key.display(), chain.display())
        }
        TlsError::InvalidCertificate(_) => {
            format!("--tls-cert: {}: the first certificate cannot be used: {error}", chain.display())
        }
        error => format!("--tls-key: {}: the key cannot be used: {error}", key.display()),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = fs::read(path).map_err(unreadable)?;
    let mut chain = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        chain.push(certificate.map_err(|error| format!("certificate {} is not readable as PEM: {error}", index + 1))?);
    }
    if chain.is_empty() {
        return Err("there is no `BEGIN CERTIFICATE` in it; give the certificate and its chain as PEM".into());
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    let encrypted = pem.windows(b"ENCRYPTED".len()).any(|part| part == b"ENCRYPTED");
    match PrivateKeyDer::from_pem_slice(&pem) {
        // The older format has an ordinary first line, and says below it that it is encrypted.
        _ if encrypted => Err("the key is encrypted with a passphrase; Keytile needs it without".into()),
        Ok(key) => {
            warn_if_open(path);
            Ok(key)
        }
        Err(PemError::NoItemsFound) => Err("there is no private key in it; give it as PEM in PKCS#8, PKCS#1 or SEC1 form".into()),
        // The error itself may quote a line of the file.
        Err(_) => Err("the key is not readable as PEM".into()),
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}

fn warn_if_open(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o007 != 0) {
        tracing::warn!(path = %path.display(), "every user of this machine can read the TLS key");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    const OF_RSA: &str = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn loaded(chain: &str, key: &str) -> Result<Certificate, String> {
        let folder = tempfile::tempdir().unwrap();
        let (chain_path, key_path) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        fs::write(&chain_path, chain).unwrap();
        fs::write(&key_path, key).unwrap();
        Certificate::load(&chain_path, &key_path)
    }

    #[tokio::test]
    async fn a_pair_is_read_or_refused_with_file_and_reason() {
        let ((chain, key), (other_chain, other_key)) = (pair(), pair());
        assert!(loaded(&chain, &key).is_ok());
        assert!(loaded(&format!("{chain}{other_chain}"), &key).is_ok(), "a chain");
        assert!(loaded(&format!("{key}{chain}"), &format!("{chain}{key}")).is_ok(), "both in one file");
        for (chain, key, setting, reason) in [
            (&*chain, &*other_key, "--tls-key: ", "does not belong to"),
            (&*key, &*key, "--tls-cert: ", "no `BEGIN CERTIFICATE`"),
            ("", &*key, "--tls-cert: ", "no `BEGIN CERTIFICATE`"),
            (&*chain, &*chain, "--tls-key: ", "no private key"),
            (&*chain, ENCRYPTED, "--tls-key: ", "passphrase"),
            (&*chain, OF_RSA, "--tls-key: ", "cannot be used"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*key, "--tls-cert: ", "cannot be used"),
            ("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n", &*key, "--tls-cert: ", "certificate 1"),
        ] {
            let error = loaded(chain, key).err().unwrap();
            assert!(error.starts_with(setting) && error.contains(reason) && error.contains(".pem"), "{error}");
        }
        let missing = Certificate::load(Path::new("/nowhere/chain.pem"), Path::new("/nowhere/key.pem")).err().unwrap();
        assert!(missing.contains("/nowhere/chain.pem: cannot be read"), "{missing}");
    }
}
