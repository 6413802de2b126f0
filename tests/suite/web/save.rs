//! Save: what is stored, what is said, and that nothing typed is lost.

use std::time::Duration;

use keytile::domain::users::Role;

use super::sessions::until;
use crate::support::server::{OVERLAY, Setup, credential_in, good_values, replaced};

#[tokio::test]
async fn a_verified_credential_becomes_a_selected_tile() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let overlay = browser.get(OVERLAY).await;
    assert_eq!(overlay.status, 200);
    overlay.says("Add New Credential");
    overlay.says("sandbox-client");
    let saved = browser.post(OVERLAY, &good_values("Support EU", &overlay.value("draft"))).await;
    assert_eq!(saved.status, 303);
    let location = saved.location.unwrap();
    let id = credential_in(&location);
    let tiles = browser.get(&location).await;
    tiles.says("Support EU");
    tiles.says("acme");
    tiles.says("Nightly exports");
    tiles.says("not used yet");
    let radio =
        tiles.text.split("<input").find(|tag| tag.contains(&id) && tag.contains("type=\"radio\"")).expect("the tile is a radio");
    assert!(radio.split('>').next().unwrap().contains("checked"), "{radio}");
    let page = browser.get(&format!("/credentials/{id}")).await;
    page.says("sandbox-client");
    page.says("https://acme.talkdeskid.com/oauth/token");
    for page in [&tiles, &page] {
        page.does_not_say("sandbox-secret\"");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_typed_is_lost() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = replaced(
        good_values("", &draft),
        &[("account_name", "not a label"), ("client_secret", "canary-typed-secret"), ("client_id", "my <client>")],
    );
    let page = browser.post(OVERLAY, &form).await;
    assert_eq!(page.status, 422);
    page.says("Enter a name");
    page.says("Use only letters, digits and hyphens");
    page.says("href=\"#f-name\"");
    page.says("href=\"#f-account_name\"");
    assert_eq!(page.value("account_name"), "not a label");
    assert_eq!(page.value("client_id"), "my <client>");
    page.says("Kept from your last try");
    page.does_not_say("canary-typed-secret");
    // The kept secret is used when the rest is put right.
    let draft = page.value("draft");
    let form = replaced(good_values("Second try", &draft), &[("client_secret", "")]);
    let rejected = browser.post(OVERLAY, &form).await;
    assert_eq!(rejected.status, 422, "canary-typed-secret is not the sandbox's secret");
    rejected.says("TalkDesk rejected this Client ID or Client Secret");
    rejected.says("invalid_client");
    rejected.does_not_say("canary-typed-secret");
    assert_eq!(rejected.value("name"), "Second try");
    let draft = rejected.value("draft");
    let form = replaced(good_values("Second try", &draft), &[("client_secret", "sandbox-secret")]);
    assert_eq!(browser.post(OVERLAY, &form).await.status, 303);
    server.stop().await;
}

#[tokio::test]
async fn a_pasted_address_is_understood() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = replaced(
        good_values("Pasted", &draft),
        &[("account_name", " https://ACME.talkdeskid.eu/ "), ("client_id", "  sandbox-client ")],
    );
    let saved = browser.post(OVERLAY, &form).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let page = browser.get(&format!("/credentials/{}", credential_in(&saved.location.unwrap()))).await;
    page.says("https://acme.talkdeskid.eu/oauth/token");
    server.stop().await;
}

