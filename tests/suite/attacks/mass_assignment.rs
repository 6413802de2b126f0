//! Fields that a form does not have, sent along with one that is right: they change nothing. Two Keytiles are sent
//! the same forms, one of them with all that could be in the rows behind them; the rows stay alike, but for what is
//! random.

use std::{collections::BTreeMap, time::Duration};

use keytile::domain::users::Role;

use crate::{
    support::server::{ADMINISTRATOR, Browser, PASSWORD, Server, Setup},
    web::{
        second_factor::app_of,
        unrecorded::{Form, forms},
    },
};

/// What rows and other forms have, with values that would give somebody something.
const EXTRAS: [(&str, &str); 60] = [
    ("role", "administrator"),
    ("owner", "dora@example.com"),
    ("owner", super::NOTHING),
    ("owner_id", super::NOTHING),
    ("id", super::NOTHING),
    ("user", super::NOTHING),
    ("user_id", super::NOTHING),
    ("person", super::NOTHING),
    ("actor", super::NOTHING),
    ("group", super::NOTHING),
    ("group_id", super::NOTHING),
    ("member", super::NOTHING),
    ("share", super::NOTHING),
    ("session", super::NOTHING),
    ("credential", super::NOTHING),
    ("form", super::NOTHING),
    ("draft", super::NOTHING),
    ("target", super::NOTHING),
    ("email", "mallory@example.com"),
    ("name", "Mallory"),
    ("description", "of Mallory's"),
    ("to", "dora@example.com"),
    ("with", "dora@example.com"),
    ("access", "manage"),
    ("sharing", "everyone"),
    ("action", "remove"),
    ("state", "disabled"),
    ("disabled", "true"),
    ("status", "rejected"),
    ("stage", "signed_in"),
    ("method", "DELETE"),
    ("version", "99"),
    ("endpoint_version", "99"),
    ("kind", "destination"),
    ("connector", "oauth2-client-credentials"),
    ("verified", "1"),
    ("verified_at", "1"),
    ("created_at", "1"),
    ("expires", "never"),
    ("expires_at", "1"),
    ("expires_on", "2999-01-01"),
    ("revoked_at", "1"),
    ("scope", "admin"),
    ("scopes", "admin"),
    ("reach", "all"),
    ("restricted", "0"),
    ("resource", super::NOTHING),
    ("password", "mallory's own 77 words"),
    ("new_password", "mallory's own 77 words"),
    ("second_factor", ""),
    ("second_factor_step", "0"),
    ("code", "000000"),
    ("token", "x"),
    ("account", "mallory"),
    ("client_id", "mallory"),
    ("token_url", "https://mallory.example/token"),
    ("path", "/mallory"),
    ("what", "off"),
    ("next", "//mallory.example"),
    ("then", "leave"),
];

/// What a form may have and the one that is sent here has not, and what it may have more than once.
fn may_have(route: &str) -> &'static [&'static str] {
    match route {
        "/{kind}/new/{connector}/configure" => {
            &["credential", "method", "path", "query_name", "query_value", "shown_for", "body", "may_write"]
        }
        "/{kind}/new/{connector}/credentials/new" => &["client_authentication", "basic_encoding"],
        "/{kind}/{id}/preview" => &["body", "may_write"],
        "/{kind}/{id}/policy" => &["method"],
        "/{kind}/{id}/credential" => &["q"],
        "/settings/keys/new" => &["scope", "reach", "resource", "action", "expires_on"],
        "/audit/export" => &["person", "target", "action", "from", "until"],
        // Where to go on to: tests/suite/web/sign_in.rs.
        "/sign-in" | "/sign-in/code" => &["next"],
        _ => &[],
    }
}

/// The form with all that it does not have, and with a second value for what it has.
fn with_extras(form: &Form) -> Vec<(String, String)> {
    let mut all = form.fields.clone();
    let has = |name: &str| form.fields.iter().any(|(own, _)| own == name);
    let own = may_have(form.route);
    for (name, value) in EXTRAS.into_iter().filter(|(name, _)| !own.contains(name)) {
        all.push((name.to_owned(), value.to_owned()));
        for name in [format!("{name}[]"), format!("user[{name}]"), format!("user.{name}"), name.to_uppercase()] {
            all.push((name, value.to_owned()));
        }
        if !has(name) {
            // Where the first value counts, this one does.
            all.insert(0, (name.to_owned(), value.to_owned()));
        }
    }
    all
}

async fn send(browser: &mut Browser, address: &str, fields: &[(String, String)]) -> (u16, String) {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = browser.post(address, &fields).await;
    assert!([200, 303].contains(&page.status), "{address}: {} {}", page.status, page.text);
    (page.status, page.location.unwrap_or_default())
}

/// Columns that differ between two Keytiles whatever is sent to them.
const RANDOM: [&str; 6] = [
    "installation.sealed",
    "verifications.duration_ms",
    "verifications.sealed",
    "credential_secrets.key_id",
    "api_keys.hint",
    "sign_in_limits.bucket",
];

