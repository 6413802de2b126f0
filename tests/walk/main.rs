//! One walk of the main job, as a stranger would go it: the README's first command, a browser, a wrong secret, the
//! right one, a source with a preview, a destination, and all of it found again after a restart.
#![expect(clippy::unwrap_used, reason = "a walk that cannot go on should fail")]

#[path = "../browser/harness/mod.rs"]
#[expect(dead_code, reason = "the browser tests use the rest")]
mod harness;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use harness::{Browser, Wanted};

/// The first command of the README's quick start.
fn first_command() -> &'static str {
    let readme = include_str!("../../README.md");
    let block = readme.split("```sh\n").nth(1).expect("the README has a command");
    block.split("\n```").next().unwrap()
}

/// Keytile as the command starts it, with its data in a folder of its own and on a free port.
struct Keytile {
    child: Child,
    /// Where it is, with `/` at its end.
    address: String,
    /// The link that it prints.
    link: String,
}

impl Keytile {
    fn start(data: &Path) -> Self {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {}", first_command())).current_dir(env!("CARGO_MANIFEST_DIR"));
        // A stranger's shell has none of what cargo sets for tests; with it, crates would be built anew.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let of_cargo = ["CARGO_MANIFEST", "CARGO_PKG", "CARGO_BIN", "CARGO_CRATE", "CARGO_PRIMARY", "CARGO_TARGET_TMPDIR"];
            if name == "LD_LIBRARY_PATH" || name == "CARGO" || of_cargo.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        command.env("KEYTILE_DATA_DIR", data).env("KEYTILE_LISTEN", "127.0.0.1:0");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let link = lines.filter_map(|line| Some(format!("http://{}", line.split_once("http://")?.1))).next();
        let link = link.expect("it prints its address");
        let address = link.split("setup?").next().unwrap().to_owned();
        Self { child, address, link }
    }

    /// Stops it as a person would, with Ctrl-C.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Keytile {
    fn drop(&mut self) {
        // Only after a failure is it still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn reads(browser: &Browser, css: &str, words: &str) {
    browser.wait_until(&format!("document.querySelector({css:?})?.innerText.includes({words:?})")).await;
}

/// The values that the overlay names, field by field.
async fn fill_in_what_the_sandbox_names(browser: &Browser, name: &str) {
    browser.fill("#f-name", name).await;
    for field in ["client_id", "client_secret", "account_name"] {
        let named = format!(
            "document.querySelector('#f-{field}').closest('form').ownerDocument.querySelector('[data-hint=\"{field}\"]').textContent"
        );
        let value = browser.value(&named).await;
        browser.fill(&format!("#f-{field}"), value.as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn the_main_job() {
    let data = tempfile::tempdir().unwrap();
    let keytile = Keytile::start(&data.path().join("keytile-data"));
    let browser = Wanted::default().open().await;
    browser.goto(&keytile.link).await;
    // In the sandbox the form is filled in, so that one click is all.
    browser.click("#create").await;
    browser.click("a[href='/sources/new']").await;
    browser.click("a[href='/sources/new/talkdesk/authenticate']").await;
    browser.wait_for("html.scripted #add-credential").await;
    browser.click("#add-credential").await;
    browser.wait_for("#overlay:modal #f-name").await;

    fill_in_what_the_sandbox_names(&browser, "Support EU").await;
    browser.fill("#f-client_secret", "a wrong secret").await;
    browser.click("#save").await;
    reads(&browser, "#rejection", "TalkDesk rejected this Client ID or Client Secret").await;
    fill_in_what_the_sandbox_names(&browser, "Support EU").await;
    browser.click("#save").await;
    reads(&browser, ".tile:has(.tile-radio:checked)", "Support EU").await;
    browser.wait_until("!document.querySelector('#overlay')").await;
    browser.click("#next").await;

    browser.wait_for("html.scripted #configure").await;
    browser.fill("#name", "Agents").await;
    browser.click("#test").await;
    browser.wait_for("#preview table").await;
    browser.click("#create").await;
    reads(&browser, "h1", "Agents").await;
    browser.click("#preview-button").await;
    browser.wait_for("#preview table").await;

    browser.goto(&format!("{}destinations/new/talkdesk/authenticate", keytile.address)).await;
    browser.wait_for("html.scripted #add-credential").await;
    browser.click("label.tile-choice").await;
    browser.click("#next").await;
    browser.wait_for("html.scripted #configure").await;
    browser.fill("#name", "New contacts").await;
    browser.click("#create").await;
    reads(&browser, "h1", "New contacts").await;

    keytile.stop();
    let keytile = Keytile::start(&data.path().join("keytile-data"));
    browser.goto(&keytile.address).await;
    for found in ["Agents", "New contacts"] {
        reads(&browser, "main", found).await;
    }
    browser.goto(&format!("{}credentials", keytile.address)).await;
    reads(&browser, "main", "Support EU").await;
    keytile.stop();
}
