//! What a draft may be used for, and what not: attacks on kept secrets, second windows, and damaged rows.

use std::sync::{Arc, Mutex};

use crate::support::{
    fault_server::{FaultServer, Reply},
    https::pem,
    server::{Browser, OVERLAY, Page, Setup, credential_in, good_values, replaced},
    tls::Authority,
};

const GENERIC: &str = "/sources/new/oauth2-client-credentials/credentials/new";

/// Two servers of the same authority that keep what they are sent; the good one rejects, the evil one accepts.
struct Trap {
    setup: Setup,
    evil: Arc<Mutex<Vec<String>>>,
    _servers: [FaultServer; 2],
}

impl Trap {
    async fn set() -> Self {
        let authority = Authority::new();
        let evil = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&evil);
        let tls = || authority.server(&["good.example", "evil.example"]);
        let rejecting = FaultServer::start(tls(), |_| Reply::json(401, serde_json::json!({"error": "invalid_client"}))).await;
        let accepting = FaultServer::start(tls(), move |seen| {
            heard.lock().unwrap().push(seen.header("authorization").unwrap_or_default().to_owned());
            Reply::token()
        })
        .await;
        let setup = Setup::sandbox();
        let file = setup.folder.path().join("ca.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        let setup = setup
            .with(format!("--extra-ca={}", file.display()))
            .with(format!("--egress-pin=good.example={}", rejecting.address))
            .with(format!("--egress-pin=evil.example={}", accepting.address));
        Self { setup, evil, _servers: [rejecting, accepting] }
    }
}

async fn generic(browser: &mut Browser, draft: &str, host: &str, secret: &str) -> Page {
    let token_url = format!("https://{host}/token");
    let form = [
        ("draft", draft),
        ("name", "Any"),
        ("token_url", &token_url),
        ("client_id", "id"),
        ("client_secret", secret),
        ("api_base_url", "https://api.talkdeskapp.com"),
    ];
    browser.post(GENERIC, &form).await
}

#[tokio::test]
async fn a_kept_secret_does_not_follow_to_another_host_however_often_it_is_sent() {
    let trap = Trap::set().await;
    let server = trap.setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(GENERIC).await.value("draft");
    let mut page = generic(&mut browser, &draft, "good.example", "kept-secret").await;
    page.says("Kept from your last try");
    for _ in 0..3 {
        page = generic(&mut browser, &page.value("draft"), "evil.example", "").await;
        assert_eq!(page.status, 422);
        page.says("Enter the Client Secret again");
    }
    assert!(trap.evil.lock().unwrap().is_empty(), "nothing was sent there");
    let draft = page.value("draft");
    assert_eq!(
        generic(&mut browser, &draft, "good.example", "").await.status,
        422,
        "it is still good for where it was meant to go"
    );
    assert_eq!(generic(&mut browser, &draft, "evil.example", "typed again").await.status, 303);
    server.stop().await;
}

#[tokio::test]
async fn a_draft_of_one_connector_is_nothing_to_another() {
    let trap = Trap::set().await;
    let server = trap.setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = replaced(good_values("Mine", &draft), &[("account_name", "nobody"), ("client_secret", "canary")]);
    let mut page = browser.post(OVERLAY, &form).await;
    page.says("Kept from your last try");
    for _ in 0..2 {
        page = generic(&mut browser, &draft, "evil.example", "").await;
        assert_eq!(page.status, 422);
        page.says("Enter the Client Secret");
    }
    assert!(trap.evil.lock().unwrap().is_empty());
    let restored = browser.get(OVERLAY).await;
    assert_eq!(restored.value("name"), "Mine", "the draft itself is as it was");
    server.stop().await;
}

