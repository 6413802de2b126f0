//! `keytile user`, as it is run on the server, beside a Keytile that runs and without one.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use keytile::{crypto::keyring::Keyring, domain::users::Role};

use crate::support::{
    clock::HOLDS_WITHIN,
    database::TestDatabase,
    server::{PASSWORD, Setup},
    terminal::{self, shown},
};

/// Where the command finds its database and its keyring.
struct Place {
    arguments: Vec<String>,
}

impl Place {
    fn of(setup: &Setup) -> Self {
        let from_setup = |flag: &str| setup.arguments.iter().find(|argument| argument.starts_with(flag)).cloned();
        let arguments = ["--database-url=", "--keyring="].into_iter().filter_map(from_setup);
        Self { arguments: arguments.chain([format!("--data-dir={}", setup.data_dir().display())]).collect() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.arg("user").args(arguments).args(&self.arguments).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The command may end before it reads.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn says(&self, arguments: &[&str], words: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(words), "{said}");
        said
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], words: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("keytile: ") && said.contains(words), "{said}");
        assert!(output.stdout.is_empty());
    }
}

/// The path and query of the link that a command printed.
fn link_in(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("/password?token=")).unwrap_or_else(|| panic!("no link in {said}"));
    line[line.find("/password").unwrap()..].to_owned()
}

fn over(database: &TestDatabase) -> Setup {
    let setup = Setup::new().with(format!("--database-url={}", database.url()));
    let keyring = setup.folder.path().join("keyring");
    Keyring::create(&keyring).unwrap();
    setup.with(format!("--keyring={}", keyring.display()))
}

/// All commands, on the database of a Keytile that runs.
async fn people_are_managed_while_keytile_runs(database: TestDatabase) {
    let setup = over(&database);
    let server = setup.start().await;
    let place = Place::of(&setup);
    let add = ["add", "Ben@example.com", "--name=Ben", "--role=editor", "--public-url=https://keytile.example.com"];
    let said = place.says(&add, "https://keytile.example.com/password?token=");
    let mut ben = server.visitor();
    // The clock of this Keytile stands in the past of the command's, so that the link is good.
    let page = ben.get(&link_in(&said)).await;
    page.says("Ben@example.com");
    let token = page.value("token");
    assert_eq!(ben.post("/password", &[("token", &token), ("password", PASSWORD)]).await.status, 303);
    ben.get("/").await.says("Ben");
    place.refuses(&add, "Another account already has this email address.");
    place.says(&["list"], "Ben@example.com  Ben   editor         active  off");
    let lines = place.says(&["list", "--json"], "\"email\":\"Ben@example.com\"");
    let people: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(people.len(), 2);
    assert_eq!((&people[0]["role"], &people[0]["password"]), (&"editor".into(), &true.into()));
    // The command takes effect immediately in the running Keytile.
    place.says(&["set-role", "BEN@example.com", "administrator"], "is now an administrator. All sessions ended.");
    setup.clock.pass(HOLDS_WITHIN);
    assert_eq!(ben.get("/").await.status, 303);
    place.says(&["set-role", "ben@example.com", "viewer"], "is now a viewer.\n");
    let mut cleo = server.browser_as("cleo@example.com", Role::Editor).await;
    assert_eq!(cleo.get("/").await.status, 200);
    place.says(&["disable", "cleo@example.com"], "is disabled");
    setup.clock.pass(HOLDS_WITHIN);
    assert_eq!(cleo.get("/").await.status, 303);
    place.refuses(&["reset-password", "cleo@example.com"], "is disabled. Enable them first.");
    place.says(&["enable", "cleo@example.com"], "is enabled");
    let said = place.says(&["reset-password", "cleo@example.com", "--listen=127.0.0.1:8441"], "http://127.0.0.1:8441/password?");
    assert_eq!(server.visitor().get(&link_in(&said)).await.status, 200);
    for command in [["disable", "nobody@example.com"], ["enable", "nonsense"], ["reset-password", ""]] {
        place.refuses(&command, "there is no one with the email address");
    }
    place.refuses(&["disable", "ana@example.com"], "the last active administrator");
    place.refuses(&["set-role", "ana@example.com", "editor"], "the last active administrator");
    let usage = place.run(&["set-role", "ana@example.com", "root"]);
    assert!(String::from_utf8_lossy(&usage.stderr).contains("expected one of administrator, editor, operator, viewer"));
    for (action, command) in [
        ("user.add", "keytile user add"),
        ("user.change", "keytile user set-role"),
        ("user.disable", "keytile user disable"),
        ("user.enable", "keytile user enable"),
        ("user.reset_password", "keytile user reset-password"),
    ] {
        let event = format!(
            "SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND actor_kind = 'server' AND actor_name = '{command}'"
        );
        assert!(database.number(&event).await >= 1, "{action}");
    }
    server.stop().await;
}