#[tokio::test]
async fn a_name_is_given_once_even_in_a_race() {
    let server = Setup::sandbox().start().await;
    let mut first = server.browser();
    first.add_credential("Support EU").await;
    let draft = first.get(OVERLAY).await.value("draft");
    let page = first.post(OVERLAY, &good_values("SUPPORT eu", &draft)).await;
    assert_eq!(page.status, 422);
    page.says("You already have a TalkDesk credential named “SUPPORT eu”");
    let mut windows = Vec::new();
    for window in 0..4 {
        windows.push((server.browser(), format!("01890000-0000-7000-8000-00000000000{window}")));
    }
    let racing = windows
        .into_iter()
        .map(|(mut browser, draft)| tokio::spawn(async move { browser.post(OVERLAY, &good_values("Raced", &draft)).await.status }));
    let mut ended = Vec::new();
    for race in racing.collect::<Vec<_>>() {
        ended.push(race.await.unwrap());
    }
    ended.sort_unstable();
    assert_eq!(ended, [303, 422, 422, 422]);
    server.stop().await;
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_saved_once() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = good_values("Twice", &draft);
    // A first try gives the browser its session, as the overlay does with a script.
    let first = browser.post(OVERLAY, &replaced(form.clone(), &[("name", "")])).await;
    assert_eq!(first.status, 422);
    let (mut one, mut other) = (browser.clone(), browser.clone());
    let (one, other) = tokio::join!(one.post(OVERLAY, &form), other.post(OVERLAY, &form));
    assert_eq!((one.status, other.status), (303, 303));
    let id = credential_in(&one.location.unwrap());
    assert_eq!(id, credential_in(&other.location.unwrap()));
    let again = browser.post(OVERLAY, &form).await;
    assert_eq!(credential_in(&again.location.unwrap()), id);
    server.stop().await;
}

#[tokio::test]
async fn a_draft_survives_a_restart_a_time_out_and_a_lost_connection() {
    let setup = Setup::sandbox().impatient();
    let server = setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let slow = replaced(good_values("Slow desk", &draft), &[("account_name", "slow")]);
    let page = browser.post(OVERLAY, &slow).await;
    assert_eq!(page.status, 422);
    page.says("did not finish its answer in time");
    server.stop().await;
    let server = setup.start().await;
    let mut browser = browser.moved_to(&server);
    let restored = browser.get(OVERLAY).await;
    assert_eq!((restored.value("name").as_str(), restored.value("account_name").as_str()), ("Slow desk", "slow"));
    restored.says("Kept from your last try");
    // The browser goes away in the middle of a Save.
    let draft = restored.value("draft");
    let again = replaced(
        good_values("Slow desk", &draft),
        &[("account_name", "slow"), ("description", "typed last"), ("client_secret", "")],
    );
    let request = tokio::spawn(browser.with_cookie(browser.form(OVERLAY, &again)).send());
    until(async || browser.clone().get(OVERLAY).await.text.contains("typed last")).await;
    request.abort();
    let restored = browser.get(OVERLAY).await;
    restored.says("typed last");
    let draft = restored.value("draft");
    let form = replaced(good_values("Slow desk", &draft), &[("client_secret", "")]);
    assert_eq!(browser.post(OVERLAY, &form).await.status, 303, "the secret of the first try is still kept");
    server.stop().await;
}

#[tokio::test]
async fn a_test_is_recorded_although_the_browser_goes_away() {
    let mut setup = Setup::sandbox().impatient();
    let server = setup.start().await;
    let mut browser = server.browser();
    let id = browser.add_credential("Support EU").await;
    server.stop().await;
    // A service that takes the connection and says nothing, until Keytile has waited long enough.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    setup.arguments = vec![format!("--egress-pin=*.talkdeskid.com={}", silent.local_addr().unwrap())];
    let server = setup.start().await;
    let browser = browser.moved_to(&server);
    let test = browser.form(&format!("/credentials/{id}/test"), &[]);
    let answer = tokio::spawn(browser.with_cookie(test).send());
    let _asked = silent.accept().await.unwrap();
    answer.abort();
    until(async || setup.trail("credential.verify").await.iter().any(|event| event.contains(" failed "))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_draft_is_its_owners_own_and_ends_after_15_minutes() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = replaced(good_values("Mine", &draft), &[("client_secret", "wrong")]);
    let page = browser.post(OVERLAY, &form).await;
    let draft = page.value("draft");
    let mut stranger = server.browser_as("ben@example.com", Role::Editor).await;
    let page = stranger.get(OVERLAY).await;
    page.does_not_say("Mine");
    // Naming somebody else's draft brings neither its values nor its secret.
    let form = replaced(good_values("Stolen", &draft), &[("client_secret", "")]);
    let page = stranger.post(OVERLAY, &form).await;
    assert_eq!(page.status, 422);
    page.says("Enter the Client Secret");
    setup.clock.advance(Duration::from_secs(14 * 60));
    browser.get(OVERLAY).await.says("Kept from your last try");
    setup.clock.advance(Duration::from_secs(61));
    let page = browser.get(OVERLAY).await;
    assert_eq!(page.value("name"), "");
    page.does_not_say("Kept from your last try");
    server.stop().await;
}

#[tokio::test]
async fn a_draft_can_be_thrown_away() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let page = browser.post(OVERLAY, &replaced(good_values("Mine", &draft), &[("client_secret", "wrong")])).await;
    let draft = page.value("draft");
    let discarded = browser.post("/sources/new/talkdesk/credentials/discard", &[("draft", &draft)]).await;
    assert_eq!(discarded.status, 303);
    assert_eq!(browser.get(OVERLAY).await.value("name"), "");
    server.stop().await;
}