/// The query for all rows of all tables, each as one text; but for the history, which is written when there is time.
async fn query(setup: &Setup) -> String {
    let columns = setup
        .texts(
            "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations' AND t.name NOT LIKE 'history%'
             ORDER BY t.name, c.cid",
        )
        .await;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in columns.iter().filter(|column| !RANDOM.contains(&column.as_str())) {
        let (table, column) = column.split_once('.').unwrap();
        tables.entry(table.to_owned()).or_default().push(format!("'{column}=' || quote({column})"));
    }
    assert!(tables.len() > 15, "{tables:?}");
    let selects =
        tables.iter().map(|(table, columns)| format!("SELECT '{table}: ' || {} FROM {table}", columns.join(" || ', ' || ")));
    selects.collect::<Vec<_>>().join(" UNION ALL ")
}

/// All rows, with names in the place of ids and lengths in the place of what is sealed or hashed.
async fn rows(setup: &Setup, query: &str) -> Vec<String> {
    let named = setup
        .texts(
            "SELECT hex(id) || ' person ' || email FROM users UNION ALL SELECT hex(id) || ' group ' || name FROM user_groups
             UNION ALL SELECT hex(id) || ' credential ' || name FROM credentials
             UNION ALL SELECT hex(id) || ' resource ' || name FROM resources
             UNION ALL SELECT hex(id) || ' key ' || name FROM api_keys",
        )
        .await;
    let names: BTreeMap<&str, &str> = named.iter().map(|line| line.split_once(' ').unwrap()).collect();
    // Each Keytile has a data folder of its own, which its first event says.
    let all = setup.texts(query).await.into_iter().filter(|row| !row.contains("action='settings.change'"));
    let mut rows: Vec<String> = all.map(|row| settled(&row, &names)).collect();
    rows.sort();
    rows
}

/// A row without what is random.
fn settled(row: &str, names: &BTreeMap<&str, &str>) -> String {
    let mut settled = String::new();
    let mut rest = row;
    while let Some((before, after)) = rest.split_once("X'") {
        let (blob, after) = after.split_once('\'').unwrap();
        settled.push_str(before);
        match names.get(blob) {
            Some(name) => settled.push_str(&format!("<{name}>")),
            None => settled.push_str(&format!("<{} bytes>", blob.len() / 2)),
        }
        rest = after;
    }
    settled.push_str(rest);
    let words = settled.split(['\'', ' ']).filter(|word| {
        let is_id = word.len() == 36 && word.split('-').count() == 5 && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        is_id || word.starts_with("$argon2id$")
    });
    let random: Vec<String> = words.map(str::to_owned).collect();
    random.iter().fold(settled, |row, word| row.replace(word, "<random>"))
}

/// Keytile with its rows.
struct Kept {
    setup: Setup,
    server: Server,
    query: String,
}

impl Kept {
    async fn new() -> Self {
        let setup = Setup::sandbox();
        let server = setup.start().await;
        let query = query(&setup).await;
        Self { setup, server, query }
    }

    async fn rows(&self) -> Vec<String> {
        rows(&self.setup, &self.query).await
    }
}

#[track_caller]
fn alike(plain: &[String], attacked: &[String], what: &str) {
    let only =
        |these: &[String], those: &[String]| -> Vec<String> { these.iter().filter(|row| !those.contains(row)).cloned().collect() };
    assert!(plain == attacked, "{what}:\nonly without: {:#?}\nonly with: {:#?}", only(plain, attacked), only(attacked, plain));
}

#[tokio::test]
async fn a_right_form_with_fields_of_others_does_what_it_does_without_them() {
    let (plain, attacked) = (Kept::new().await, Kept::new().await);
    let (mut at_plain, mut at_attacked) = (plain.server.browser(), attacked.server.browser());
    let (without, with) = (forms(&mut at_plain).await, forms(&mut at_attacked).await);
    alike(&plain.rows().await, &attacked.rows().await, "before any form");
    assert!(without.len() > 25 && without.len() == with.len());
    for (without, with) in without.iter().zip(&with) {
        let before = plain.rows().await;
        let as_usual = send(&mut at_plain, &without.address, &without.fields).await;
        let extras = with_extras(with);
        assert!(extras.len() > 100);
        let as_attacked = send(&mut at_attacked, &with.address, &extras).await;
        let after = plain.rows().await;
        assert_ne!(before, after, "{}", without.route);
        alike(&after, &attacked.rows().await, without.route);
        assert_eq!(as_usual.0, as_attacked.0, "{}", without.route);
    }
    plain.server.stop().await;
    attacked.server.stop().await;
}

/// A form without an id in its address.
fn plain_form(route: &'static str, fields: &[(&str, &str)]) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Form { route, address: route.to_owned(), fields }
}