#[tokio::test]
async fn over_sqlite() {
    people_are_managed_while_keytile_runs(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn over_postgres() {
    people_are_managed_while_keytile_runs(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn a_password_comes_from_standard_input_and_never_from_an_argument() {
    let database = TestDatabase::sqlite();
    let setup = over(&database);
    setup.start_without_accounts().await.stop().await;
    let place = Place::of(&setup);
    let add = ["add", "ana@example.com", "--name=Ana", "--role=administrator", "--password-stdin"];
    for (typed, words) in [("short\n", "password: Use at least 12"), ("", "password: Use at least 12")] {
        let output = place.run_with(&add, typed);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
    let hash = "SELECT COUNT(*) FROM users WHERE password LIKE '$argon2id$v=19$m=65536,t=3,p=4$%'";
    assert_eq!(database.number("SELECT COUNT(*) FROM users").await, 0);
    let output = place.run_with(&add, &format!("{PASSWORD}\r\n"));
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("was added with this password") && !said.contains("token=") && !said.contains(PASSWORD), "{said}");
    assert_eq!(database.number(hash).await, 1);
    assert_eq!(database.number("SELECT COUNT(*) FROM password_links").await, 0);
    let reset = ["reset-password", "ana@example.com", "--password-stdin"];
    let output = place.run_with(&reset, "another 23 lanterns under Tuesday\n");
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("lanterns"), "{output:?}");
    let event =
        "SELECT COUNT(*) FROM audit_events WHERE action = 'user.change_password' AND actor_name = 'keytile user reset-password'";
    assert_eq!(database.number(event).await, 1);
    // The set-up is over: there is an administrator.
    let server = setup.start_without_accounts().await;
    assert!(server.setup.is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_password_is_typed_twice_and_not_shown() {
    let database = TestDatabase::sqlite();
    let setup = over(&database);
    setup.start_without_accounts().await.stop().await;
    let place = Place::of(&setup);
    let add = format!("user add ana@example.com --name=Ana --role=administrator --password-stdin {}", place.arguments.join(" "));
    let (seen, code) = terminal::talk(&add, Vec::new(), vec![(shown("Password: "), "\u{3}".to_owned())]).await;
    assert!(code == 130 && terminal::shows_again(&seen), "{seen}");
    // Pasted at one go: nobody waits for the second question.
    let typed = format!("{PASSWORD}\n{PASSWORD}\n");
    let (seen, code) = terminal::talk(&add, Vec::new(), vec![(shown("Password: "), typed)]).await;
    assert!(code == 0 && seen.contains("Repeat password: ") && seen.contains("was added with this password"), "{seen}");
    assert!(!seen.contains(PASSWORD) && terminal::shows_again(&seen), "{seen}");
}

#[tokio::test]
async fn the_first_person_is_an_administrator() {
    let database = TestDatabase::sqlite();
    let setup = over(&database);
    setup.start_without_accounts().await.stop().await;
    let place = Place::of(&setup);
    place.refuses(&["add", "ben@example.com", "--name=Ben", "--role=viewer"], "The first account must be an administrator.");
    place.says(&["add", "ana@example.com", "--name=Ana", "--role=administrator"], "/password?token=");
    place.says(&["add", "ben@example.com", "--name=Ben", "--role=viewer"], "/password?token=");
}

#[tokio::test]
async fn it_makes_neither_a_keyring_nor_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let place = Place { arguments: vec![format!("--data-dir={}", data.display())] };
    place.refuses(&["list"], "--keyring: ");
    assert!(!data.exists());
    std::fs::create_dir(&data).unwrap();
    Keyring::create(&data.join("keyring")).unwrap();
    place.refuses(&["list"], "--data-dir: there is no database yet.");
    let database = format!("--database-url=sqlite:{}", data.join("other.db").display());
    place.refuses(&["list", &database], "--database-url: there is no database yet.");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "only the keyring");
}
