//! A headless Chromium for one test, with the steps that tests repeat.
//!
//! All tests share one chromedriver ([`driver`]); each has a browser with a fresh profile, which ends when
//! its [`Browser`] is dropped. At most two run at a time. Nothing here sleeps for a fixed time: waiting
//! means asking again until a deadline.

mod accessibility;
mod driver;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use axum::http::Method;
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
    error::CmdError,
    key::Key,
    wd::WebDriverCompatibleCommand,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use self::driver::Driver;

/// How long the `wait_…` methods wait.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(20);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(15);

static PLACES: Semaphore = Semaphore::const_new(2);

/// What kind of browser a test wants. The default has JavaScript, light colours and 1280 by 900 pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    javascript: bool,
    dark: bool,
    width: u32,
    height: u32,
    /// A host name, and where it is found.
    host: Option<(&'static str, SocketAddr)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self::new()
    }
}

impl Wanted {
    pub(crate) const fn new() -> Self {
        Self { javascript: true, dark: false, width: 1280, height: 900, host: None }
    }

    /// Pages can't run script of their own. The driver's script still runs.
    pub(crate) const fn without_javascript(self) -> Self {
        Self { javascript: false, ..self }
    }

    /// The person prefers dark colours.
    pub(crate) const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    /// The size of the page in CSS pixels; narrower than a window may be, if needed.
    pub(crate) const fn size(self, width: u32, height: u32) -> Self {
        Self { width, height, ..self }
    }

    /// Resolves this host name to this address, and trusts its certificate.
    pub(crate) const fn with_host(self, name: &'static str, address: SocketAddr) -> Self {
        Self { host: Some((name, address)), ..self }
    }

    /// Starts the browser as soon as there is a free place.
    pub(crate) async fn open(self) -> Browser {
        self.open_in(PLACES.acquire().await.unwrap()).await
    }

    /// Starts two browsers as soon as there are two free places: two tests that each hold one place and wait for a
    /// second would wait forever.
    pub(crate) async fn open_two(self) -> [Browser; 2] {
        let mut places = PLACES.acquire_many(2).await.unwrap();
        let second = places.split(1).unwrap();
        [self.open_in(places).await, self.open_in(second).await]
    }

    async fn open_in(self, place: SemaphorePermit<'static>) -> Browser {
        let driver = Driver::shared();
        let profile = tempfile::Builder::new().prefix("profile-").tempdir_in(&driver.folder).unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(self.capabilities(profile.path()).as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        // The session is ended by Drop, which also runs when a test panics.
        client.persist().await.unwrap();
        let browser = Browser { client, session, port: driver.port, _profile: profile, _place: place };
        browser.colours(self.dark).await;
        browser.resize(self.width, self.height).await;
        browser
    }

    fn capabilities(self, profile: &Path) -> Value {
        let user_data_dir = format!("--user-data-dir={}", profile.display());
        let mut arguments = vec![
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &user_data_dir,
        ];
        let rule = self.host.map(|(name, address)| format!("--host-resolver-rules=MAP {name} {address}"));
        if let Some(rule) = &rule {
            arguments.extend(["--no-proxy-server", rule.as_str()]);
        }
        // 2 is "block", as a person can choose in the settings.
        let javascript = if self.javascript { 1 } else { 2 };
        json!({
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": { "profile.managed_default_content_settings.javascript": javascript },
            },
            "goog:loggingPrefs": { "browser": "ALL" },
            "acceptInsecureCerts": self.host.is_some(),
            "timeouts": { "script": 60_000, "pageLoad": 60_000, "implicit": 0 },
        })
    }
}

/// A running browser with one page. It ends when this is dropped.
pub(crate) struct Browser {
    client: Client,
    session: String,
    port: u16,
    // Dropped in this order, after the browser has ended.
    _profile: TempDir,
    _place: SemaphorePermit<'static>,
}

