//! What holds for every page in every state: it breaks no rule of axe in light and dark, wide and narrow;
//! it never scrolls sideways; it has a title of its own, one heading and a live region; its scripts fail
//! nowhere and ask no other host.

use std::{cell::RefCell, collections::HashSet, path::PathBuf, time::Duration};

use fantoccini::key::Key;
use serde_json::json;

use crate::{
    harness::Wanted,
    person::{OVERLAY, Person, TILES},
    support::{
        sandbox_apart,
        server::{Server, Setup},
    },
};

/// Goes through states of pages and looks closely at each.
pub(crate) struct Visitor {
    /// Who looks.
    pub(crate) person: Person,
    titles: RefCell<HashSet<String>>,
    /// A folder for pictures of every state, for people to look at.
    pictures: Option<PathBuf>,
}

impl Visitor {
    /// As the first administrator.
    pub(crate) async fn at(server: &Server) -> Self {
        Self::of(Person::with(Wanted::default().size(1200, 860), server).await)
    }

    /// As somebody.
    pub(crate) fn of(person: Person) -> Self {
        let pictures = std::env::var_os("KEYTILE_TEST_PICTURES").map(PathBuf::from);
        Self { person, titles: RefCell::default(), pictures }
    }

    /// Opens a page and looks at it. Its title is one that no page before had.
    pub(crate) async fn page(&self, path: &str, title: &str) {
        assert!(self.titles.borrow_mut().insert(title.to_owned()), "{path} has the title of another page, {title}");
        self.again(path, title).await;
    }

    /// Opens a page that was looked at before, which is different now.
    pub(crate) async fn again(&self, path: &str, title: &str) {
        self.person.goto(path).await;
        self.person.browser.wait_for("html.scripted").await;
        self.state(title).await;
    }

    /// Looks at the page that follows from a click, once it has this title.
    pub(crate) async fn next(&self, title: &str) {
        self.person.wait_for_title(&format!("{title} · Keytile")).await;
        self.person.browser.wait_for("html.scripted").await;
        self.state(title).await;
    }

    /// Looks at the page as it is now. A state that follows from another may keep its title.
    pub(crate) async fn state(&self, title: &str) {
        let browser = &self.person.browser;
        let here = format!("{} ({title})", self.person.location().await);
        assert_eq!(self.person.title().await, format!("{title} · Keytile"), "{here}");
        // What an open dialog lies over is not there for anybody.
        let headings = browser.value(HEADINGS).await;
        assert_eq!(headings.as_array().unwrap().len(), 1, "{here} has these headings: {headings}");
        assert_eq!(browser.value(LIVE_REGION).await, true, "{here} has no live region");
        assert_eq!(browser.value(OTHER_HOSTS).await, json!([]), "{here} asks other hosts");
        for (width, dark) in [(1600, None), (1200, Some(false)), (768, None), (360, Some(true))] {
            browser.resize(width, 860).await;
            browser.wait_until(&format!("innerWidth === {width}")).await;
            let wide = browser.value(TOO_WIDE).await;
            assert_eq!(wide, json!([]), "{here} scrolls sideways at {width}");
            if let Some(dark) = dark {
                browser.colours(dark).await;
                browser.assert_accessible().await;
            }
            self.picture(title, width, dark.unwrap_or_default()).await;
        }
        // The structure does not depend on the colours: for the other two pairs the colours are enough.
        browser.colours(false).await;
        browser.assert_colours().await;
        browser.colours(true).await;
        browser.resize(1200, 860).await;
        browser.assert_colours().await;
        self.picture(title, 1200, true).await;
        browser.colours(false).await;
        let said = browser.console().await;
        // The browser notes that a page came with a status of an error, which is what the state is about.
        let wrong: Vec<_> = said
            .iter()
            .filter(|line| !line.starts_with("INFO") && !line.contains("the server responded with a status of 4"))
            .collect();
        assert!(wrong.is_empty(), "{here}: {wrong:?}");
    }

    /// A picture of the whole page.
    async fn picture(&self, title: &str, width: u32, dark: bool) {
        let Some(folder) = &self.pictures else { return };
        let browser = &self.person.browser;
        let height = browser.value("document.documentElement.scrollHeight").await.as_u64().unwrap();
        browser.resize(width, u32::try_from(height).unwrap().max(860)).await;
        let number = std::fs::read_dir(folder).unwrap().count();
        let name: String = title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let colours = if dark { "-dark" } else { "" };
        browser.screenshot(&folder.join(format!("{number:03}-{name}-{width}{colours}.png"))).await;
        browser.resize(width, 860).await;
    }
}

