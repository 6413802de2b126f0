//! A whole Keytile for a test: the real app on a free port, with a fresh database, a clock that the test
//! moves, and the sandbox or the servers that the test pins hosts to.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser;
use keytile::{
    app::{App, Overrides},
    config::Config,
    crypto::{hash::form_token, password::PasswordCost},
    domain::{time::Clock, users::Role},
    service::{
        Service,
        access::caller::Caller,
        users::admin::{PersonAdded, RawPerson},
    },
};
use reqwest::{Client, Response, header};
use tokio::{sync::oneshot, task::JoinHandle};
use url::Url;

use super::{clock::TestClock, https::plain_client};

/// Parses settings like the command line, without the environment variables of the test run.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// How a test starts Keytile.
pub(crate) struct Setup {
    pub(crate) folder: Arc<tempfile::TempDir>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) arguments: Vec<String>,
    pub(crate) overrides: Overrides,
    /// Where it listens; port 0 chooses a free one.
    pub(crate) listen: SocketAddr,
    /// The cookie of the first administrator, from the start that made the account.
    administrator: Arc<Mutex<Option<String>>>,
}

/// The e-mail address of the first administrator.
pub(crate) const ADMINISTRATOR: &str = "ana@example.com";
/// The password of the first administrator.
pub(crate) const PASSWORD: &str = "kiln glaze 77 Tuesday teapot";

impl Setup {
    /// Over a new embedded database, without the sandbox.
    pub(crate) fn new() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            clock: Arc::new(TestClock::new()),
            arguments: Vec::new(),
            overrides: Overrides { password_cost: PasswordCost::new(8, 1, 1).unwrap(), ..Overrides::default() },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            administrator: Arc::default(),
        }
    }

    /// Over a new embedded database, with the sandbox.
    pub(crate) fn sandbox() -> Self {
        Self::new().with("--sandbox")
    }

    pub(crate) fn with(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Calls give up soon, so that a test of a time-out takes no 15 s.
    pub(crate) fn impatient(mut self) -> Self {
        self.overrides.limits.connect = Duration::from_millis(500);
        self.overrides.limits.request = Duration::from_millis(1_000);
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it, and makes the first administrator if there is none.
    pub(crate) async fn start(&self) -> Server {
        let mut server = self.start_without_accounts().await;
        let cookie = self.administrator.lock().unwrap().clone();
        let cookie = match (cookie, &server.setup) {
            (None, Some(setup)) => Some(set_up(&server, setup).await),
            (cookie, _) => cookie,
        };
        self.administrator.lock().unwrap().clone_from(&cookie);
        server.administrator = cookie;
        server
    }

    /// Starts another instance over the database of one that runs, whose first administrator is also this one's.
    pub(crate) async fn start_beside(&self, other: &Server) -> Server {
        let mut server = self.start_without_accounts().await;
        server.administrator.clone_from(&other.administrator);
        server
    }

    /// What Keytile does, as another instance over the same database that serves nothing.
    pub(crate) async fn service(&self) -> Service {
        self.build().await.service().clone()
    }

    async fn build(&self) -> App {
        let data_dir = format!("--data-dir={}", self.data_dir().display());
        let own = ["keytile".to_owned(), format!("--listen={}", self.listen), data_dir];
        let config = Arguments::parse_from(own.into_iter().chain(self.arguments.iter().cloned())).config;
        let clock: Arc<dyn Clock> = self.clock.clone();
        App::build(&config, clock, self.overrides.clone()).await.unwrap()
    }

    /// Starts it as it is, perhaps without any account.
    pub(crate) async fn start_without_accounts(&self) -> Server {
        let app = self.build().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, listening) = (app.address().clone(), app.listening().unwrap());
        let metrics = app.metrics_listening().map(|address| address.unwrap());
        let setup = app.setup_address().await.unwrap();
        let service = app.service().clone();
        let serving = tokio::spawn(app.serve(async move {
            // A test that ends without stopping the server drops the sender; that stops it too.
            let _ = stopped.await;
        }));
        Server { address, listening, metrics, setup, service, administrator: None, stop, serving, _folder: self.folder.clone() }
    }
}

/// A Keytile that runs.
pub(crate) struct Server {
    pub(crate) address: Url,
    /// Where it listens, whatever it is called.
    pub(crate) listening: SocketAddr,
    /// Where figures are told, if they are.
    pub(crate) metrics: Option<SocketAddr>,
    /// The link that makes the first administrator, while there is none.
    pub(crate) setup: Option<Url>,
    /// What Keytile does, for a test that calls it without a browser.
    pub(crate) service: Service,
    administrator: Option<String>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: Arc<tempfile::TempDir>,
}

impl Server {
    /// A browser in which the first administrator is signed in.
    pub(crate) fn browser(&self) -> Browser {
        let mut browser = self.visitor();
        let cookie = self.administrator.as_deref().expect("there is an administrator");
        browser.cookies.insert(SESSION.to_owned(), cookie.to_owned());
        browser
    }

    /// A browser in which somebody of this role is signed in, whose account is made for it.
    pub(crate) async fn browser_as(&self, email: &str, role: Role) -> Browser {
        let raw = RawPerson {
            email: email.to_owned(),
            name: email.split('@').next().unwrap().to_owned(),
            role: role.as_str().to_owned(),
        };
        let added = self.service.add_person(&Caller::server("test"), &raw, Some(&PASSWORD.into())).await.unwrap();
        assert!(matches!(added, PersonAdded::Added { .. }), "{email} is not added");
        let mut browser = self.visitor();
        browser.get("/sign-in").await;
        let signed_in = browser.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.text);
        browser
    }

    /// A browser in which nobody is signed in.
    pub(crate) fn visitor(&self) -> Browser {
        Browser { client: plain_client(), address: self.address.clone(), cookies: BTreeMap::new() }
    }

    /// Stops it as a signal would: requests in flight are finished.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.serving.await.unwrap().unwrap();
    }
}

