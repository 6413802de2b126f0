//! Single sign-on as browsers see it: a whole Keytile, and `oidc-provider` from npm.

mod accounts;
mod canary;
mod flow;
mod only;
mod roles;

use std::fs;

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use url::Url;

use crate::support::{
    https::pem,
    oidc_provider::{OidcProvider, SIGN_IN_CLIENT, SignIn},
    server::{Browser, Page, SESSION, Server, Setup},
};

/// The host of the provider.
const PROVIDER: &str = "id.example.test";
/// The cookie of a sign-in that is under way.
const PENDING: &str = "keytile_sso";

/// A Keytile with single sign-on, and its provider.
struct Site {
    setup: Setup,
    server: Server,
    provider: OidcProvider,
}

/// People at the provider, with groups that a test can change.
fn people(ada: &[&str]) -> Value {
    json!({
        "ada": {"email": "ada@example.test", "email_verified": true, "name": "Ada Lovelace", "groups": ada},
        "bob": {"email": "bob@example.test", "email_verified": false, "name": "Bob"},
        // Says to be the first administrator, and nobody has checked that.
        "mallory": {"email": "ANA@example.com", "email_verified": false, "name": "Mallory"},
        // The first administrator, who has another name there.
        "ana": {"email": "ANA@example.com", "email_verified": true, "name": "Ana of the provider", "groups": ["staff"]},
        // Somebody else with the same address, also checked.
        "ana2": {"email": "ana@example.com", "email_verified": true, "name": "Another Ana", "groups": ["staff"]},
        "nobody": {"name": "No Address"},
    })
}

/// The provider of a Keytile at this address.
async fn provider(accounts: Value, keytile: &Url) -> OidcProvider {
    let redirects = vec![keytile.join("/sign-in/sso/callback").unwrap().into()];
    let sign_in = SignIn { clients: vec![SIGN_IN_CLIENT], redirects, accounts, claims_in_id_token: false, algorithm: "ES256" };
    OidcProvider::start_with_sign_in(&[PROVIDER], sign_in).await
}

/// The settings with which a Keytile uses a provider.
fn arguments(setup: &Setup, provider: &OidcProvider, more: &[&str]) -> Vec<String> {
    let file = |name: &str, text: &str| {
        let path = setup.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut arguments = vec![
        format!("--egress-pin={PROVIDER}={}", provider.address()),
        format!("--extra-ca={}", file("ca.pem", &pem(&provider.authority()))),
        format!("--sso-issuer=https://{PROVIDER}"),
        format!("--sso-client-id={}", SIGN_IN_CLIENT.id),
        format!("--sso-client-secret-file={}", file("secret", &format!("{}\n", SIGN_IN_CLIENT.secret))),
        "--sso-scopes=openid profile email groups".to_owned(),
    ];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

/// Starts it again at the address where it is.
async fn restart(setup: &mut Setup, server: Server) -> Server {
    let address = server.address.socket_addrs(|| None).unwrap()[0];
    setup.listen = address;
    server.stop().await;
    setup.start().await
}

impl Site {
    /// With these people at the provider, and these settings of single sign-on. There is a first administrator.
    async fn start(accounts: Value, more: &[&str]) -> Self {
        let mut setup = Setup::new();
        // It has to be told of the provider, which has to be told of its address before: so it starts twice, at one
        // address, which it keeps for as long as the provider takes to start.
        let server = setup.start().await;
        let provider = provider(accounts, &server.address).await;
        setup.arguments = arguments(&setup, &provider, more);
        let server = restart(&mut setup, server).await;
        Self { setup, server, provider }
    }

    /// The same Keytile, with other people at the provider or other settings.
    async fn changed(self, accounts: Value, more: &[&str]) -> Self {
        let Self { mut setup, server, .. } = self;
        let provider = provider(accounts, &server.address).await;
        setup.arguments = arguments(&setup, &provider, more);
        let server = restart(&mut setup, server).await;
        Self { setup, server, provider }
    }

    /// Begins a sign-in; answers where the provider is.
    async fn begin(&self, browser: &mut Browser, path: &str) -> Url {
        let sent = browser.get(path).await;
        assert_eq!(sent.status, 303, "{}", sent.text);
        let to: Url = sent.location.unwrap().parse().unwrap();
        assert_eq!((to.scheme(), to.host_str()), ("https", Some(PROVIDER)));
        to
    }

    /// Goes to the provider as somebody; answers the address with which the browser is sent back, on Keytile.
    async fn visit(&self, to: &Url, account: &str) -> String {
        let back = self.provider.sign_in(to, account).await;
        assert_eq!((back.origin(), back.path()), (self.server.address.origin(), "/sign-in/sso/callback"));
        format!("{}?{}", back.path(), back.query().unwrap())
    }

    /// Signs in as somebody, from the first page to the last.
    async fn sign_in(&self, browser: &mut Browser, account: &str) -> Page {
        let to = self.begin(browser, "/sign-in/sso").await;
        let back = self.visit(&to, account).await;
        browser.get(&back).await
    }

    /// A browser in which somebody has signed in.
    async fn browser_of(&self, account: &str) -> Browser {
        let mut browser = self.server.visitor();
        let done = self.sign_in(&mut browser, account).await;
        assert_eq!((done.status, done.location.as_deref()), (303, Some("/")), "{}", done.text);
        browser
    }

    /// Rows of the database, read beside Keytile: the columns as text, joined by `|`.
    async fn rows(&self, statement: &'static str) -> Vec<String> {
        let options = SqliteConnectOptions::new().filename(self.setup.data_dir().join("keytile.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// E-mail address, name and role of each account, in the order of their addresses.
    async fn accounts(&self) -> Vec<String> {
        self.rows("SELECT email || '|' || name || '|' || role FROM users ORDER BY email_key").await
    }

    /// What was recorded since the set-up: action, outcome, who, on whom, detail.
    async fn events(&self) -> Vec<String> {
        self.rows(
            "SELECT action || '|' || outcome || '|' || actor_name || '|' || target_name || '|' || detail FROM audit_events
            WHERE seq > (SELECT MIN(seq) FROM audit_events WHERE action = 'session.sign_in') AND action <> 'settings.change'
            ORDER BY seq",
        )
        .await
    }

    async fn execute(&self, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(self.setup.data_dir().join("keytile.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// True when somebody is signed in in this browser.
    async fn is_signed_in(&self, browser: &Browser) -> bool {
        let page = browser.clone().get("/").await;
        match (page.status, page.location.as_deref()) {
            (200, _) => true,
            (303, Some("/sign-in")) => false,
            other => panic!("{other:?}: {}", page.text),
        }
    }
}
