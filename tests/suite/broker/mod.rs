//! The broker, against a token server that counts, dawdles, lies and dies, with a clock that the test moves.

mod changes;
mod failures;
mod instances;
mod once;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keytile::{
    crypto::keyring::Keyring,
    service::{
        Service,
        access::caller::Caller,
        tokens::issue::{IssueRefusal, IssuedAccess, TokenIssue},
    },
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    support::{
        database::TestDatabase,
        fault_server::{FaultServer, Reply},
        https::pem,
        server::{OVERLAY, Server, Setup, credential_in, good_values},
        tls::Authority,
    },
    web::sessions::until,
};

/// What names the service: its token endpoint and its API.
const HOSTS: [&str; 2] = ["acme.talkdeskid.com", "api.talkdeskapp.com"];
const SECOND: Duration = Duration::from_secs(1);

/// What the token endpoint says.
#[derive(Clone)]
enum Says {
    /// A token of its own for each request, and this `expires_in`.
    Token(Value),
    /// The same for every request.
    Always(Reply),
}

/// A Keytile with one resource, and the service that it is at.
struct Scene {
    setup: Setup,
    server: Server,
    service: FaultServer,
    says: Arc<Mutex<Says>>,
    /// Whether token requests are answered, or wait.
    answers: watch::Sender<bool>,
    /// Tokens that the API refuses.
    refused: Arc<Mutex<Vec<String>>>,
    credential: Uuid,
    resource: Uuid,
    _database: Option<TestDatabase>,
}

impl Scene {
    /// Over SQLite.
    async fn set() -> Self {
        Self::over(None, |setup| setup).await
    }

    async fn over(database: Option<TestDatabase>, with: impl Fn(Setup) -> Setup) -> Self {
        let authority = Authority::new();
        let says = Arc::new(Mutex::new(Says::Token(json!(600))));
        let (answers, answering) = watch::channel(true);
        let (refused, count) = (Arc::new(Mutex::new(Vec::<String>::new())), AtomicUsize::new(0));
        let (saying, refusing) = (Arc::clone(&says), Arc::clone(&refused));
        let service = FaultServer::start(authority.server(&HOSTS), move |seen| {
            if seen.header("host") != Some(HOSTS[0]) {
                let sent = seen.header("authorization").unwrap_or_default();
                let is_refused = refusing.lock().unwrap().iter().any(|token| sent.ends_with(token));
                return Reply::json(if is_refused { 401 } else { 200 }, json!({"sent": "yes"}));
            }
            let says = saying.lock().unwrap().clone();
            let reply = match says {
                Says::Always(reply) => reply,
                Says::Token(expires_in) => {
                    let token = format!("tok-{}", count.fetch_add(1, Ordering::SeqCst) + 1);
                    Reply::json(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
                }
            };
            Reply::When(answering.clone(), Box::new(reply))
        })
        .await;
        let mut setup = Setup::new();
        let file = setup.folder.path().join("authority.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        setup = HOSTS.iter().fold(setup, |setup, host| setup.with(format!("--egress-pin={host}={}", service.address)));
        setup = with(setup.with(format!("--extra-ca={}", file.display())));
        if let Some(database) = database.as_ref().filter(|database| database.is_postgres()) {
            let keyring = setup.folder.path().join("keyring");
            Keyring::create(&keyring).unwrap();
            setup = setup.with(format!("--database-url={}", database.url())).with(format!("--keyring={}", keyring.display()));
        }
        let server = setup.start().await;
        let mut ana = server.browser();
        let draft = ana.get(OVERLAY).await.value("draft");
        let saved = ana.post(OVERLAY, &good_values("Support", &draft)).await;
        assert_eq!(saved.status, 303, "{}", saved.text);
        let credential = credential_in(&saved.location.unwrap());
        let configure = format!("/sources/new/talkdesk/configure?credential={credential}");
        let form = ana.get(&configure).await.value("form");
        let typed = [("form", form.as_str()), ("name", "Agents"), ("method", "GET"), ("path", "/account"), ("action", "create")];
        let source = ana.post(&configure, &typed).await.location.unwrap();
        let resource = source.split('?').next().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        let credential = credential.parse().unwrap();
        Self { setup, server, service, says, answers, refused, credential, resource, _database: database }
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// The token server keeps those waiting who ask from now on, until [`Scene::answers`].
    fn keeps_waiting(&self) {
        self.answers.send_replace(false);
    }

    fn answers(&self) {
        self.answers.send_replace(true);
    }

    /// Waits until there were so many token requests.
    async fn is_asked(&self, times: usize) {
        until(async || self.asked() == times).await;
    }

    /// How many token requests there were so far.
    fn asked(&self) -> usize {
        self.service.seen().iter().filter(|seen| seen.header("host") == Some(HOSTS[0])).count()
    }

    /// The token of the Save, and every one after it, has ended.
    fn let_it_end(&self) {
        self.setup.clock.advance(SECOND * 601);
    }

    async fn ask(&self, service: &Service) -> TokenIssue {
        service.issue_token(&Caller::server("test"), self.resource, Duration::ZERO).await.unwrap()
    }

    async fn token(&self, service: &Service) -> String {
        issued(self.ask(service).await).access_token.expose_secret().to_owned()
    }
}

#[track_caller]
fn issued(issue: TokenIssue) -> IssuedAccess {
    match issue {
        TokenIssue::Issued(access) => *access,
        TokenIssue::Refused(refusal) => panic!("refused: {refusal:?}"),
        TokenIssue::NotAllowed => panic!("not allowed"),
        TokenIssue::NotFound => panic!("not found"),
    }
}

#[track_caller]
fn refusal(issue: TokenIssue) -> IssueRefusal {
    match issue {
        TokenIssue::Refused(refusal) => refusal,
        TokenIssue::Issued(access) => panic!("issued for {} s", access.seconds_left),
        TokenIssue::NotAllowed => panic!("not allowed"),
        TokenIssue::NotFound => panic!("not found"),
    }
}
