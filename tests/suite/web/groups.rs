//! Settings, Groups.

use keytile::domain::users::Role;

use super::{
    over_both_databases,
    people::{add, page_of},
};
use crate::support::{
    database::TestDatabase,
    server::{Browser, Setup},
};

over_both_databases!(
    only_administrators_manage_groups,
    a_group_is_made_named_and_filled,
    groups_and_members_are_paged,
    deleting_a_group_says_which_shares_end,
);

const GROUPS: &str = "/settings/groups";

/// Creates a group; returns its page.
async fn make(browser: &mut Browser, name: &str) -> String {
    let done = browser.post(GROUPS, &[("name", name)]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    done.location.unwrap().split('?').next().unwrap().to_owned()
}

async fn only_administrators_manage_groups(setup: Setup, _: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let path = make(&mut ana, "Sales").await;
    for role in [Role::Viewer, Role::Operator, Role::Editor] {
        let mut browser = server.browser_as(&format!("{}@example.com", role.as_str()), role).await;
        for page in [GROUPS, &path, &format!("{path}/delete")] {
            assert_eq!(browser.get(page).await.status, 403, "{page}");
        }
        assert_eq!(browser.post(GROUPS, &[("name", "Mine")]).await.status, 403);
        assert_eq!(browser.post(&path, &[("name", "Mine")]).await.status, 403);
        assert_eq!(browser.post(&format!("{path}/members"), &[("email", "viewer@example.com")]).await.status, 403);
        let member = [("member", "01890000-0000-7000-8000-000000000001")];
        assert_eq!(browser.post(&format!("{path}/members/remove"), &member).await.status, 403);
        assert_eq!(browser.post(&format!("{path}/delete"), &[]).await.status, 403);
    }
    let page = ana.get(GROUPS).await;
    page.says("Sales");
    page.does_not_say("Mine");
    assert_eq!(ana.get(&format!("{GROUPS}/01890000-0000-7000-8000-000000000001")).await.status, 404);
    assert_eq!(ana.post(&format!("{GROUPS}/01890000-0000-7000-8000-000000000001"), &[("name", "X")]).await.status, 404);
    server.stop().await;
}

async fn a_group_is_made_named_and_filled(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    ana.get(GROUPS).await.says("No groups yet.");
    let path = make(&mut ana, " Sales <i>EU ").await;
    ana.get(&format!("{path}?done=added")).await.says("Sales <i>EU");
    assert!(!ana.get(&path).await.text.contains("<i>EU"));
    let page = ana.post(GROUPS, &[("name", "SALES <i>eu")]).await;
    assert_eq!((page.status, page.value("name").as_str()), (422, "SALES <i>eu"));
    page.says("Another group already has this name.");
    assert_eq!(ana.post(GROUPS, &[("name", " ")]).await.status, 422);
    let support = make(&mut ana, "Support").await;
    let page = ana.post(&support, &[("name", "sales <i>EU")]).await;
    assert_eq!((page.status, page.value("name").as_str()), (422, "sales <i>EU"));
    assert_eq!(ana.post(&path, &[("name", "Sales")]).await.status, 303);
    add(&mut ana, "ben@example.com", "Ben", "viewer").await;
    for (typed, reason) in [("nobody@example.com", "No account has this email address."), ("ben", "Enter an email address")] {
        let page = ana.post(&format!("{path}/members"), &[("email", typed)]).await;
        assert_eq!((page.status, page.value("email").as_str()), (422, typed));
        page.says(reason);
    }
    for _ in 0..2 {
        let done = ana.post(&format!("{path}/members"), &[("email", "BEN@example.com")]).await;
        ana.get(&done.location.unwrap()).await.says("Members (1)");
    }
    let person = page_of(&mut ana, "ben@example.com").await;
    ana.get(&person).await.says(&format!("<a href=\"{path}\">Sales</a>"));
    let member = person.rsplit('/').next().unwrap().to_owned();
    for _ in 0..2 {
        let done = ana.post(&format!("{path}/members/remove"), &[("member", &member)]).await;
        ana.get(&done.location.unwrap()).await.says("Members (0)");
    }
    assert_eq!(ana.post(&format!("{path}/members/remove"), &[("member", "nonsense")]).await.status, 400);
    let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'group.change' AND detail IN ('renamed to Sales',
        'ben@example.com added', 'ben@example.com removed')";
    assert_eq!(database.number(events).await, 3, "what changed nothing is not recorded");
    server.stop().await;
}

async fn groups_and_members_are_paged(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let mut path = String::new();
    for number in 0..51 {
        setup.clock.advance(std::time::Duration::from_millis(1));
        path = make(&mut ana, &format!("Group {number}")).await;
        add(&mut ana, &format!("p{number}@example.com"), &format!("Person {number}"), "viewer").await;
    }
    database
        .execute("INSERT INTO group_members SELECT g.id, u.id FROM user_groups g CROSS JOIN users u WHERE g.name = 'Group 50'")
        .await
        .unwrap();
    for (address, last) in [(GROUPS, "Group 0"), (path.as_str(), "ana@example.com")] {
        let first = ana.get(address).await;
        assert_eq!(first.text.matches("<th scope=\"row\">").count(), 50);
        first.does_not_say(&format!(">{last}</"));
        let at = first.text.find(&format!("{address}?after=")).unwrap();
        let next = first.text[at..].split('"').next().unwrap().to_owned();
        let second = ana.get(&next).await;
        assert!((1..=2).contains(&second.text.matches("<th scope=\"row\">").count()));
        second.says(last);
    }
    server.stop().await;
}

async fn deleting_a_group_says_which_shares_end(setup: Setup, database: TestDatabase) {
    let server = setup.start().await;
    let mut ana = server.browser();
    let empty = make(&mut ana, "Empty").await;
    ana.get(&format!("{empty}/delete")).await.says("Nothing is shared with this group");
    assert_eq!(ana.post(&format!("{empty}/delete"), &[]).await.status, 303);
    let path = make(&mut ana, "Sales").await;
    ana.add_credential("Support EU").await;
    let share = "INSERT INTO credential_shares (id, credential, connector, group_id, access)
        SELECT c.id, c.id, c.connector, g.id, 'use' FROM credentials c CROSS JOIN user_groups g";
    database.execute(share).await.unwrap();
    let ask = ana.get(&format!("{path}/delete")).await;
    ask.says("This share ends");
    ask.says("“Support EU” (talkdesk) of ana@example.com, can use");
    let done = ana.post(&format!("{path}/delete"), &[]).await;
    ana.get(&done.location.unwrap()).await.says("Group deleted.");
    assert_eq!(ana.get(&path).await.status, 404);
    assert_eq!(ana.post(&format!("{path}/delete"), &[]).await.status, 303, "twice is once");
    assert_eq!(database.number("SELECT COUNT(*) FROM credential_shares").await, 0);
    let event = "SELECT COUNT(*) FROM audit_events WHERE action = 'group.delete' AND target_name = 'Sales' AND detail = '0 members, 1 shares'";
    assert_eq!(database.number(event).await, 1);
    server.stop().await;
}
