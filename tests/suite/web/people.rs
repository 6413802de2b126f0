//! Settings, People: who may open it, adding, changing, disabling, resetting.

use std::time::Duration;

use keytile::{
    domain::users::Role,
    service::{
        access::caller::{Caller, Origin},
        api_keys::{KeyCreation, RawApiKey, authenticate::KeyCheck},
    },
};

use super::over_both_databases;
use crate::support::{
    database::TestDatabase,
    server::{Browser, Page, Setup},
};

over_both_databases!(
    only_administrators_manage_people,
    a_person_is_added_with_a_link_that_is_shown_once,
    what_is_wrong_is_said_beside_its_field,
    people_are_paged_and_searched,
    a_rise_of_rights_ends_sessions_and_a_fall_takes_effect_at_once,
    the_last_administrator_can_be_neither_demoted_nor_disabled,
    disabling_ends_everything_at_once_and_can_be_undone,
    a_reset_ends_the_password_and_the_sessions,
    a_lost_second_factor_is_taken_away,
    two_who_change_one_person_do_not_undo_each_other,
);

pub(super) const PEOPLE: &str = "/settings/people";

/// Adds a person; answers the page with the link.
pub(super) async fn add(browser: &mut Browser, email: &str, name: &str, role: &str) -> Page {
    let page = browser.post(PEOPLE, &[("email", email), ("name", name), ("role", role)]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page
}

/// The path of the link that a page shows, with its query.
pub(super) fn link_in(page: &Page) -> String {
    let at = page.text.find("/password?token=").unwrap_or_else(|| panic!("no link in {}", page.text));
    page.text[at..].split('<').next().unwrap().to_owned()
}

/// The page of the person of this e-mail address.
pub(super) async fn page_of(browser: &mut Browser, email: &str) -> String {
    let found = browser.get(&format!("{PEOPLE}?q={}", email.replace('@', "%40"))).await;
    let at = found.text.find("<a href=\"/settings/people/").unwrap_or_else(|| panic!("{email} is not in {}", found.text));
    found.text[at + "<a href=\"".len()..].split('"').next().unwrap().to_owned()
}

async fn save(browser: &mut Browser, path: &str, email: &str, name: &str, role: &str) -> Page {
    let version = browser.get(path).await.value("version");
    browser.post(path, &[("version", &version), ("email", email), ("name", name), ("role", role)]).await
}

async fn only_administrators_manage_people(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let path = page_of(&mut ana, "ana@example.com").await;
    let refused = "SELECT COUNT(*) FROM audit_events WHERE action = 'access.refused'";
    for role in [Role::Viewer, Role::Operator, Role::Editor] {
        let mut browser = server.browser_as(&format!("{}@example.com", role.as_str()), role).await;
        let before = database.number(refused).await;
        assert_eq!(browser.get(PEOPLE).await.status, 403);
        assert_eq!(browser.get(&path).await.status, 403);
        assert_eq!(browser.get(&format!("{path}/hand-over")).await.status, 403);
        let typed = [("email", "x@example.com"), ("name", "X"), ("role", "administrator")];
        assert_eq!(browser.post(PEOPLE, &typed).await.status, 403);
        let version = [("version", "1"), ("email", "ana@example.com"), ("name", "Ana"), ("role", "viewer")];
        assert_eq!(browser.post(&path, &version).await.status, 403);
        for action in ["disable", "enable", "reset-password", "remove-second-factor", "end-sessions"] {
            assert_eq!(browser.post(&format!("{path}/{action}"), &[]).await.status, 403, "{action}");
        }
        assert_eq!(browser.post(&format!("{path}/hand-over"), &[("to", "editor@example.com")]).await.status, 403);
        assert_eq!(database.number(refused).await - before, 11, "each is recorded");
        browser.get("/").await.does_not_say("/settings/people");
    }
    assert_eq!(server.visitor().get(PEOPLE).await.status, 303, "to the sign-in");
    let people = ana.get(PEOPLE).await;
    people.says("editor@example.com");
    people.does_not_say("x@example.com");
    assert_eq!(ana.get(&format!("{PEOPLE}/01890000-0000-7000-8000-000000000001")).await.status, 404);
    assert_eq!(ana.get(&format!("{PEOPLE}/nonsense")).await.status, 404);
    assert_eq!(ana.post(&format!("{PEOPLE}/01890000-0000-7000-8000-000000000001/disable"), &[]).await.status, 404);
    server.stop().await;
}

async fn a_person_is_added_with_a_link_that_is_shown_once(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let shown = add(&mut ana, " Ben@Example.com ", " Ben ", "operator").await;
    let link = link_in(&shown);
    shown.says("Ben is added");
    shown.says("4 Jun 2025, 12:00 UTC");
    shown.says(&format!("{}{}", server.address.as_str().trim_end_matches('/'), link));
    assert_eq!(shown.headers["cache-control"], "no-store");
    let people = ana.get(PEOPLE).await;
    people.says("Ben@Example.com");
    people.says("Operator");
    people.says("Never");
    let path = page_of(&mut ana, "ben@example.com").await;
    let person = ana.get(&path).await;
    person.says("a link to choose one works until 4 Jun 2025, 12:00 UTC");
    let token = link.split_once('=').unwrap().1;
    for page in [&people, &person] {
        page.does_not_say(token);
    }
    let kept = if database.is_postgres() { "encode(hash, 'escape')" } else { "CAST(hash AS TEXT)" };
    assert_eq!(database.number(&format!("SELECT COUNT(*) FROM password_links WHERE {kept} = '{token}'")).await, 0);
    assert_eq!(database.number(&format!("SELECT COUNT(*) FROM audit_events WHERE detail LIKE '%{token}%'")).await, 0);
    let event = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.add' AND actor_name = 'ana@example.com'
        AND target_name = 'Ben@Example.com' AND detail = 'as operator'";
    assert_eq!(database.number(event).await, 1);
    server.stop().await;
}

async fn what_is_wrong_is_said_beside_its_field(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let page = ana.post(PEOPLE, &[("email", "ben"), ("name", ""), ("role", "root")]).await;
    assert_eq!(page.status, 422);
    for id in ["f-email-error", "f-name-error", "f-role-error"] {
        page.says(&format!("id=\"{id}\""));
    }
    assert_eq!(page.value("email"), "ben");
    assert!(page.text.contains("<title>Error: People"));
    let page = ana.post(PEOPLE, &[("email", "ANA@example.com"), ("name", "<b>Ben"), ("role", "viewer")]).await;
    assert_eq!(page.status, 422);
    page.says("Another account already has this email address.");
    assert!(page.text.contains("value=\"viewer\" checked") && !page.text.contains("<b>Ben"));
    add(&mut ana, "ben@example.com", "<b>Ben</b>", "viewer").await;
    assert!(!ana.get(PEOPLE).await.text.contains("<b>Ben"));
    let path = page_of(&mut ana, "ben@example.com").await;
    let page = save(&mut ana, &path, "ana@example.com", "", "viewer").await;
    assert_eq!(page.status, 422);
    let page = save(&mut ana, &path, "ana@example.com", "Ben", "viewer").await;
    assert_eq!((page.status, page.value("email").as_str()), (422, "ana@example.com"));
    page.says("Another account already has this email address.");
    assert_eq!(ana.post(&path, &[("email", "x@example.com"), ("name", "B"), ("role", "viewer")]).await.status, 400, "no version");
    assert_eq!(ana.get(&path).await.value("email"), "ben@example.com");
    server.stop().await;
}

async fn people_are_paged_and_searched(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    for number in 0..51 {
        // Ids of one millisecond are in order, but other tests make ids at other times meanwhile.
        setup.clock.advance(Duration::from_millis(1));
        add(&mut ana, &format!("p{number}@example.com"), &format!("Person {number}"), "viewer").await;
    }
    let first = ana.get(PEOPLE).await;
    assert_eq!(first.text.matches("<th scope=\"row\">").count(), 50);
    first.says("p50@example.com");
    first.does_not_say("p0@example.com");
    let at = first.text.find("/settings/people?after=").unwrap();
    let next = first.text[at..].split('"').next().unwrap().to_owned();
    let second = ana.get(&next).await;
    assert_eq!(second.text.matches("<th scope=\"row\">").count(), 2);
    second.says("p0@example.com");
    second.says("Ana");
    let found = ana.get(&format!("{PEOPLE}?q=PERSON%2042")).await;
    assert_eq!(found.text.matches("<th scope=\"row\">").count(), 1);
    found.says("p42@example.com");
    ana.get(&format!("{PEOPLE}?q=%22%3E%3Ci%3E")).await.says("No one has “\"><i>” in their name");
    server.stop().await;
}

async fn a_rise_of_rights_ends_sessions_and_a_fall_takes_effect_at_once(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.com", Role::Editor).await;
    let path = page_of(&mut ana, "ben@example.com").await;
    assert_eq!(ben.get("/").await.status, 200);
    let page = save(&mut ana, &path, "ben@example.com", "Ben", "administrator").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some(format!("{path}?done=raised").as_str())));
    ana.get(&page.location.unwrap()).await.says("Role upgraded. They must sign in again to use it.");
    assert_eq!(ben.get("/").await.status, 303, "the old session has none of the new rights: it is gone");
    let detail =
        "SELECT COUNT(*) FROM audit_events WHERE action = 'user.change' AND detail LIKE 'role from editor to administrator%'";
    assert_eq!(database.number(detail).await, 1);
    let mut cleo = server.browser_as("cleo@example.com", Role::Administrator).await;
    assert_eq!(cleo.get(PEOPLE).await.status, 200);
    let path = page_of(&mut ana, "cleo@example.com").await;
    let page = save(&mut ana, &path, "cleo@example.com", "Cleo", "viewer").await;
    assert_eq!(page.location.as_deref(), Some(format!("{path}?done=changed").as_str()));
    assert_eq!(cleo.get(PEOPLE).await.status, 403, "at once");
    assert_eq!(cleo.get("/").await.status, 200, "and the session goes on");
    // Who gives away the right to see the page is led to one that they may see.
    let mut dora = server.browser_as("dora@example.com", Role::Administrator).await;
    let path = page_of(&mut dora, "dora@example.com").await;
    assert_eq!(save(&mut dora, &path, "dora@example.com", "Dora", "editor").await.location.as_deref(), Some("/"));
    server.stop().await;
}

