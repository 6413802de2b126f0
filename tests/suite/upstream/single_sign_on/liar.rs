//! An identity provider that is right in everything, until a test changes something.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use keytile::upstream::Nameserver;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use url::Url;

use super::*;
use crate::support::{
    clock::TestClock,
    dns_server::{DnsServer, Says},
};

pub(super) const HOST: &str = "id.example.test";
pub(super) const ISSUER: &str = "https://id.example.test";
pub(super) const CLIENT: &str = "keytile client";
pub(super) const CODE: &str = "c0de-that-nobody-may-see";
pub(super) const ACCESS_TOKEN: &str = "acc3ss-t0ken-that-nobody-may-see";

/// Who signs an ID token, and how.
#[derive(Clone)]
pub(super) enum Signer {
    Key(Arc<KeyPair>),
    /// With the client's secret, as HS256.
    SharedSecret,
    /// Nobody.
    Nobody,
}

/// What the provider says at present.
pub(super) struct Sayings {
    pub(super) document: Value,
    pub(super) keys: Vec<Value>,
    pub(super) header: Value,
    /// The nonce is added.
    pub(super) claims: Value,
    pub(super) nonce: String,
    pub(super) signer: Signer,
    pub(super) userinfo: Reply,
    /// In place of the discovery document.
    pub(super) discovery_reply: Option<Reply>,
    /// In place of the tokens.
    pub(super) token_reply: Option<Reply>,
    pub(super) access_token: String,
}

/// The provider, a client of it, and what was begun.
pub(super) struct Liar {
    pub(super) server: FaultServer,
    pub(super) upstream: Upstream,
    pub(super) clock: Arc<TestClock>,
    pub(super) settings: SingleSignOnSettings,
    pub(super) says: Arc<Mutex<Sayings>>,
    _dns: Option<DnsServer>,
}

/// A key under an id, and how it is published.
pub(super) fn key(id: &str) -> (Arc<KeyPair>, Value) {
    let key = Arc::new(KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key_raw());
    (key, json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA"}))
}

pub(super) fn at_hash() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha512::digest(ACCESS_TOKEN)[..32])
}

impl Liar {
    pub(super) async fn start() -> Self {
        Self::start_within(Limits::default()).await
    }

    pub(super) async fn start_within(limits: Limits) -> Self {
        Self::build(limits, false).await
    }

    /// One that is found by DNS, where every name leads to this machine, and named with its port.
    pub(super) async fn in_own_network() -> Self {
        Self::build(Limits::default(), true).await
    }