#[tokio::test]
async fn each_account_that_misbehaves_is_explained() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    for (account, said) in [
        ("down", "503"),
        ("ratelimited", "30 seconds"),
        ("html", "answered with a web page (status 200)"),
        ("nobody", "Account Name"),
    ] {
        let draft = browser.get(OVERLAY).await.value("draft");
        let page = browser.post(OVERLAY, &replaced(good_values("Trouble", &draft), &[("account_name", account)])).await;
        assert_eq!(page.status, 422, "{account}");
        page.says(said);
        page.says("Nothing was saved");
        assert_eq!(page.value("account_name"), account);
    }
    let draft = browser.get(OVERLAY).await.value("draft");
    let saved = browser.post(OVERLAY, &replaced(good_values("Bearer", &draft), &[("account_name", "beareronly")])).await;
    assert_eq!(saved.status, 303, "the probe explains and does not block");
    browser.get(&saved.location.unwrap()).await.says("Bearer");
    server.stop().await;
}

#[tokio::test]
async fn the_second_of_two_equal_credentials_is_pointed_out() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    browser.add_credential("First").await;
    let draft = browser.get(OVERLAY).await.value("draft");
    let saved = browser.post(OVERLAY, &good_values("Second", &draft)).await;
    let page = browser.get(&saved.location.unwrap()).await;
    page.says("same");
    page.says("First");
    server.stop().await;
}

#[tokio::test]
async fn stages_are_told_as_they_pass() {
    let server = Setup::sandbox().start().await;
    let mut browser = server.browser();
    let draft = browser.get(OVERLAY).await.value("draft");
    let request = browser.form(OVERLAY, &good_values("Streamed", &draft)).header("Accept", "application/x-ndjson");
    let page = browser.send(request).await;
    assert_eq!(page.status, 200);
    let lines: Vec<serde_json::Value> = page.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stages: Vec<&str> = lines.iter().filter_map(|line| line["stage"].as_str()).collect();
    assert_eq!(stages, ["input", "address", "connection", "tls", "http", "oauth", "token", "probe"]);
    let last = lines.last().unwrap();
    assert_eq!(last["outcome"], "saved");
    assert!(last["location"].as_str().unwrap().contains("/sources/new/talkdesk/authenticate?credential="));
    server.stop().await;
}

#[tokio::test]
async fn one_person_cannot_keep_every_connection_busy() {
    let server = Setup::sandbox().impatient().start().await;
    let browser = server.browser();
    // All at the same time, to an account that is slower than any time limit: no more than eight are in progress.
    let sent = (0..24).map(|window| {
        let mut browser = browser.clone();
        tokio::spawn(async move {
            let draft = format!("01890000-0000-7000-8000-0000000000{window:02}");
            let name = format!("Desk {window}");
            let form = good_values(&name, &draft);
            browser.post(OVERLAY, &replaced(form, &[("account_name", "slow")])).await
        })
    });
    let mut refused = 0;
    for answer in sent.collect::<Vec<_>>() {
        let page = answer.await.unwrap();
        match page.status {
            429 => {
                page.says("Too many requests");
                assert_eq!(page.headers["retry-after"], "5");
                refused += 1;
            }
            status => assert_eq!(status, 422, "{}", page.text),
        }
    }
    assert!(refused > 0, "all of them were let through");
    // What was typed is kept, and there is room again.
    let mut browser = browser.clone();
    let page = browser.get(OVERLAY).await;
    page.says("Kept from your last try");
    let again = browser.post(OVERLAY, &good_values("Desk", &page.value("draft"))).await;
    assert_eq!(again.status, 303, "{}", again.text);
    server.stop().await;
}
