//! Sharing through the pages: what one person shares, another one may use or manage, at once and no further. What is
//! not shared is not there, wherever one looks.

use keytile::domain::users::Role;
use sqlx::{Connection, Executor, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::server::{Browser, OVERLAY, Page, Setup, good_values, replaced};

const TILES: &str = "/sources/new/talkdesk/authenticate";
const NOTHING: &str = "01890a5d-ac96-774b-bcce-0000000000ff";

async fn database(setup: &Setup) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(setup.data_dir().join("keytile.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Action, outcome and detail of what was recorded, from the beginning.
async fn recorded(setup: &Setup, action: &str) -> Vec<(String, String, String)> {
    let mut connection = database(setup).await;
    let statement = "SELECT actor_name, outcome, detail FROM audit_events WHERE action = $1 ORDER BY seq";
    let rows = sqlx::query(statement).bind(action).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn share(browser: &mut Browser, credential: &str, with: &str, access: &str) -> Page {
    let form = [("action", "add"), ("with", with), ("access", access)];
    browser.post(&format!("/credentials/{credential}/sharing"), &form).await
}

/// The id of the only share on the page of sharing.
async fn only_share(browser: &mut Browser, credential: &str) -> String {
    browser.get(&format!("/credentials/{credential}/sharing")).await.value("share")
}

async fn source(browser: &mut Browser, credential: &str, name: &str) -> String {
    let path = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", name), ("method", "GET"), ("path", "/account"), ("action", "create")];
    let created = browser.post(&path, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    created.location.unwrap().split('?').next().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_shared_for_use_can_be_used_until_it_is_withdrawn() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut ana = server.browser_as("ana@example.org", Role::Editor).await;
    let mut ben = server.browser_as("ben@example.org", Role::Operator).await;
    let credential = ana.add_credential("Support EU").await;
    let page = format!("/credentials/{credential}");
    assert_eq!(ben.get(&page).await.status, 404);
    assert_eq!(share(&mut ana, &credential, " BEN@example.org ", "use").await.status, 303);
    let sharing = ana.get(&format!("{page}/sharing?changed=1")).await;
    sharing.says("Sharing updated.");
    sharing.says("ben@example.org");

    // Its tile, and nothing of its fields: not the account, the token URL, or what the verification found.
    let tiles = ben.get(TILES).await;
    tiles.says("Support EU");
    tiles.says("shared by ana");
    tiles.says("id=\"next\"");
    let shown = ben.get(&page).await;
    assert_eq!(shown.status, 200);
    shown.says("ana (ana@example.org)");
    shown.says("You can use this credential.");
    for secret in
        ["acme", "sandbox-client", "Client ID", "oauth/token", "id=\"stages\"", "id=\"test\"", "id=\"share\"", "id=\"delete\""]
    {
        tiles.does_not_say(secret);
        shown.does_not_say(secret);
    }
    tiles.does_not_say("add-credential");

    // A source with it: the request is made, and shown without what is made of the fields.
    let users = source(&mut ben, &credential, "Agents").await;
    let previewed = ben.post(&format!("{users}/preview"), &[]).await;
    assert_eq!(previewed.status, 200, "{}", previewed.text);
    previewed.says("GET /account");
    previewed.says("Authorization: ••••••••");
    previewed.says("Success: 200");
    previewed.does_not_say("GET https://");
    previewed.does_not_say("Basic");
    ana.get(&page).await.says("Agents");

    // Withdrawn: from the next request on, nothing is left, including his own source.
    let share = only_share(&mut ana, &credential).await;
    let removed = ana.post(&format!("{page}/sharing"), &[("action", "remove"), ("share", &share)]).await;
    assert_eq!(removed.location.as_deref(), Some(format!("{page}/sharing?changed=1").as_str()));
    assert_eq!(ben.get(&page).await.status, 404);
    assert_eq!(ben.get(&users).await.status, 404);
    assert_eq!(ben.post(&format!("{users}/preview"), &[]).await.status, 404);
    for list in ["/", "/sources", "/credentials", TILES] {
        let list = ben.get(list).await;
        assert_eq!(list.status, 200);
        list.does_not_say("Support EU");
        list.does_not_say("Agents");
    }
    let late = [("form", NOTHING), ("name", "Late"), ("method", "GET"), ("path", "/account"), ("action", "create")];
    let late = ben.post(&format!("/sources/new/talkdesk/configure?credential={credential}"), &late).await;
    assert_eq!(late.status, 422);
    late.says("This credential isn't available.");
    // A user who manages the credential still sees what uses it.
    ana.get(&users).await.says("Agents");
    let shared = recorded(&setup, "credential.share").await;
    let details: Vec<_> = shared.iter().map(|(who, outcome, detail)| (who.as_str(), outcome.as_str(), detail.as_str())).collect();
    assert_eq!(
        details,
        [("ana@example.org", "done", "use for ben@example.org"), ("ana@example.org", "done", "removed for ben@example.org")]
    );
    server.stop().await;
}

#[tokio::test]
async fn who_manages_does_what_the_owner_does_and_can_give_it_up() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut ana = server.browser_as("ana@example.org", Role::Editor).await;
    let mut cleo = server.browser_as("cleo@example.org", Role::Editor).await;
    let mut vera = server.browser_as("vera@example.org", Role::Viewer).await;
    let credential = ana.add_credential("Support EU").await;
    let (page, sharing) = (format!("/credentials/{credential}"), format!("/credentials/{credential}/sharing"));
    assert_eq!(share(&mut ana, &credential, "cleo@example.org", "use").await.status, 303);
    assert_eq!(cleo.get(&sharing).await.status, 403, "it is shared for use only");
    let share_of_cleo = only_share(&mut ana, &credential).await;
    let form = [("action", "access"), ("share", share_of_cleo.as_str()), ("access", "manage")];
    assert_eq!(ana.post(&sharing, &form).await.status, 303);
    cleo.get(&page).await.says("acme.talkdeskid.com");
    assert_eq!(cleo.post(&format!("{page}/test"), &[]).await.location, Some(format!("{page}?tested=1")));
    cleo.get(&sharing).await.says("ana (ana@example.org) owns it");

    // Open to all for use: a viewer sees it and can do nothing with it.
    assert_eq!(vera.get(&page).await.status, 404);
    assert_eq!(cleo.post(&sharing, &[("action", "open"), ("sharing", "everyone")]).await.status, 303);
    let tiles = vera.get(TILES).await;
    tiles.says("Support EU");
    tiles.says("open to everyone");
    for offer in ["add-credential", "id=\"next\"", "type=\"radio\"", "acme"] {
        tiles.does_not_say(offer);
    }
    vera.get("/sources").await.does_not_say("New source");
    vera.get("/connectors").await.does_not_say("New source");
    assert_eq!(cleo.post(&sharing, &[("action", "open"), ("sharing", "private")]).await.status, 303);
    vera.get(TILES).await.does_not_say("Support EU");

    // A viewer who is said to manage it may use it; the role is the lesser of the two.
    assert_eq!(share(&mut cleo, &credential, "vera@example.org", "manage").await.status, 303);
    vera.get(&page).await.does_not_say("acme");
    assert_eq!(vera.post(&format!("{page}/delete"), &[]).await.status, 403);
    let refusals = recorded(&setup, "access.refused").await;
    let refused = ("vera@example.org".into(), "refused".into(), "deleting a credential: not for the role viewer".into());
    assert!(refusals.contains(&refused), "{refusals:#?}");
    let only_for_use = ("cleo@example.org".into(), "refused".into(), "sharing a credential: it is shared for use only".into());
    assert!(refusals.contains(&only_for_use), "{refusals:#?}");

    // Gives it up: first to use it, then, by Ana, altogether.
    let form = [("action", "access"), ("share", share_of_cleo.as_str()), ("access", "use")];
    assert_eq!(cleo.post(&sharing, &form).await.location.as_deref(), Some(page.as_str()));
    assert_eq!(cleo.post(&sharing, &form).await.status, 403);
    let remove = [("action", "remove"), ("share", share_of_cleo.as_str())];
    assert_eq!(ana.post(&sharing, &remove).await.status, 303);
    assert_eq!(cleo.get(&sharing).await.status, 404);
    let again = ana.post(&sharing, &remove).await;
    assert_eq!(again.status, 200, "somebody else was faster: the page shows who is left");
    again.does_not_say("cleo</th>");
    server.stop().await;
}

#[tokio::test]
async fn a_group_is_found_by_its_name_and_whoever_cannot_be_found_is_said() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut ana = server.browser_as("ana@example.org", Role::Editor).await;
    let mut ben = server.browser_as("ben@example.org", Role::Operator).await;
    let mut connection = database(&setup).await;
    let group = "INSERT INTO user_groups (id, name, name_key, created_at) VALUES (zeroblob(16), 'Night <Desk>', 'night <desk>', 1);
        INSERT INTO group_members SELECT zeroblob(16), id FROM users WHERE email = 'ben@example.org'";
    connection.execute(group).await.unwrap();
    let credential = ana.add_credential("Support EU").await;
    for (typed, said) in [
        ("", "Enter a person's email address or a group's name."),
        ("  ", "Enter a person's email address or a group's name."),
        ("nobody@example.org", "No active account or group matches “nobody@example.org”."),
        ("a\0b", "No active account or group matches"),
        ("ana@example.org", "This person owns the credential and can already manage it."),
        ("\"><script>alert(1)</script>", "No active account or group matches"),
    ] {
        let page = share(&mut ana, &credential, typed, "manage").await;
        assert_eq!(page.status, 422, "{typed:?}");
        page.says(said);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
        page.says("<option value=\"manage\" selected>Can manage</option>");
    }
    for wrong in [
        &[("action", "add"), ("with", "ben@example.org"), ("access", "own")][..],
        &[("action", "open"), ("sharing", "world")],
        &[("action", "access"), ("share", "x"), ("access", "use")],
        &[],
    ] {
        assert_eq!(ana.post(&format!("/credentials/{credential}/sharing"), wrong).await.status, 400, "{wrong:?}");
    }
    assert_eq!(ben.get(&format!("/credentials/{credential}")).await.status, 404);
    assert_eq!(share(&mut ana, &credential, "NIGHT <desk>", "use").await.status, 303);
    let page = ana.get(&format!("/credentials/{credential}/sharing")).await;
    assert!(page.text.contains("Night &#60;Desk&#62; <span class=\"muted\">group</span>"), "{}", page.text);
    assert_eq!(ben.get(&format!("/credentials/{credential}")).await.status, 200);
    // Out of the group, out of the credential.
    connection.execute("DELETE FROM group_members").await.unwrap();
    assert_eq!(ben.get(&format!("/credentials/{credential}")).await.status, 404);
    assert_eq!(recorded(&setup, "credential.share").await[0].2, "use for the group Night <Desk>");
    server.stop().await;
}

#[tokio::test]
async fn nothing_tells_of_what_others_have() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut ana = server.browser_as("ana@example.org", Role::Editor).await;
    let mut cleo = server.browser_as("cleo@example.org", Role::Editor).await;
    let mut administrator = server.browser();
    // Of the same name and of the same account: neither is told.
    let first = ana.add_credential("Support EU").await;
    source(&mut ana, &first, "Agents").await;
    let draft = cleo.get(OVERLAY).await.value("draft");
    let saved = cleo.post(OVERLAY, &good_values("SUPPORT eu", &draft)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let landed = cleo.get(&saved.location.unwrap()).await;
    landed.says("“SUPPORT eu” is verified, saved and selected.");
    landed.says("1 credential");
    landed.says("not used yet");
    landed.does_not_say("also saved as");
    landed.does_not_say("Support EU");
    // Her own of the same account she is told of.
    let draft = cleo.get(OVERLAY).await.value("draft");
    let second = cleo.post(OVERLAY, &good_values("Another", &draft)).await;
    cleo.get(&second.location.unwrap()).await.says("also saved as “SUPPORT eu”");
    let newest = cleo.get(TILES).await.value("credential");
    source(&mut cleo, &newest, "Agents").await;

    // A credential that fails is on the home page of who may use it only.
    let mut connection = database(&setup).await;
    connection.execute("UPDATE credentials SET status = 'rejected' WHERE name = 'Support EU'").await.unwrap();
    ana.get("/").await.says("Credentials that need attention");
    for other in [&mut cleo, &mut administrator] {
        let home = other.get("/").await;
        home.does_not_say("Credentials that need attention");
        home.does_not_say("Support EU");
        other.get("/credentials?q=support+eu").await.does_not_say("Support EU");
        // An id that was guessed is answered as one that nothing has, wherever it is put.
        for path in [
            "/credentials/ID",
            "/credentials/ID/delete",
            "/credentials/ID/sharing",
            "/sources/new/talkdesk/authenticate?credential=ID",
            "/sources/new/talkdesk/authenticate?credential=ID&saved=1",
            "/sources/new/talkdesk/authenticate?q=support&credential=ID",
            "/credentials?after=ID",
            "/sources/new/talkdesk/configure?credential=ID",
        ] {
            let guessed = other.get(&path.replace("ID", &first)).await;
            let nothing = other.get(&path.replace("ID", NOTHING)).await;
            assert_eq!(guessed.status, nothing.status, "{path}");
            let same_place = path.contains("after=") || guessed.text.replace(&first, NOTHING) == nothing.text;
            assert!(same_place, "{path}:\n{}\n{}", guessed.text, nothing.text);
            guessed.does_not_say("Support EU");
        }
        let typed = [("form", NOTHING), ("name", "X"), ("method", "GET"), ("path", "/account"), ("action", "test")];
        let path = "/sources/new/talkdesk/configure";
        let guessed = other.post(path, &replaced(typed.to_vec(), &[("credential", &first)])).await;
        let nothing = other.post(path, &replaced(typed.to_vec(), &[("credential", NOTHING)])).await;
        assert_eq!((guessed.status, guessed.text), (422, nothing.text));
    }
    server.stop().await;
}