impl Browser {
    /// The WebDriver session, for what has no method here.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The first element that the selector finds, waiting until there is one.
    pub(crate) async fn wait_for(&self, css: &str) -> Element {
        let deadline = Instant::now() + WAIT_LIMIT;
        loop {
            match self.client.find(Locator::Css(css)).await {
                Ok(element) => return element,
                Err(error) if !error.is_no_such_element() => panic!("{css}: {error}"),
                Err(_) => self.ask_again(deadline, &format!("there is no {css}")).await,
            }
        }
    }

    /// Waits until a JavaScript expression is true, also while pages come and go.
    pub(crate) async fn wait_until(&self, condition: &str) {
        let script = format!("return Boolean({condition})");
        let deadline = Instant::now() + WAIT_LIMIT;
        // An error while a page is being replaced is no answer yet; a lasting one shows at the deadline.
        loop {
            let answer = self.client.execute(&script, Vec::new()).await;
            if matches!(answer, Ok(Value::Bool(true))) {
                return;
            }
            self.ask_again(deadline, &format!("not true: {condition} ({answer:?})")).await;
        }
    }

    async fn ask_again(&self, deadline: Instant, complaint: &str) {
        if Instant::now() > deadline {
            let source = self.client.source().await.unwrap_or_else(|error| error.to_string());
            panic!("{complaint} within {} s. The page:\n{source}", WAIT_LIMIT.as_secs());
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return ({expression})"), Vec::new()).await.unwrap()
    }

    /// What a person reads in the first element that the selector finds.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.wait_for(css).await.text().await.unwrap()
    }

    /// Clicks on the first element that the selector finds. Where something lies over it, such as buttons
    /// that stick to the lower edge, it is scrolled to the middle first, as a person does.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.wait_for(css).await;
        if element.click().await.is_ok() {
            return;
        }
        let script = format!("document.querySelector({css:?})?.scrollIntoView({{ block: 'center' }})");
        self.client.execute(&script, Vec::new()).await.unwrap();
        self.wait_for(css).await.click().await.unwrap();
    }

    /// Replaces what stands in a text field, key by key as a person does.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.wait_for(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys together, such as `[Key::Shift.into(), Key::Tab.into()]`, and lets them go.
    pub(crate) async fn press(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for &value in keys {
            actions = actions.then(KeyAction::Down { value });
        }
        for &value in keys.iter().rev() {
            actions = actions.then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses one key.
    pub(crate) async fn press_key(&self, key: Key) {
        self.press(&[key.into()]).await;
    }

    /// The element that has the focus: its id, or else its name, or else its tag in lower case.
    pub(crate) async fn focused(&self) -> String {
        const WORD: &str = "(e => e?.id || e?.getAttribute('name') || e?.localName || '')(document.activeElement)";
        self.value(WORD).await.as_str().unwrap().to_owned()
    }

    /// Makes the page this large, in CSS pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Makes the person prefer dark colours or light ones. Either way they prefer to see nothing move, so
    /// that no test sees a page that is still fading in.
    pub(crate) async fn colours(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Writes what is seen to a PNG file.
    pub(crate) async fn screenshot(&self, file: &Path) {
        std::fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
    }

    /// What the console has said since the last call: errors of scripts, refused requests, violations of the
    /// Content-Security-Policy. One line each, with its level first.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await.unwrap();
        let line = |entry: &Value| format!("{} {}", entry["level"].as_str().unwrap(), entry["message"].as_str().unwrap());
        entries.as_array().unwrap().iter().map(line).collect()
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, method: &str, params: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": method, "params": params })).await.unwrap()
    }

    async fn command(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        self.client.issue_cmd(DriverCommand { path, body }).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // By hand, because the runtime may be gone already. The answer begins when the browser has ended;
        // if there is none, the driver is gone, and the browser with it.
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let request = format!("DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.session);
        let _ = connection.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = connection.write_all(request.as_bytes());
        let _ = connection.read(&mut [0; 64]);
    }
}

/// A command that WebDriver itself does not have.
#[derive(Debug)]
struct DriverCommand {
    /// Below the session.
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
