//! Handing over, on the real pages and with real credentials.

use keytile::domain::users::Role;

use super::{over_both_databases, people::page_of};
use crate::support::{
    database::TestDatabase,
    server::{Browser, Setup},
};

over_both_databases!(everything_goes_in_one_step_and_goes_on_working, who_cannot_get_it_is_told_why);

/// Creates a source with a credential; returns its page.
async fn make_source(browser: &mut Browser, credential: &str, name: &str) -> String {
    let path = format!("/sources/new/talkdesk/configure?credential={credential}");
    let form = browser.get(&path).await.value("form");
    let typed = [("form", form.as_str()), ("name", name), ("description", ""), ("endpoint", "Users"), ("action", "create")];
    let created = browser.post(&path, &typed).await;
    created.location.unwrap_or_else(|| panic!("{}", created.text)).split('?').next().unwrap().to_owned()
}

async fn everything_goes_in_one_step_and_goes_on_working(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut ben = server.browser_as("ben@example.com", Role::Editor).await;
    let shared_name = ana.add_credential("Support EU").await;
    ana.add_credential("Only Ana's").await;
    ben.add_credential("SUPPORT eu").await;
    let source = make_source(&mut ana, &shared_name, "Nightly").await;
    let own = page_of(&mut ana, "ana@example.com").await;
    let ask = ana.get(&format!("{own}/hand-over")).await;
    ask.says("<dd id=\"credentials\">2</dd>");
    ask.says("<dd id=\"resources\">1</dd>");
    let done = ana.post(&format!("{own}/hand-over"), &[("to", " BEN@example.com ")]).await;
    assert_eq!(done.status, 200, "{}", done.text);
    done.says("<dd id=\"credentials\">2</dd>");
    done.says("Support EU (from Ana)");
    done.does_not_say("Only Ana's (from");
    let owners = "SELECT COUNT(*) FROM credentials c JOIN users u ON u.id = c.owner WHERE u.email = 'ben@example.com'";
    assert_eq!(database.number(owners).await, 3);
    // The secret still opens, under its new name and with its new owner.
    let tested = ben.post(&format!("/credentials/{shared_name}/test"), &[]).await;
    assert!(tested.status < 400, "{}", tested.text);
    let page = ben.get(&format!("/credentials/{shared_name}")).await;
    page.says("Support EU (from Ana)");
    page.does_not_say("can't decrypt");
    let preview = ben.post(&format!("{source}/preview"), &[]).await;
    assert_eq!(preview.status, 200);
    preview.says("<th");
    ben.get("/credentials?q=from%20ana").await.says("Support EU (from Ana)");
    ana.get(&own).await.says("<dt>Credentials</dt><dd>0</dd>");
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.hand_over'";
    assert_eq!(database.number(events).await, 4, "of the whole, of two credentials and of one source");
    server.stop().await;
}

async fn who_cannot_get_it_is_told_why(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    server.browser_as("operator@example.com", Role::Operator).await;
    server.browser_as("viewer@example.com", Role::Viewer).await;
    server.browser_as("away@example.com", Role::Editor).await;
    let away = page_of(&mut ana, "away@example.com").await;
    ana.post(&format!("{away}/disable"), &[]).await;
    ana.add_credential("Support EU").await;
    let own = page_of(&mut ana, "ana@example.com").await;
    for (to, reason) in [
        ("", "Enter an email address"),
        ("nobody@example.com", "No account has this email address."),
        ("ana@example.com", "Choose someone else"),
        ("away@example.com", "This account is disabled."),
        ("operator@example.com", "Only editors and administrators can own credentials"),
        ("viewer@example.com", "Only editors and administrators can own credentials"),
    ] {
        let page = ana.post(&format!("{own}/hand-over"), &[("to", to)]).await;
        assert_eq!((page.status, page.value("to").as_str()), (422, to));
        page.says(reason);
        page.says("id=\"f-to-error\"");
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.hand_over'").await, 0);
    let page = ana.post("/settings/people/01890000-0000-7000-8000-000000000001/hand-over", &[("to", "a@b.c")]).await;
    assert_eq!(page.status, 404);
    server.stop().await;
}
