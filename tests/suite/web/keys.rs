//! API keys in Settings, as an administrator's browser without scripts uses them.

use std::{fs, time::Duration};

use keytile::{
    domain::users::Role,
    service::{
        Service,
        access::caller::{Caller, Origin},
        api_keys::{
            KeyCreation, RawApiKey,
            authenticate::{KeyCheck, KeyRejection},
        },
    },
};

use crate::support::{
    clock::HOLDS_WITHIN,
    server::{ADMINISTRATOR, Browser, Page, Server, Setup},
};

const NEW: &str = "/settings/keys/new";

/// The form with what a person would fill in.
fn filled<'a>(form: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("form", form),
        ("action", "create"),
        ("name", name),
        ("owner", ADMINISTRATOR),
        ("scope", "resources:read"),
        ("scope", "proxy"),
        ("reach", "all"),
        ("expires", "90"),
        ("expires_on", ""),
    ]
}

/// Makes a key; answers the page that shows it, and the key.
async fn make(browser: &mut Browser, name: &str) -> (Page, String) {
    let form = browser.get(NEW).await.value("form");
    let page = browser.post(NEW, &filled(&form, name)).await;
    let key = shown_key(&page);
    (page, key)
}

fn shown_key(page: &Page) -> String {
    let (_, rest) = page.text.split_once("<code id=\"key\">").unwrap_or_else(|| panic!("{}", page.text));
    rest.split_once('<').unwrap().0.to_owned()
}

/// Where the page of the key is, by its button to revoke it.
fn address(page: &Page) -> String {
    let (before, _) = page.text.split_once("/revoke\"").unwrap_or_else(|| panic!("{}", page.text));
    before.rsplit_once('"').unwrap().1.to_owned()
}

async fn check(service: &Service, key: &str) -> KeyCheck {
    service.authenticate_key(key, Origin::default()).await.unwrap()
}

