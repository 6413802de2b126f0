//! A NUL, which PostgreSQL takes in no text, comes in by every way that a browser has; none makes Keytile fail.

use crate::support::{
    database::TestDatabase,
    server::{OVERLAY, Page, Setup, good_values, replaced},
};

#[tokio::test]
async fn a_nul_in_a_search_or_a_form_is_no_failure_of_postgres() {
    let database = TestDatabase::postgres().await;
    let setup = Setup::sandbox().with(format!("--database-url={}", database.url()));
    // As `keytile init` does.
    std::fs::create_dir(setup.data_dir()).unwrap();
    keytile::crypto::keyring::Keyring::create(&setup.data_dir().join("keyring")).unwrap();
    let server = setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let saved = browser.post(OVERLAY, &good_values("Support EU", &draft)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);

    for path in ["/credentials", "/sources/new/talkdesk/authenticate"] {
        let found = browser.get(&format!("{path}?q=support")).await;
        assert!(found.status == 200 && found.text.contains("Support EU"), "{}", found.text);
        for search in ["%00", "support%00", "%00support%20eu"] {
            let none = browser.get(&format!("{path}?q={search}")).await;
            assert!(none.status == 200 && !none.text.contains("Support EU"), "{path} {search}: {} {}", none.status, none.text);
        }
    }
    for path in ["/credentials/%00", "/sources/%00", "/sources/new/talk%00desk/authenticate", "/%00"] {
        let answer = browser.get(path).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_eq!(server.visitor().sign_in("a\0b", "wrong").await.status, 422);
    for filter in ["person=a%00b", "credential=a%00b", "action=a%00b"] {
        let answer = browser.get(&format!("/audit?{filter}")).await;
        assert!(answer.status < 500, "{filter}: {}", answer.status);
    }
    let form = browser.get("/settings/keys/new").await.value("form");
    let typed = [("form", form.as_str()), ("name", "Exports"), ("owner", "a\0b"), ("scopes", "proxy"), ("expires", "never")];
    assert_eq!(browser.post("/settings/keys/new", &typed).await.status, 422);
    assert_eq!(browser.get("/settings/keys/new?owner=a%00b").await.status, 200);
    for field in ["name", "description", "client_id", "client_secret", "account_name"] {
        let draft = browser.get(OVERLAY).await.value("draft");
        let typed = replaced(good_values("Another", &draft), &[(field, "a\0b")]);
        let answer: Page = browser.post(OVERLAY, &typed).await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        // What was typed is kept, and the form that shows it again does not fail either.
        assert_eq!(browser.get(OVERLAY).await.status, 200, "{field}");
    }
    server.stop().await;
}