async fn the_last_administrator_can_be_neither_demoted_nor_disabled(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let own = page_of(&mut ana, "ana@example.com").await;
    let page = save(&mut ana, &own, "ana@example.com", "Ana", "editor").await;
    assert_eq!(page.status, 422);
    page.says("id=\"f-role-error\"");
    page.says("This is the last active administrator.");
    let page = ana.post(&format!("{own}/disable"), &[]).await;
    assert_eq!(page.status, 422);
    page.says("This is the last active administrator");
    assert_eq!(ana.get(PEOPLE).await.status, 200);
    server.browser_as("ben@example.com", Role::Administrator).await;
    assert_eq!(ana.post(&format!("{own}/disable"), &[]).await.status, 303);
    assert_eq!(ana.get(PEOPLE).await.status, 303, "signed out");
    server.stop().await;
}

async fn disabling_ends_everything_at_once_and_can_be_undone(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.com", Role::Viewer).await;
    assert_eq!(ben.get("/").await.status, 200);
    let path = page_of(&mut ana, "ben@example.com").await;
    let shown = ana.post(&format!("{path}/reset-password"), &[]).await;
    let raw = RawApiKey {
        name: "Exports".into(),
        owner: "ben@example.com".into(),
        scopes: vec!["proxy".into()],
        expires: "never".into(),
        ..RawApiKey::default()
    };
    let service = &server.service;
    let made = service.create_api_key(&Caller::server("test"), service.new_form(), &raw).await.unwrap();
    let KeyCreation::Created { key, .. } = made else { panic!("no key") };
    let accepted =
        async || matches!(service.authenticate_key(key.expose(), Origin::default()).await.unwrap(), KeyCheck::Accepted(_));
    assert!(accepted().await);
    let mut ben = server.browser_as("ben2@example.com", Role::Viewer).await;
    assert_eq!(ben.get("/").await.status, 200);
    let other = page_of(&mut ana, "ben2@example.com").await;
    for path in [&path, &other] {
        let done = ana.post(&format!("{path}/disable"), &[]).await;
        ana.get(&done.location.unwrap()).await.says("Disabled. All sessions have ended");
    }
    assert_eq!(ben.get("/").await.status, 303, "at once");
    assert!(!accepted().await);
    assert_eq!(server.visitor().get(&link_in(&shown)).await.status, 404, "a link that was out there is void");
    let page = ana.get(&path).await;
    page.says("· disabled");
    page.does_not_say("/reset-password\"");
    let page = ana.post(&format!("{path}/reset-password"), &[]).await;
    assert_eq!(page.status, 422);
    page.says("This account is disabled.");
    ana.get(PEOPLE).await.says("Disabled");
    assert_eq!(ana.post(&format!("{path}/disable"), &[]).await.status, 303, "twice is once");
    let done = ana.post(&format!("{path}/enable"), &[]).await;
    ana.get(&done.location.unwrap()).await.says("can sign in again");
    assert_eq!(server.visitor().get(&link_in(&shown)).await.status, 404, "and stays so");
    assert!(!accepted().await, "a key that leaked is not back with its account");
    let revoked = "SELECT COUNT(*) FROM audit_events WHERE action = 'api_key.revoke' AND detail = 'its owner was disabled'";
    assert_eq!(database.number(revoked).await, 1);
    assert_eq!(ana.post(&format!("{path}/reset-password"), &[]).await.status, 200);
    server.stop().await;
}