const HEADINGS: &str = "(dialogs => [...document.querySelectorAll('h1')]
    .filter(h => h.checkVisibility() && !h.closest('[inert]') && (!dialogs.length || dialogs[0].contains(h)))
    .map(h => h.textContent))([...document.querySelectorAll('#overlay:modal')])";
const LIVE_REGION: &str = "document.querySelectorAll('#announcer[role=status][aria-live=polite]').length === 1";
const OTHER_HOSTS: &str =
    "performance.getEntriesByType('resource').map(e => e.name).filter(name => new URL(name).host !== location.host)";
/// The page, its dialogs, and every control that sticks out of the window.
const TOO_WIDE: &str = "[
    ...[document.documentElement, ...document.querySelectorAll('dialog[open]')].filter(e => e.scrollWidth > e.clientWidth),
    ...[...document.querySelectorAll('a, button, input, select, textarea, h1, h2, p, .tile')].filter(e => {
        if (e.closest('.table-scroll, pre, .visually-hidden, .skip-link, .default-button') || !e.checkVisibility()) return false;
        const box = e.getBoundingClientRect();
        return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
    }),
].map(e => e.outerHTML.slice(0, 200))";

#[tokio::test]
async fn the_way_to_a_credential() {
    let mut setup = Setup::sandbox();
    setup.overrides.limits.request = Duration::from_secs(60);
    let server = setup.start().await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/", "Data flows").await;
    visitor.page("/credentials", "Credentials").await;
    visitor.page("/connectors", "Connectors").await;
    visitor.page("/api/docs", "API reference").await;
    visitor.page("/sources/new", "Connector · New source").await;
    visitor.page("/destinations/new", "Connector · New destination").await;
    visitor.page(TILES, "Authenticate · New source").await;
    visitor.page("/sources/new/talkdesk/configure", "Error: Authenticate · New source").await;
    visitor.page(OVERLAY, "Add New Credential · New source").await;
    visitor.page("/destinations/new/oauth2-client-credentials/credentials/new", "Add New Credential · New destination").await;
    visitor.page("/nowhere", "Page not found").await;

    person.open_overlay_in_place().await;
    visitor.state("Add New Credential · New source").await;
    browser.click("details.advanced summary").await;
    browser.click("#save").await;
    person.wait_for_focus("#f-name[aria-invalid='true']").await;
    visitor.state("Error: Add New Credential · New source").await;
    person.fill_credential("Support EU", "not-the-secret", "acme").await;
    browser.press_key(Key::Escape).await;
    browser.wait_for("dialog.confirm").await;
    visitor.state("Error: Add New Credential · New source").await;
    browser.click("dialog.confirm button[value='no']").await;
    browser.click("#save").await;
    browser.wait_for("#rejection").await;
    visitor.state("Error: Add New Credential · New source").await;
    // The same as a page that was loaded.
    browser.client().execute("document.getElementById('credential-form').submit()", Vec::new()).await.unwrap();
    browser.wait_until("document.querySelector('#rejection') && !document.querySelector('.announcer')").await;
    browser.wait_for("html.scripted #overlay:modal").await;
    visitor.state("Error: Add New Credential · New source").await;
}

