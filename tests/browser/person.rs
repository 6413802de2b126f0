//! A user in front of a browser: the steps that many tests share.

use url::Url;

use crate::{
    harness::{Browser, Wanted},
    support::server::{self, SESSION, Server},
};

/// The tiles of a new source.
pub(crate) const TILES: &str = "/sources/new/talkdesk/authenticate";
/// The overlay over them.
pub(crate) const OVERLAY: &str = "/sources/new/talkdesk/credentials/new";

/// A browser that is used with one Keytile.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    address: Url,
}

impl Person {
    /// Opens a browser of this kind in which the first administrator is signed in.
    pub(crate) async fn with(wanted: Wanted, server: &Server) -> Self {
        Self::in_session(wanted, server, &server.browser()).await
    }

    /// Opens a browser of this kind with the session of the other browser.
    pub(crate) async fn in_session(wanted: Wanted, server: &Server, other: &server::Browser) -> Self {
        let person = Self::stranger(wanted, server).await;
        person.take_session_of(other).await;
        person
    }

    /// Opens two browsers of this kind: the first administrator is signed in in the first, nobody in the second.
    pub(crate) async fn two(wanted: Wanted, server: &Server) -> [Self; 2] {
        let two = wanted.open_two().await.map(|browser| Self { browser, address: server.address.clone() });
        two[0].take_session_of(&server.browser()).await;
        two
    }

    async fn take_session_of(&self, other: &server::Browser) {
        // A cookie can be set only on a page of its host.
        self.goto("/healthz").await;
        let cookie = &other.cookies[SESSION];
        self.browser
            .wait_until(&format!("(document.cookie = '{SESSION}={cookie}; path=/', document.cookie.includes('{SESSION}='))"))
            .await;
    }

    /// Opens a browser of this kind in which nobody is signed in. No page is open in it yet.
    pub(crate) async fn stranger(wanted: Wanted, server: &Server) -> Self {
        Self { browser: wanted.open().await, address: server.address.clone() }
    }

    /// Opens a browser with JavaScript, in light colours.
    pub(crate) async fn at(server: &Server) -> Self {
        Self::with(Wanted::default(), server).await
    }

    /// Opens a page of Keytile.
    pub(crate) async fn goto(&self, path: &str) {
        self.browser.goto(self.address.join(path).unwrap().as_str()).await;
    }

    /// The path and query that the browser shows.
    pub(crate) async fn location(&self) -> String {
        let url = self.browser.client().current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the browser shows this path, whatever its query.
    pub(crate) async fn wait_for_path(&self, path: &str) {
        self.browser.wait_until(&format!("location.pathname === {path:?}")).await;
    }

    /// Waits until the page has this title.
    pub(crate) async fn wait_for_title(&self, title: &str) {
        self.browser.wait_until(&format!("document.title === {title:?}")).await;
    }

    pub(crate) async fn title(&self) -> String {
        self.browser.client().title().await.unwrap()
    }

    /// The content of a field, or its selected option.
    pub(crate) async fn field(&self, css: &str) -> String {
        let value = self.browser.value(&format!("document.querySelector({css:?}).value")).await;
        value.as_str().unwrap().to_owned()
    }

    /// How many elements the selector finds.
    pub(crate) async fn count(&self, css: &str) -> u64 {
        self.browser.value(&format!("document.querySelectorAll({css:?}).length")).await.as_u64().unwrap()
    }

    /// Waits until a person reads these words in the first element that the selector finds.
    pub(crate) async fn reads(&self, css: &str, words: &str) {
        let shown = format!("(e => e?.checkVisibility() && e.innerText.includes({words:?}))(document.querySelector({css:?}))");
        self.browser.wait_until(&shown).await;
    }

    /// Waits until an element has the focus.
    pub(crate) async fn wait_for_focus(&self, css: &str) {
        self.browser.wait_until(&format!("document.activeElement?.matches({css:?})")).await;
    }

    /// Chooses an option of a select by typing what it is called.
    pub(crate) async fn choose(&self, css: &str, label: &str) {
        self.browser.wait_for(css).await.send_keys(label).await.unwrap();
    }

    /// Types an e-mail address and a password into the page of the sign-in, which is open, and sends them.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) {
        self.browser.fill("#f-email", email).await;
        self.browser.fill("#f-password", password).await;
        self.browser.click("#sign-in").await;
    }

    /// Opens the tiles of a new source and then the overlay in place, by its tile.
    pub(crate) async fn open_overlay_in_place(&self) {
        self.goto(TILES).await;
        self.browser.wait_until("document.documentElement.classList.contains('scripted')").await;
        self.browser.click("#add-credential").await;
        self.wait_for_focus("#overlay:modal #f-name").await;
    }

    /// Fills in the fields that must be.
    pub(crate) async fn fill_credential(&self, name: &str, secret: &str, account: &str) {
        for (field, value) in
            [("name", name), ("client_id", "sandbox-client"), ("client_secret", secret), ("account_name", account)]
        {
            self.browser.fill(&format!("#f-{field}"), value).await;
        }
    }

    /// Waits until the overlay is gone, with a tile of this name chosen.
    pub(crate) async fn wait_for_chosen_tile(&self, name: &str) {
        self.browser.wait_until("!document.querySelector('#overlay') && document.querySelector('.tile-radio:checked')").await;
        self.reads(".tile:has(.tile-radio:checked)", name).await;
    }
}