/// Makes the first administrator as a person would; answers the value of the session's cookie.
async fn set_up(server: &Server, setup: &Url) -> String {
    let mut browser = server.visitor();
    let path = format!("/setup?{}", setup.query().unwrap());
    let token = browser.get(&path).await.value("token");
    let typed = [("token", token.as_str()), ("email", ADMINISTRATOR), ("name", "Ana"), ("password", PASSWORD)];
    let done = browser.post("/setup", &typed).await;
    assert_eq!(done.status, 303, "{}", done.text);
    browser.cookies[SESSION].clone()
}

/// The cookie of the session, on a server without TLS.
pub(crate) const SESSION: &str = "keytile_session";

/// What a person's browser does, without scripts: keeps cookies, sends forms, follows nothing by itself.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    address: Url,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// An answer, read whole.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn url(&self, path: &str) -> Url {
        self.address.join(path).unwrap()
    }

    /// The same browser, pointed at a Keytile that was started again.
    pub(crate) fn moved_to(&self, server: &Server) -> Self {
        Self { address: server.address.clone(), ..self.clone() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        let request = self.client.get(self.url(path));
        self.send(request).await
    }

    /// Sends a form as the page of the same site would.
    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = self.form(path, form);
        self.send(request).await
    }

    /// What a form of the present session brings with it.
    pub(crate) fn form_token(&self) -> String {
        form_token(self.cookies.get(SESSION).map_or("", String::as_str))
    }

    pub(crate) fn form(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form).append_pair("form_token", &self.form_token());
        let body = body.finish();
        let request = self.client.post(self.url(path)).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.header("Sec-Fetch-Site", "same-origin").body(body)
    }

    /// A request with this browser's cookie, for a test that looks at it itself.
    pub(crate) fn with_cookie(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.cookies.is_empty() {
            return request;
        }
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header(header::COOKIE, pairs.join("; "))
    }

    pub(crate) async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let response = self.with_cookie(request).send().await.unwrap();
        self.read(response).await
    }

    async fn read(&mut self, response: Response) -> Page {
        let headers = response.headers().clone();
        for cookie in headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = headers.get(header::LOCATION).map(|location| location.to_str().unwrap().to_owned());
        Page { status: response.status().as_u16(), location, headers, text: response.text().await.unwrap() }
    }
}

impl Page {
    /// The value of an input, as a browser would send it back.
    pub(crate) fn value(&self, name: &str) -> String {
        self.find_value(name).unwrap_or_else(|| panic!("no input {name} in:\n{}", self.text))
    }

    pub(crate) fn find_value(&self, name: &str) -> Option<String> {
        let named = format!("name=\"{name}\"");
        let at = self.text.find(&named)?;
        let tag = &self.text[self.text[..at].rfind('<')?..];
        let tag = &tag[..tag.find('>')?];
        let value = tag.split_once("value=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap_or_default());
        Some(unescaped(value))
    }

    /// The page has this text, as a reader would see it, or this markup.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.has(text), "the page ({}) does not say {text:?}:\n{}", self.status, self.text);
    }

    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) {
        assert!(!self.has(text), "the page says {text:?}:\n{}", self.text);
    }

    fn has(&self, text: &str) -> bool {
        let without_tags: String = self.text.split('<').map(|part| part.split_once('>').map_or(part, |(_, after)| after)).collect();
        unescaped(&self.text).contains(text) || unescaped(&without_tags).contains(text)
    }
}

fn unescaped(html: &str) -> String {
    let entities = [
        ("&#38;", "&"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(html.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

/// The values with which the sandbox's good accounts work.
pub(crate) fn good_values<'a>(name: &'a str, draft: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("draft", draft),
        ("name", name),
        ("description", "Nightly exports"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("account_name", "acme"),
        ("region", "us"),
        ("scopes", ""),
        ("api_host", ""),
        ("authorization_prefix", "Basic"),
    ]
}

/// The form with some values replaced.
pub(crate) fn replaced<'a>(mut form: Vec<(&'a str, &'a str)>, values: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    for (name, value) in values {
        match form.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => form.push((name, value)),
        }
    }
    form
}

/// Where the overlay for a new source is.
pub(crate) const OVERLAY: &str = "/sources/new/talkdesk/credentials/new";

impl Browser {
    /// Adds a credential of the sandbox in the overlay and returns its id.
    pub(crate) async fn add_credential(&mut self, name: &str) -> String {
        self.add_credential_in(OVERLAY, name).await
    }

    /// The same in the overlay of another connector.
    pub(crate) async fn add_credential_in(&mut self, overlay: &str, name: &str) -> String {
        let draft = self.get(overlay).await.value("draft");
        let saved = self.post(overlay, &good_values(name, &draft)).await;
        assert_eq!(saved.status, 303, "{}", saved.text);
        credential_in(&saved.location.unwrap())
    }
}

/// The id in `…?credential=ID…`.
pub(crate) fn credential_in(location: &str) -> String {
    let query = location.split_once("credential=").unwrap_or_else(|| panic!("no credential in {location}")).1;
    query.split('&').next().unwrap().to_owned()
}