#[tokio::test]
async fn a_second_window_with_the_same_form_is_not_taken_for_the_first() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let draft = browser.post(OVERLAY, &replaced(good_values("One", &draft), &[("client_secret", "wrong")])).await.value("draft");
    let second = browser.get(OVERLAY).await.value("draft");
    assert_eq!(draft, second, "both windows show the same draft");
    let one = browser.post(OVERLAY, &good_values("One", &draft)).await;
    let other = browser.post(OVERLAY, &good_values("Other", &second)).await;
    assert_eq!((one.status, other.status), (303, 303));
    assert_ne!(credential_in(&one.location.unwrap()), credential_in(&other.location.unwrap()));
    browser.get("/credentials").await.says("Other");
    // Both windows at the same moment, while neither has been saved.
    let draft = browser.get(OVERLAY).await.value("draft");
    let draft = browser.post(OVERLAY, &replaced(good_values("Left", &draft), &[("client_secret", "wrong")])).await.value("draft");
    let (mut left, mut right) = (browser.clone(), browser.clone());
    let (left_form, right_form) = (good_values("Left", &draft), good_values("Right", &draft));
    let (left, right) = tokio::join!(left.post(OVERLAY, &left_form), right.post(OVERLAY, &right_form));
    assert_eq!((left.status, right.status), (303, 303));
    assert_ne!(credential_in(&left.location.unwrap()), credential_in(&right.location.unwrap()));
    server.stop().await;
}

#[tokio::test]
async fn a_form_that_is_sent_many_times_at_once_is_saved_once_and_never_called_a_duplicate() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for number in 0..8 {
        let name = format!("Desk {number}");
        let draft = browser.get(OVERLAY).await.value("draft");
        let sending = (0..6).map(|_| {
            let (mut browser, form) = (
                browser.clone(),
                good_values(&name, &draft).iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>(),
            );
            tokio::spawn(async move {
                let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let page = browser.post(OVERLAY, &form).await;
                assert_eq!(page.status, 303, "{}", page.text);
                credential_in(&page.location.unwrap())
            })
        });
        let mut ids = Vec::new();
        for sent in sending.collect::<Vec<_>>() {
            ids.push(sent.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_long_comes_back_whole() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let long = "x".repeat(12_000);
    let page = browser.post(OVERLAY, &replaced(good_values("Long", &draft), &[("description", &long), ("client_id", &long)])).await;
    assert_eq!(page.status, 422);
    page.says("Use at most 2000 characters. This description has 12000.");
    assert_eq!(page.value("client_id").len(), 12_000);
    page.says(&long);
    server.stop().await;
}

/// Changes the database as somebody with access to it would.
pub(super) async fn tamper(setup: &Setup, statement: &'static str) {
    use sqlx::Connection;
    let url = format!("sqlite:{}", setup.data_dir().join("keytile.db").display());
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(statement).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_draft_does_not_stand_in_the_way() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let page = browser.post(OVERLAY, &replaced(good_values("Damaged", &draft), &[("client_secret", "wrong")])).await;
    tamper(&setup, "UPDATE drafts SET sealed = zeroblob(200)").await;
    assert_eq!(browser.post(OVERLAY, &good_values("Saved all the same", &page.value("draft"))).await.status, 303);
    let draft = browser.get(OVERLAY).await.value("draft");
    browser.post(OVERLAY, &replaced(good_values("Damaged", &draft), &[("client_secret", "wrong")])).await;
    tamper(&setup, "UPDATE drafts SET sealed = zeroblob(200) WHERE sealed IS NOT NULL").await;
    assert_eq!(browser.get(OVERLAY).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_credential_is_shown_as_such_and_can_be_deleted() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let damaged = browser.add_credential("Damaged").await;
    tamper(&setup, "UPDATE credential_secrets SET ciphertext = zeroblob(200)").await;
    tamper(&setup, "UPDATE verifications SET sealed = zeroblob(200)").await;
    browser.add_credential("Whole").await;
    let tiles = browser.get(&format!("/sources/new/talkdesk/authenticate?credential={damaged}&saved=1")).await;
    assert_eq!(tiles.status, 200);
    tiles.says("Whole");
    tiles.says("Damaged");
    for path in [format!("/credentials/{damaged}"), format!("/credentials/{damaged}/delete")] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        page.says("Damaged");
    }
    assert_eq!(browser.post(&format!("/credentials/{damaged}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&format!("/credentials/{damaged}")).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_token_is_replaced_and_a_credential_that_works_again_says_so() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support").await;
    server.stop().await;
    tamper(&setup, "UPDATE access_tokens SET sealed = zeroblob(200)").await;
    tamper(&setup, "UPDATE credentials SET status = 'unreachable'").await;
    let server = setup.start().await;
    let mut browser = browser.moved_to(&server);
    let path = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let tested = browser.post(&path, &[("form", &form), ("name", "x"), ("endpoint", "Account"), ("action", "test")]).await;
    assert_eq!(tested.status, 200);
    tested.says("<th");
    browser.get("/credentials").await.says("Verified");
    server.stop().await;
}
