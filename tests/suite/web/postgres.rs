//! The main job over PostgreSQL, with two instances that share a database and a keyring.

use keytile::crypto::keyring::Keyring;

use crate::support::{
    database::TestDatabase,
    server::{Browser, OVERLAY, Setup, credential_in, good_values, replaced},
};

/// Two instances over one database. Each has a sandbox of its own; access tokens of both are alike.
fn instances(database: &TestDatabase) -> [Setup; 2] {
    let (one, other) = (Setup::sandbox(), Setup::sandbox());
    let keyring = one.folder.path().join("shared-keyring");
    Keyring::create(&keyring).unwrap();
    let over =
        |setup: Setup| setup.with(format!("--database-url={}", database.url())).with(format!("--keyring={}", keyring.display()));
    [over(one), over(other)]
}

#[tokio::test]
async fn two_instances_are_one_keytile() {
    let database = TestDatabase::postgres().await;
    let setups = instances(&database);
    let one = setups[0].start().await;
    let other = setups[1].start_beside(&one).await;
    let mut browser = one.browser();
    // A draft of one instance is brought back by the other, secret and all.
    let draft = browser.get(OVERLAY).await.value("draft");
    let page = browser.post(OVERLAY, &replaced(good_values("Shared", &draft), &[("account_name", "down")])).await;
    assert_eq!(page.status, 422);
    let mut browser = browser.moved_to(&other);
    let restored = browser.get(OVERLAY).await;
    restored.says("Kept from your last try");
    let draft = restored.value("draft");
    let saved = browser.post(OVERLAY, &replaced(good_values("Shared", &draft), &[("client_secret", "")])).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let credential = credential_in(&saved.location.unwrap());
    let mut browser = browser.moved_to(&one);
    browser.get("/credentials?q=SHARED").await.says("Shared");
    assert_eq!(browser.get("/credentials?q=a%00b").await.status, 200, "PostgreSQL takes no NUL, so it never sees one");
    let path = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", "Agents"), ("description", ""), ("endpoint", "Users"), ("action", "create")];
    let created = browser.post(&path, &typed).await.location.unwrap();
    let mut browser = browser.moved_to(&other);
    assert_eq!(browser.post(&path, &typed).await.location.as_deref(), Some(created.as_str()));
    let preview = browser.post(&format!("{}/preview", created.split('?').next().unwrap()), &[]).await;
    assert_eq!(preview.status, 200);
    preview.says("<th");
    // The same name on both at the same time: one succeeds, the other gets the field's error.
    let (mut first, mut second) = (one.browser(), other.browser());
    let drafts = [first.get(OVERLAY).await.value("draft"), second.get(OVERLAY).await.value("draft")];
    let race = |mut browser: Browser, draft: String| {
        tokio::spawn(async move { browser.post(OVERLAY, &good_values("Raced", &draft)).await.status })
    };
    let [of_first, of_second] = drafts;
    let (first, second) = (race(first, of_first), race(second, of_second));
    let mut ended = [first.await.unwrap(), second.await.unwrap()];
    ended.sort_unstable();
    assert_eq!(ended, [303, 422]);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn without_its_keyring_it_does_not_start() {
    use clap::Parser;
    use keytile::{app::StartError, config::StorageConfig};

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        storage: StorageConfig,
    }

    let database = TestDatabase::postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let data = format!("--data-dir={}", folder.path().join("data").display());
        let url = format!("--database-url={}", database.url());
        let storage = Arguments::parse_from(["keytile", &data, &url]).storage;
        async move { keytile::app::open_storage(&storage).await.map(|_| ()) }
    };
    let Err(StartError::Setting(reason)) = open().await else { panic!("it started") };
    assert!(reason.contains("--keyring") && reason.contains("keytile init"), "{reason}");
    let [setup, _] = instances(&database);
    setup.start().await.stop().await;
    let Err(StartError::Setting(reason)) = open().await else { panic!("it started") };
    assert!(reason.contains("already contains sealed values"), "{reason}");
}
