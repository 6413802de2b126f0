//! `oidc-provider` from npm, an OAuth2 server that nobody here wrote, running for one test.
//!
//! It serves `/oauth/token` over TLS under the host names that the test gives, and takes two clients:
//! one that authenticates in the header and one that does so in the body. With [`SignIn`] it signs people
//! in by OpenID Connect instead. `scripts/test` installs it.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use url::Url;

use super::https;

/// A client that the provider knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OauthClient {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    /// How it must authenticate (RFC 7591 section 2).
    method: &'static str,
}

/// Authenticates with HTTP Basic.
pub(crate) const HEADER_CLIENT: OauthClient =
    OauthClient { id: "header client", secret: "h+ea/d er&=%:secret", method: "client_secret_basic" };
/// Authenticates with parameters in the body.
pub(crate) const BODY_CLIENT: OauthClient =
    OauthClient { id: "body client", secret: "b+o/d y&=%:secret", method: "client_secret_post" };

/// Signs people in, and authenticates with HTTP Basic.
pub(crate) const SIGN_IN_CLIENT: OauthClient =
    OauthClient { id: "sign-in client", secret: "s+ig/n i&n=%:secret", method: "client_secret_basic" };
/// Signs people in, and authenticates with parameters in the body.
pub(crate) const SIGN_IN_BODY_CLIENT: OauthClient =
    OauthClient { id: "sign-in body client", secret: "s+ig/n b&n=%:secret", method: "client_secret_post" };
/// Signs people in, and has no secret.
pub(crate) const SIGN_IN_PUBLIC_CLIENT: OauthClient = OauthClient { id: "sign-in public client", secret: "", method: "none" };

/// Whom the provider signs in, and how.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    /// For whom: some of [`SIGN_IN_CLIENT`], [`SIGN_IN_BODY_CLIENT`] and [`SIGN_IN_PUBLIC_CLIENT`].
    pub(crate) clients: Vec<OauthClient>,
    /// Where browsers may be sent back to.
    pub(crate) redirects: Vec<String>,
    /// The claims of each account, by its id. `email`, `profile` and `groups` are the scopes that show them.
    pub(crate) accounts: Value,
    /// Whether the ID token holds the claims, or only the userinfo endpoint tells them.
    pub(crate) claims_in_id_token: bool,
    /// How ID tokens are signed: `ES256`, `RS256`, `PS256` or `EdDSA`.
    pub(crate) algorithm: &'static str,
}

/// How long it may take to start, on a machine that is busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(40);
/// How often a start is tried: Node now and then begins and never gets as far as to listen.
const STARTS: usize = 4;

/// A running provider. It ends when this is dropped, and also when the test process dies.
pub(crate) struct OidcProvider {
    child: Child,
    /// Held open: the script exits when it closes.
    _stdin: ChildStdin,
    address: SocketAddr,
    authority: CertificateDer<'static>,
}

impl OidcProvider {
    /// Starts a provider with a certificate for `hosts` whose access tokens live for `lifetime`. The
    /// issuer is the first host.
    ///
    /// # Panics
    /// With a sentence that names `scripts/test`, if Node or the npm package is missing.
    pub(crate) async fn start(hosts: &[&str], lifetime: Duration) -> Self {
        Self::run(hosts, lifetime, None).await
    }

    /// Starts a provider that signs people in.
    ///
    /// # Panics
    /// As [`OidcProvider::start`].
    pub(crate) async fn start_with_sign_in(hosts: &[&str], sign_in: SignIn) -> Self {
        Self::run(hosts, Duration::from_secs(600), Some(sign_in)).await
    }

    async fn run(hosts: &[&str], lifetime: Duration, sign_in: Option<SignIn>) -> Self {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        tokio::task::spawn_blocking(move || start(&hosts, lifetime, sign_in.as_ref())).await.unwrap()
    }