#[tokio::test]
async fn the_overlay_without_its_scripts() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    // axe needs a browser that runs scripts; those of the page do not arrive.
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setBlockedURLs", json!({ "urls": ["*/static/*.js"] })).await;
    person.goto(OVERLAY).await;
    for (secret, answer) in [("", "#overlay"), ("", "#error-summary"), ("not-the-secret", "#rejection")] {
        if answer != "#overlay" {
            person.fill_credential(if secret.is_empty() { "" } else { "Support EU" }, secret, "acme").await;
            browser.click("#save").await;
        }
        browser.wait_for(&format!("html:not(.scripted) {answer}")).await;
        for (width, dark) in [(1200, false), (360, true)] {
            browser.resize(width, 860).await;
            browser.wait_until(&format!("innerWidth === {width}")).await;
            browser.colours(dark).await;
            browser.assert_accessible().await;
            assert_eq!(browser.value(TOO_WIDE).await, json!([]), "{answer} at {width}");
        }
    }
}

#[tokio::test]
async fn tiles_and_what_is_said_about_them() {
    let mut setup = Setup::sandbox();
    setup.overrides.limits.request = Duration::from_secs(60);
    let server = setup.start().await;
    let mut seeding = server.browser();
    // As long as names may be, without a place to break them.
    seeding.add_credential_with(&"W".repeat(100), &[("description", &"A sentence that goes on. ".repeat(79))]).await;
    seeding.add_credential_with("Empty", &[("description", "")]).await;
    let bearer = seeding.add_credential_with("Bearer only", &[("account_name", "beareronly"), ("region", "eu")]).await;
    seeding.add_credential_with("The same again", &[("account_name", "beareronly"), ("region", "eu")]).await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page(&format!("{TILES}?credential={bearer}&saved=1"), "Authenticate · New source").await;
    assert_eq!(person.count("#notices > .notice").await, 3);
    visitor.page("/credentials", "Credentials").await;
    visitor.page(&format!("/credentials/{bearer}"), "Bearer only · Credentials").await;
    let edit = format!("/credentials/{bearer}/edit");
    visitor.page(&edit, "Edit Bearer only · Credentials").await;
    browser.fill("#f-client_id", "").await;
    browser.fill("#f-account_name", "acme").await;
    browser.click("#save").await;
    browser.wait_for("#error-summary").await;
    visitor.state("Error: Edit Bearer only · Credentials").await;
    browser.fill("#f-client_id", "sandbox-client").await;
    browser.fill("#f-client_secret", "not-the-secret").await;
    browser.click("#save").await;
    browser.wait_for("#rejection").await;
    visitor.state("Error: Edit Bearer only · Credentials").await;
    visitor.again(&edit, "Edit Bearer only · Credentials").await;
    person.goto(&format!("/credentials/{bearer}")).await;
    browser.click("#delete").await;
    browser.wait_for("dialog.confirm:modal").await;
    browser.assert_accessible().await;
    visitor.page(&format!("/credentials/{bearer}/delete"), "Delete Bearer only?").await;
    person.goto(&format!("{TILES}?q=zzz")).await;
    browser.wait_for("html.scripted #none-found").await;
    visitor.state("Authenticate · New source").await;
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    browser.click("#next").await;
    browser.wait_for("#choice-error").await;
    visitor.state("Error: Authenticate · New source").await;

    // While a Save is under way.
    person.open_overlay_in_place().await;
    person.fill_credential("Slow", "sandbox-secret", "slow").await;
    browser.click("#save").await;
    browser.wait_until("document.querySelectorAll('#stages .stage-passed').length >= 3").await;
    visitor.state("Add New Credential · New source").await;
    assert_eq!(person.count(".stage-running").await, 1, "the state was over before it was looked at");
}

/// Twenty hours in which a resource was used: in every second of them some requests were refused, in every fifth some
/// failed, and the requests of one took long.
const BUSY_HOURS: &str = "WITH RECURSIVE hours (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hours WHERE n < 19)
    INSERT OR REPLACE INTO history_hours SELECT credential, HOUR - n * 3600000, id, 800 + n * n * 7, (n % 2) * 90,
        (n % 5 = 0) * 60, 700, 1, n % 5 = 0, 0, 10, 200, 400 - n * 10, 150, 30, 8, (n = 6) * 300, 1, 0, 0";

#[tokio::test]
async fn sources_and_destinations() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut seeding = server.browser();
    let credential = seeding.add_credential("Support EU").await;
    seeding.add_credential("Another").await;
    let source = seeding.add_resource("sources", "Agents", &credential, "Users").await;
    let destination = seeding.add_resource("destinations", "New contacts", &credential, "Create a contact").await;
    seeding.add_resource("sources", &"W".repeat(100), &credential, "Account").await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/", "Data flows").await;
    visitor.page(&source, "Agents").await;
    browser.click("#preview-button").await;
    browser.wait_for("#preview table").await;
    visitor.state("Agents").await;
    server.service.write_history().await.unwrap();
    visitor.page(&format!("{source}/history"), "History of Agents").await;
    assert_eq!(person.count("#requests-chart .bar-done").await, 1, "the preview");
    let hour = server.service.now().as_millis() / 3_600_000 * 3_600_000;
    setup.execute(&format!("{BUSY_HOURS} FROM hours, resources WHERE name = 'Agents'").replace("HOUR", &hour.to_string())).await;
    visitor.again(&format!("{source}/history"), "History of Agents").await;
    let bars = [".bar-done", ".bar-refused", ".bar-failed"].map(|part| format!("#requests-chart {part}"));
    for (part, count) in bars.iter().zip([20, 10, 4]) {
        assert_eq!(person.count(part).await, count, "{part}");
    }
    assert_eq!(person.count("#latency-chart .mark-median").await, 20);
    browser.click("#numbers summary").await;
    browser.wait_for("#periods tbody tr:nth-child(20)").await;
    visitor.state("History of Agents").await;
    visitor.again(&format!("{source}/history?range=quarter&only=problems"), "History of Agents").await;
    visitor.page(&format!("/credentials/{credential}/history"), "History of Support EU").await;
    visitor.page(&format!("{source}/delete"), "Delete Agents?").await;
    visitor.page(&format!("{source}/policy"), "Allowed requests · Agents").await;
    browser.fill("#prefixes", "users").await;
    browser.click("#save").await;
    visitor.next("Error: Allowed requests · Agents").await;
    browser.fill("#prefixes", "/users").await;
    browser.click("#save").await;
    visitor.next("Agents").await;
    visitor.page(&destination, "New contacts").await;
    browser.click("#preview-button").await;
    browser.wait_for("#error-summary").await;
    visitor.state("Error: New contacts").await;
    visitor.page(&format!("/credentials/{credential}"), "Support EU · Credentials").await;
    visitor.page(&format!("/credentials/{credential}/delete"), "Delete Support EU?").await;
    person.reads("h1", "is in use").await;
    person.goto("/?deleted=source").await;
    browser.wait_for("html.scripted [role=status].notice").await;
    visitor.state("Data flows").await;
}

#[tokio::test]
async fn configure() {
    let server = Setup::sandbox().start().await;
    let credential = server.browser().add_credential("Support EU").await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page(&format!("/sources/new/talkdesk/configure?credential={credential}"), "Configure · New source").await;
    browser.click("#create").await;
    browser.wait_for("#error-summary").await;
    // A picture of what is at fault, and where the summary leads.
    visitor.state("Error: Configure · New source").await;
    browser.click("#error-summary a").await;
    person.wait_for_focus("#name[aria-invalid='true']").await;
    browser.click("#test").await;
    browser.wait_for("#preview table").await;
    visitor.state("Configure · New source").await;
    browser.click("[data-own]").await;
    browser.fill("#path", "/nothing").await;
    browser.click("#test").await;
    person.reads("#preview", "404").await;
    visitor.state("Configure · New source").await;
    visitor.page(&format!("/destinations/new/talkdesk/configure?credential={credential}"), "Configure · New destination").await;
    browser.click("#test").await;
    browser.wait_for("#may_write[aria-invalid='true']").await;
    visitor.state("Error: Configure · New destination").await;
}

#[tokio::test]
async fn a_credential_that_fails() {
    let (sandbox, setup) = sandbox_apart().await;
    let server = setup.start().await;
    let mut seeding = server.browser();
    let credential = seeding.add_credential("Support EU").await;
    seeding.add_resource("sources", "Agents", &credential, "Users").await;
    sandbox.stop().await;
    // An access token that was issued before is good for ten minutes.
    setup.clock.advance(Duration::from_secs(3_600));
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    person.goto(&format!("/credentials/{credential}")).await;
    browser.wait_for("html.scripted").await;
    browser.click("#test").await;
    person.reads("#rejection[role='alert']", "TalkDesk").await;
    let title = person.title().await;
    visitor.state(title.trim_end_matches(" · Keytile")).await;
    visitor.page("/", "Data flows").await;
    person.reads("#attention-title", "need attention").await;
    visitor.page(TILES, "Authenticate · New source").await;
    person.reads(".tile-choice", "Unreachable").await;
    person.goto(&format!("/sources/new/talkdesk/configure?credential={credential}")).await;
    browser.wait_for("html.scripted").await;
    browser.click("#test").await;
    browser.wait_for("#preview .stage-failed").await;
    visitor.state("Configure · New source").await;
}

#[tokio::test]
async fn api_keys() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    let credential = seeding.add_credential("Support EU").await;
    seeding.add_resource("sources", "Agents", &credential, "Users").await;
    let visitor = Visitor::at(&server).await;
    let person = &visitor.person;
    let browser = &person.browser;
    visitor.page("/settings/keys", "API keys · Settings").await;
    visitor.page("/settings/keys/new", "New API key · Settings").await;
    browser.click("#create").await;
    person.wait_for_focus("#error-summary").await;
    visitor.state("Error: New API key · Settings").await;
    browser.fill("#name", "Nightly exports of a long name that says where it runs").await;
    browser.click("[name='scope'][value='resources:read']").await;
    browser.click("[data-some]").await;
    browser.click("[name='resource']").await;
    visitor.state("Error: New API key · Settings").await;
    browser.click("#create").await;
    person.reads("#key", "kt_").await;
    let title = "Nightly exports of a long name that says where it runs · API keys";
    visitor.state(title).await;
    person.goto("/settings/keys").await;
    browser.wait_for("#keys").await;
    visitor.state("API keys · Settings").await;
    browser.click("#keys a").await;
    browser.wait_for("#revoke").await;
    browser.click("#revoke").await;
    person.reads("[role='status']", "Key revoked").await;
    visitor.state(title).await;
}