async fn a_reset_ends_the_password_and_the_sessions(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.com", Role::Viewer).await;
    database.execute("UPDATE users SET password = '$argon2id$old' WHERE email = 'ben@example.com'").await.unwrap();
    let path = page_of(&mut ana, "ben@example.com").await;
    let person = ana.get(&path).await;
    person.says("<dd id=\"session-count\">1</dd>");
    let shown = ana.post(&format!("{path}/reset-password"), &[]).await;
    assert_eq!(shown.status, 200);
    shown.says("Password reset for ben");
    assert_eq!(ben.get("/").await.status, 303);
    assert_eq!(database.number("SELECT COUNT(*) FROM users WHERE email = 'ben@example.com' AND password IS NULL").await, 1);
    let first = link_in(&shown);
    assert_eq!(server.visitor().get(&first).await.status, 200);
    let second = link_in(&ana.post(&format!("{path}/reset-password"), &[]).await);
    assert_eq!(server.visitor().get(&first).await.status, 404, "the newer one takes its place");
    assert_eq!(server.visitor().get(&second).await.status, 200);
    let mut cleo = server.browser_as("cleo@example.com", Role::Viewer).await;
    let path = page_of(&mut ana, "cleo@example.com").await;
    let done = ana.post(&format!("{path}/end-sessions"), &[]).await;
    ana.get(&done.location.unwrap()).await.says("All sessions have ended.");
    assert_eq!(cleo.get("/").await.status, 303);
    ana.get(&path).await.does_not_say("/end-sessions\"");
    server.stop().await;
}