    /// Does what a browser does in which somebody signs in as `account`: it begins at `url`, keeps cookies and
    /// follows redirects. The address with which the provider sends it back is returned and not opened.
    pub(crate) async fn sign_in(&self, url: &Url, account: &str) -> Url {
        let host = url.host_str().unwrap().to_owned();
        let client = https::client(self.authority(), self.address, &[&host]);
        let mut cookies = BTreeMap::new();
        let mut at = url.clone();
        at.query_pairs_mut().append_pair("login_hint", account);
        for _ in 0..10 {
            let sent = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let answer = client.get(at.clone()).header("cookie", sent).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let status = answer.status();
            let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
            let Some(location) = location else { panic!("{at} answers {status}: {}", answer.text().await.unwrap()) };
            at = at.join(&location).unwrap();
            if at.host_str() != Some(&host) {
                return at;
            }
        }
        panic!("the provider redirects without end, in the end to {at}");
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority that vouches for its certificate.
    pub(crate) fn authority(&self) -> CertificateDer<'static> {
        self.authority.clone()
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(hosts: &[String], lifetime: Duration, sign_in: Option<&SignIn>) -> OidcProvider {
    let npm = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let installed = env::var_os("KEYTILE_TEST_NPM").map_or_else(|| npm.clone(), PathBuf::from);
    assert!(
        installed.join("node_modules/oidc-provider").is_dir(),
        "oidc-provider is not installed in {}: run scripts/test, which installs it, or `npm ci` in tests/npm",
        installed.display()
    );

    let tls = certificate(hosts);
    let clients = match sign_in {
        Some(sign_in) => sign_in.clients.iter().map(|client| for_people(client, sign_in)).collect(),
        None => vec![for_programs(&HEADER_CLIENT), for_programs(&BODY_CLIENT)],
    };
    let settings = json!({
        "issuer": format!("https://{}", hosts[0]),
        "key": tls.key_pem,
        "certificate": tls.certificate_pem,
        "lifetime": lifetime.as_secs(),
        "clients": clients,
        "accounts": sign_in.map_or_else(|| json!({}), |sign_in| sign_in.accounts.clone()),
        "claimsInIdToken": sign_in.is_some_and(|sign_in| sign_in.claims_in_id_token),
    });

    let mut said = String::new();
    for _ in 0..STARTS {
        let mut child = Command::new("node")
            .arg(npm.join("oidc-provider.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node does not start ({error}): run scripts/test, which installs it"));
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{settings}").unwrap();
        if let Some(port) = wait_for_port(&mut child) {
            return OidcProvider { child, _stdin: stdin, address: ([127, 0, 0, 1], port).into(), authority: tls.authority };
        }
        let ended = child.try_wait().unwrap();
        let _ = child.kill();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said += &format!("({ended:?})\n");
        child.wait().unwrap();
    }
    panic!("oidc-provider did not start: {said}");
}

/// A client as the provider takes it, that fetches tokens for itself.
fn for_programs(client: &OauthClient) -> Value {
    json!({
        "client_id": client.id,
        "client_secret": client.secret,
        "token_endpoint_auth_method": client.method,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
    })
}

/// A client as the provider takes it, that people sign in to.
fn for_people(client: &OauthClient, sign_in: &SignIn) -> Value {
    let mut known = json!({
        "client_id": client.id,
        "token_endpoint_auth_method": client.method,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "redirect_uris": sign_in.redirects,
        "id_token_signed_response_alg": sign_in.algorithm,
    });
    if !client.secret.is_empty() {
        known["client_secret"] = client.secret.into();
    }
    known
}

/// Reads the ready line. `None` if the process ended first, or took too long.
fn wait_for_port(child: &mut Child) -> Option<u16> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (found, port) = mpsc::channel();
    // Ends with the process. It reads on, so that the process never waits for a full pipe.
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if let Some(port) = line.strip_prefix("ready ") {
                // The receiver has been dropped if the start was given up.
                let _ = found.send(port.parse().unwrap());
            }
        }
    });
    port.recv_timeout(START_LIMIT).ok()
}

struct Tls {
    key_pem: String,
    certificate_pem: String,
    authority: CertificateDer<'static>,
}

fn certificate(hosts: &[String]) -> Tls {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Authority of one test");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(hosts).unwrap().signed_by(&key, &authority).unwrap();
    Tls { key_pem: key.serialize_pem(), certificate_pem: server.pem(), authority: authority.der().clone() }
}