/// Makes the first administrator, adds somebody who chooses a password with a link, signs that person in and changes
/// their name; each form as `sent` makes it.
async fn first_steps(sent: impl Fn(Form) -> Vec<(String, String)>) -> (Vec<String>, Server) {
    let setup = Setup::sandbox();
    let server = setup.start_without_accounts().await;
    let form = |route, fields: &[(&str, &str)]| sent(plain_form(route, fields));
    let mut ana = server.visitor();
    let link = server.setup.as_ref().unwrap();
    let token = ana.get(&format!("/setup?{}", link.query().unwrap())).await.value("token");
    let typed = [("token", token.as_str()), ("email", "ana@example.com"), ("name", "Ana"), ("password", PASSWORD)];
    send(&mut ana, "/setup", &form("/setup", &typed)).await;
    let added = ana.post("/settings/people", &[("email", "eve@example.com"), ("name", "Eve"), ("role", "viewer")]).await;
    let token = added.text.split_once("/password?token=").unwrap().1;
    let token = token.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').next().unwrap();
    let mut eve = server.visitor();
    eve.get("/sign-in").await;
    send(&mut eve, "/password", &form("/password", &[("token", token), ("password", PASSWORD)])).await;
    send(&mut eve, "/settings/name", &form("/settings/name", &[("name", "Eve E")])).await;
    let mut elsewhere = server.visitor();
    elsewhere.get("/sign-in").await;
    let typed = [("email", "eve@example.com"), ("password", PASSWORD)];
    let landed = send(&mut elsewhere, "/sign-in", &form("/sign-in", &typed)).await;
    assert_eq!(landed, (303, "/".to_owned()));
    for browser in [&mut eve, &mut elsewhere] {
        assert_eq!(browser.get("/settings/people").await.status, 403, "still a viewer");
    }
    (rows(&setup, &query(&setup).await).await, server)
}

#[tokio::test]
async fn who_comes_in_comes_in_as_who_they_are() {
    let (plain, plain_server) = first_steps(|form| form.fields).await;
    let (attacked, attacked_server) = first_steps(|form| with_extras(&form)).await;
    alike(&plain, &attacked, "the first steps");
    assert_eq!(plain.iter().filter(|row| row.starts_with("users: ")).count(), 2);
    plain_server.stop().await;
    attacked_server.stop().await;
}

/// Sets up a second factor, signs in with it, makes new recovery codes and takes it away; answers the rows after each.
async fn second_factor(sent: impl Fn(Form) -> Vec<(String, String)>) -> Vec<Vec<String>> {
    let setup = Setup::new();
    let server = setup.start().await;
    let query = query(&setup).await;
    let form = |route, fields: &[(&str, &str)]| sent(plain_form(route, fields));
    let mut ana = server.signed_in().await;
    let page = ana.get("/settings/second-factor").await;
    let (app, offer) = (app_of(&page), page.value("offer"));
    let typed = [("offer", offer.as_str()), ("code", &app.code(&setup.clock)), ("password", PASSWORD)];
    send(&mut ana, "/settings/second-factor", &form("/settings/second-factor", &typed)).await;
    let mut all = vec![rows(&setup, &query).await];
    setup.clock.advance(Duration::from_secs(60));
    let mut elsewhere = server.visitor();
    elsewhere.sign_in(ADMINISTRATOR, PASSWORD).await;
    let typed = [("code", &*app.code(&setup.clock))];
    assert_eq!(send(&mut elsewhere, "/sign-in/code", &form("/sign-in/code", &typed)).await, (303, "/".to_owned()));
    all.push(rows(&setup, &query).await);
    for what in ["renew", "remove"] {
        setup.clock.advance(Duration::from_secs(60));
        let typed = [("what", what), ("code", &app.code(&setup.clock)), ("password", PASSWORD)];
        send(&mut ana, "/settings/second-factor/change", &form("/settings/second-factor/change", &typed)).await;
        all.push(rows(&setup, &query).await);
    }
    server.stop().await;
    all
}

#[tokio::test]
async fn a_second_factor_is_no_more_and_no_less_than_one() {
    let (plain, attacked) = (second_factor(|form| form.fields).await, second_factor(|form| with_extras(&form)).await);
    for (number, (plain, attacked)) in plain.iter().zip(&attacked).enumerate() {
        alike(plain, attacked, &format!("after form {number}"));
    }
    assert_eq!(plain[0].iter().filter(|row| row.starts_with("recovery_codes: ")).count(), 10);
    assert!(!plain[3].iter().any(|row| row.starts_with("recovery_codes: ")));
}

#[tokio::test]
async fn a_field_in_the_address_is_none_of_the_form() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut eve = server.browser_as("eve@example.com", Role::Viewer).await;
    let done = eve.post("/settings/name?name=Mallory&role=administrator", &[("name", "Eve E")]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert_eq!(setup.texts("SELECT name || ' ' || role FROM users WHERE email = 'eve@example.com'").await, ["Eve E viewer"]);
    server.stop().await;
}