/// How many keys there are, and how many refusals were recorded.
async fn keys_and_refusals(setup: &Setup) -> (i64, i64) {
    use sqlx::{Connection, SqliteConnection};
    let url = format!("sqlite:{}", setup.data_dir().join("keytile.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let select = "SELECT (SELECT COUNT(*) FROM api_keys), (SELECT COUNT(*) FROM audit_events WHERE action = 'access.refused')";
    sqlx::query_as(select).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_key_is_shown_once_and_nowhere_else() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.browser();
    browser.get("/settings/keys").await.says("No API keys yet");
    let form = browser.get(NEW).await.value("form");
    let page = browser.post(NEW, &filled(&form, "Nightly exports")).await;
    assert_eq!((page.status, &page.location), (200, &None));
    assert_eq!(page.headers["cache-control"], "no-store");
    page.says("You won't see it again");
    let key = shown_key(&page);
    assert_eq!(key.len(), 52);
    let service = setup.service().await;
    assert!(matches!(check(&service, &key).await, KeyCheck::Accepted(_)));
    // The same form again, as a reload sends it: one key, and not its text.
    let again = browser.post(NEW, &filled(&form, "Nightly exports")).await;
    assert_eq!(again.status, 200);
    again.says("can't be shown again");
    let address = address(&page);
    let list = browser.get("/settings/keys").await;
    list.says("Nightly exports");
    list.says(&key[..7]);
    list.says("resources:read proxy");
    for page in [&again, &list, &browser.get(&address).await, &browser.get(NEW).await] {
        page.does_not_say(&key);
        page.does_not_say(&key[7..]);
    }
    assert_eq!(keys_and_refusals(&setup).await.0, 1);
    service.close().await;
    server.stop().await;
    // Nor does it lie in what is stored.
    let mut searched = 0;
    for entry in fs::read_dir(setup.data_dir()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        searched += bytes.len();
        for part in [&key.as_bytes()[7..46], &key.as_bytes()[..20], key.to_ascii_lowercase().as_bytes()] {
            assert!(!bytes.windows(part.len()).any(|window| window == part));
        }
    }
    assert!(searched > 10_000);
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_every_instance_within_a_second() {
    let setup = Setup::new();
    let server = setup.start().await;
    let service = setup.service().await;
    let mut browser = server.browser();
    let (page, key) = make(&mut browser, "Nightly exports").await;
    let address = address(&page);
    assert!(matches!(check(&service, &key).await, KeyCheck::Accepted(_)));
    let revoked = browser.post(&format!("{address}/revoke"), &[]).await;
    assert_eq!((revoked.status, revoked.location.clone()), (303, Some(format!("{address}?revoked=1"))));
    setup.clock.pass(HOLDS_WITHIN);
    assert_eq!(check(&service, &key).await, KeyCheck::Rejected(KeyRejection::Revoked));
    let page = browser.get(&revoked.location.unwrap()).await;
    page.says("Programs can no longer use it");
    page.does_not_say("Revoke this key");
    browser.get("/settings/keys").await.says("Revoked");
    assert_eq!(browser.post(&format!("{address}/revoke"), &[]).await.status, 303);
    for unknown in ["/settings/keys/01890000-0000-7000-8000-000000000001", "/settings/keys/x"] {
        assert_eq!(browser.get(unknown).await.status, 404);
        assert_eq!(browser.post(&format!("{unknown}/revoke"), &[]).await.status, 404);
    }
    service.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_its_field_and_what_was_typed_is_kept() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.browser();
    let page = browser.get(NEW).await;
    assert_eq!(page.value("owner"), ADMINISTRATOR);
    let form = page.value("form");
    let changed = |name: &'static str, values: &[&'static str]| {
        let mut fields = filled(&form, "Nightly exports");
        fields.retain(|(field, _)| *field != name);
        fields.extend(values.iter().map(|value| (name, *value)));
        fields
    };
    for (field, values, id, said) in [
        ("name", &[" "][..], "name-error", "Enter a name"),
        ("owner", &["nobody@example.com"], "owner-error", "No active account has this email address"),
        ("scope", &[], "scopes-error", "Choose at least one scope"),
        ("scope", &["proxy", "root"], "scopes-error", "There is no scope “root”"),
        ("reach", &["some"], "resources-error", "Choose at least one resource"),
        ("expires", &["date"], "expires-error", "Enter a number of days, or a date"),
        ("expires", &[], "expires-error", "Enter a number of days, or a date"),
        ("expires", &["0"], "expires-error", "Enter at least one day"),
    ] {
        let page = browser.post(NEW, &changed(field, values)).await;
        assert_eq!(page.status, 422, "{field} {values:?}");
        assert!(page.text.contains(&format!("id=\"{id}\"")), "{field}: {}", page.text);
        page.says(said);
        page.says("Error: New API key");
        page.says("There is a problem.");
        if field != "name" {
            assert_eq!(page.value("name"), "Nightly exports");
        }
        if field != "scope" {
            assert_eq!(page.text.matches("name=\"scope\"").count(), 5);
            assert_eq!(page.text.matches("type=\"checkbox\" name=\"scope\" value=\"proxy\" checked").count(), 1);
        }
        assert_eq!(page.value("form"), form);
    }
    let mut past = changed("expires", &["date"]);
    past.retain(|(field, _)| *field != "expires_on");
    past.push(("expires_on", "2025-05-31"));
    browser.post(NEW, &past).await.says("This date has passed");
    assert_eq!(keys_and_refusals(&setup).await, (0, 0));
    // The last day is meant to its end.
    past.retain(|(field, _)| *field != "expires_on");
    past.push(("expires_on", "2025-06-30"));
    browser.post(NEW, &past).await.says("1 Jul 2025, 00:00 UTC");
}

#[tokio::test]
async fn only_administrators_see_keys_and_make_them() {
    let setup = Setup::new();
    let server = setup.start().await;
    let (page, _) = make(&mut server.browser(), "Nightly exports").await;
    let address = address(&page);
    let mut refused = 0;
    for (email, role) in [("e@example.com", Role::Editor), ("o@example.com", Role::Operator), ("v@example.com", Role::Viewer)] {
        let mut browser = server.browser_as(email, role).await;
        for path in ["/settings/keys", NEW, &address, "/settings/keys/01890000-0000-7000-8000-000000000001"] {
            let page = browser.get(path).await;
            assert_eq!(page.status, 403, "{path}");
            page.does_not_say("Nightly exports");
        }
        let form = "01890000-0000-7000-8000-000000000001";
        assert_eq!(browser.post(NEW, &filled(form, "Mine")).await.status, 403);
        assert_eq!(browser.post(&format!("{address}/revoke"), &[]).await.status, 403);
        refused += 6;
        assert_eq!(keys_and_refusals(&setup).await, (1, refused));
    }
    let mut visitor = server.visitor();
    let asked = visitor.get("/settings/keys").await;
    assert_eq!((asked.status, asked.location.as_deref()), (303, Some("/sign-in?next=/settings/keys")));
    server.browser().get(&address).await.says("Active");
}

#[tokio::test]
async fn a_key_is_limited_to_resources_that_the_owner_can_see() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut browser = server.browser();
    let credential = browser.add_credential("Support EU").await;
    for name in ["Agents", "Calls"] {
        let path = format!("/sources/new/talkdesk/configure?credential={credential}");
        let form = browser.get(&path).await.value("form");
        let typed = [("form", form.as_str()), ("name", name), ("description", ""), ("endpoint", "Users"), ("action", "create")];
        assert_eq!(browser.post(&path, &typed).await.status, 303);
    }
    let form = browser.get(NEW).await.value("form");
    let mut fields = filled(&form, "Nightly exports");
    // Without script the resources are asked for by a button; nothing is made by it.
    let mut asking = fields.clone();
    asking.retain(|(field, _)| *field != "action" && *field != "reach");
    asking.push(("action", "resources"));
    let page = browser.post(NEW, &asking).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.value("name"), "Nightly exports");
    assert!(page.text.contains("value=\"some\" data-some checked"), "{}", page.text);
    let (before, _) = page.text.split_once("<strong>Agents</strong>").unwrap();
    let agents = before.rsplit_once("name=\"resource\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    page.says("Calls");
    assert_eq!(keys_and_refusals(&setup).await.0, 0);
    fields.retain(|(field, _)| *field != "reach");
    fields.extend([("reach", "some"), ("resource", agents.as_str())]);
    let page = browser.post(NEW, &fields).await;
    page.says("Agents");
    page.does_not_say("Calls");
    let service = setup.service().await;
    let KeyCheck::Accepted(caller) = check(&service, &shown_key(&page)).await else { panic!("refused") };
    assert!(caller.reaches(agents.parse().unwrap()) && !caller.reaches(credential.parse().unwrap()));
    browser.get("/settings/keys").await.says("some resources only");
    // When the resource is gone, the key is for none and not for all.
    assert_eq!(browser.post(&format!("/sources/{agents}/delete"), &[]).await.status, 303);
    browser.get(&address(&page)).await.says("None. The resources this key was limited to have been deleted");
    service.close().await;
}

#[tokio::test]
async fn a_name_is_text_and_a_form_without_its_token_makes_nothing() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.browser();
    let script = "<script>alert(\"k\")</script>";
    let (page, _) = make(&mut browser, script).await;
    for page in [&browser.get("/settings/keys").await, &browser.get(&address(&page)).await, &page] {
        assert!(!page.text.contains("<script>"), "{}", page.text);
        page.says(script);
    }
    let form = browser.get(NEW).await.value("form");
    let mut elsewhere = browser.clone();
    elsewhere.cookies = browser_of_another(&server).await.cookies;
    let forged = browser.with_cookie(elsewhere.form(NEW, &filled(&form, "Forged"))).send().await.unwrap();
    assert_eq!(forged.status(), 403);
    assert_eq!(keys_and_refusals(&setup).await.0, 1);
}

async fn browser_of_another(server: &Server) -> Browser {
    server.browser_as("ben@example.com", Role::Administrator).await
}

#[tokio::test]
async fn the_list_goes_on_behind_fifty_keys() {
    let setup = Setup::new();
    let server = setup.start().await;
    let service = setup.service().await;
    let caller = Caller::server("test");
    for number in 0..51 {
        setup.clock.advance(Duration::from_millis(1));
        let raw = RawApiKey {
            owner: ADMINISTRATOR.into(),
            name: format!("Key {number:02}"),
            scopes: vec!["proxy".into()],
            expires: "never".into(),
            ..RawApiKey::default()
        };
        let made = service.create_api_key(&caller, service.new_form(), &raw).await.unwrap();
        assert!(matches!(made, KeyCreation::Created { .. }));
    }
    let mut browser = server.browser();
    let page = browser.get("/settings/keys").await;
    page.says("Key 50");
    page.says("Key 01");
    page.does_not_say("Key 00");
    let (_, rest) = page.text.split_once("id=\"older\" href=\"").unwrap();
    let older = browser.get(rest.split('"').next().unwrap()).await;
    older.says("Key 00");
    older.does_not_say("Key 01");
    assert!(!older.text.contains("id=\"older\""));
    service.close().await;
}