async fn a_lost_second_factor_is_taken_away(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.com", Role::Viewer).await;
    let path = page_of(&mut ana, "ben@example.com").await;
    ana.get(&path).await.does_not_say("/remove-second-factor\"");
    let bytes = if database.is_postgres() { "'\\x01'::bytea" } else { "x'01'" };
    database.execute(&format!("UPDATE users SET second_factor = {bytes} WHERE email = 'ben@example.com'")).await.unwrap();
    ana.get(PEOPLE).await.says("<td>On</td>");
    ana.get(&path).await.says("/remove-second-factor\"");
    let done = ana.post(&format!("{path}/remove-second-factor"), &[]).await;
    ana.get(&done.location.unwrap()).await.says("Two-step verification is off.");
    assert_eq!(database.number("SELECT COUNT(*) FROM users WHERE second_factor IS NOT NULL").await, 0);
    assert_eq!(ben.get("/").await.status, 200, "who is signed in goes on");
    let event = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.disable_second_factor' AND target_name = 'ben@example.com'";
    assert_eq!(database.number(event).await, 1);
    server.stop().await;
}

async fn two_who_change_one_person_do_not_undo_each_other(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let (mut ana, mut other) = (server.browser(), server.browser());
    add(&mut ana, "ben@example.com", "Ben", "editor").await;
    let path = page_of(&mut ana, "ben@example.com").await;
    let seen = other.get(&path).await.value("version");
    assert_eq!(save(&mut ana, &path, "ben@example.com", "Ben", "viewer").await.status, 303);
    let stale = [("version", seen.as_str()), ("email", "ben@example.com"), ("name", "Benedict"), ("role", "editor")];
    let page = other.post(&path, &stale).await;
    assert_eq!((page.status, page.value("name").as_str()), (422, "Benedict"));
    page.says("This account was changed while you were editing.");
    page.says("ben@example.com · Viewer");
    assert_ne!(page.value("version"), seen, "what is saved next is a decision");
    server.stop().await;
}