    async fn build(limits: Limits, by_dns: bool) -> Self {
        let clock = Arc::new(TestClock::new());
        let (signer, public) = key("first");
        let says = Arc::new(Mutex::new(Sayings {
            document: Value::Null,
            keys: vec![public],
            header: json!({"alg": "EdDSA", "kid": "first", "typ": "JWT"}),
            claims: Value::Null,
            nonce: String::new(),
            signer: Signer::Key(signer),
            userinfo: Reply::json(200, json!({"sub": "subject-1"})),
            discovery_reply: None,
            token_reply: None,
            access_token: ACCESS_TOKEN.into(),
        }));
        let authority = Authority::new();
        let answering = Arc::clone(&says);
        let names = [HOST, "other.example.test"];
        let server = FaultServer::start(authority.server(&names), move |seen| answering.lock().unwrap().reply(seen)).await;
        let extra_ca = vec![authority.certificate()];
        let dns = if by_dns { Some(DnsServer::start(|_, _| Says::address("127.0.0.1")).await) } else { None };
        let network = match &dns {
            Some(dns) => UpstreamSettings { nameserver: Nameserver::At(dns.address), ..UpstreamSettings::default() },
            None => UpstreamSettings {
                pins: vec![format!("*.example.test={}", server.address).parse().unwrap()],
                ..UpstreamSettings::default()
            },
        };
        let issuer = if by_dns { format!("{ISSUER}:{}", server.address.port()) } else { ISSUER.into() };
        {
            let mut says = says.lock().unwrap();
            says.document = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
                "userinfo_endpoint": format!("{issuer}/userinfo"),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            });
            let now = clock.now().as_millis() / 1000;
            says.claims = json!({
                "iss": issuer, "sub": "subject-1", "aud": CLIENT, "iat": now, "exp": now + 300,
                "email": "ada@example.test", "email_verified": true, "name": "Ada", "groups": ["staff", "admins"],
            });
        }
        let upstream = Upstream::new(UpstreamSettings { extra_ca, limits, ..network }, clock.clone()).unwrap();
        let settings = SingleSignOnSettings {
            issuer: issuer.parse().unwrap(),
            client_id: CLIENT.into(),
            client_secret: Some(HARD_SECRET.into()),
            scopes: vec!["email".into(), "openid".into(), "profile".into()],
            groups_claim: "groups".into(),
        };
        Self { server, upstream, clock, settings, says, _dns: dns }
    }

    /// Changes what it says.
    pub(super) fn change(&self, change: impl FnOnce(&mut Sayings)) {
        change(&mut self.says.lock().unwrap());
    }

    /// Begins a sign-in: the address, what is pending and the answer that belongs to it.
    pub(super) async fn begin(&self) -> Result<(Url, PendingSignIn, CallbackAnswer), SingleSignOnError> {
        let (url, pending) = self.upstream.sign_on.begin_sign_in(&self.settings, &redirect()).await?;
        let state = parameter(&url, "state").unwrap();
        self.change(|says| says.nonce = parameter(&url, "nonce").unwrap());
        let answer = CallbackAnswer { code: Some(CODE.into()), state: Some(state.into()), ..CallbackAnswer::default() };
        Ok((url, pending, answer))
    }

    pub(super) async fn finish(
        &self,
        pending: &PendingSignIn,
        answer: &CallbackAnswer,
    ) -> Result<ExternalIdentity, SingleSignOnError> {
        let result = self.upstream.sign_on.finish_sign_in(&self.settings, &redirect(), pending, answer).await;
        if let Err(error) = &result {
            self.nothing_secret(error, pending);
        }
        result
    }

    /// A whole sign-in.
    pub(super) async fn sign_in(&self) -> Result<ExternalIdentity, SingleSignOnError> {
        let (_, pending, answer) = self.begin().await?;
        self.finish(&pending, &answer).await
    }

    /// A whole sign-in that must fail.
    pub(super) async fn refused(&self) -> SingleSignOnError {
        self.sign_in().await.expect_err("nobody must be signed in")
    }

    /// How many requests there were for a path.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.server.seen().iter().filter(|seen| seen.target == path).count()
    }

    fn nothing_secret(&self, error: &SingleSignOnError, pending: &PendingSignIn) {
        let shown = format!("{error} {error:?}");
        let pending = serde_json::to_value(pending).unwrap();
        let own = pending.as_object().unwrap().values().map(|value| value.as_str().unwrap().to_owned());
        let id_token = self.says.lock().unwrap().id_token();
        let parts = id_token.split('.').filter(|part| !part.is_empty()).map(str::to_owned);
        for secret in own.chain(parts).chain([HARD_SECRET, CODE, ACCESS_TOKEN].map(str::to_owned)) {
            assert!(!shown.contains(&secret), "{secret} in {shown}");
        }
    }
}

impl Sayings {
    fn reply(&self, seen: &Seen) -> Reply {
        match seen.target.as_str() {
            "/.well-known/openid-configuration" => {
                self.discovery_reply.clone().unwrap_or_else(|| Reply::json(200, self.document.clone()))
            }
            "/jwks" => Reply::json(200, json!({"keys": self.keys})),
            "/token" => self.token_reply.clone().unwrap_or_else(|| {
                let tokens = json!({"access_token": self.access_token, "token_type": "Bearer", "id_token": self.id_token()});
                Reply::json(200, tokens)
            }),
            "/userinfo" => self.userinfo.clone(),
            _ => Reply::json(404, json!({})),
        }
    }

    /// The ID token that it issues at present.
    pub(super) fn id_token(&self) -> String {
        let mut claims = self.claims.clone();
        if claims.get("nonce").is_none() {
            claims["nonce"] = self.nonce.clone().into();
        }
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&self.header), encode(&claims));
        let signature = match &self.signer {
            Signer::Key(key) => key.sign(signed.as_bytes()).unwrap(),
            Signer::SharedSecret => {
                let mac = Hmac::<Sha256>::new_from_slice(HARD_SECRET.as_bytes()).unwrap().chain_update(&signed);
                mac.finalize().into_bytes().to_vec()
            }
            Signer::Nobody => Vec::new(),
        };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
