//! Groups and their members.

use keytile::domain::access::group::GroupShare;
use keytile::{
    domain::{access::permission::Access, users::UserState},
    store::GroupChange,
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, audit, name, new_id, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(names_are_unique, people_come_and_go, pages_go_on_where_the_last_ended, with_a_group_go_its_shares);

async fn names_are_unique(database: TestDatabase) {
    let store = database.open().await;
    let (sales, support) = (new_id(), new_id());
    assert_eq!(store.insert_group(sales, &name("Sales"), NOW, &audit()).await.unwrap(), GroupChange::Changed);
    assert_eq!(store.insert_group(new_id(), &name("SALES"), NOW, &audit()).await.unwrap(), GroupChange::NameTaken);
    assert_eq!(store.insert_group(support, &name("Support"), NOW, &audit()).await.unwrap(), GroupChange::Changed);
    assert_eq!(store.rename_group(support, &name("sales"), &audit()).await.unwrap(), GroupChange::NameTaken);
    assert_eq!(store.rename_group(support, &name("SUPPORT"), &audit()).await.unwrap(), GroupChange::Changed);
    assert_eq!(store.group(support).await.unwrap().unwrap().name, "SUPPORT");
    assert_eq!(store.rename_group(new_id(), &name("Other"), &audit()).await.unwrap(), GroupChange::NotFound);
    assert_eq!(store.group(new_id()).await.unwrap(), None);
}

async fn people_come_and_go(database: TestDatabase) {
    let store = database.open().await;
    let (group, ana) = (new_id(), new_user(&store).await);
    store.insert_group(group, &name("Sales"), NOW, &audit()).await.unwrap();
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.add_to_group(group, ana, &audit()).await.unwrap(), GroupChange::Changed);
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.add_to_group(group, ana, &audit()).await.unwrap(), GroupChange::Unchanged);
    assert_eq!(store.add_to_group(new_id(), ana, &audit()).await.unwrap(), GroupChange::NotFound);
    assert_eq!(store.groups_of(ana, 9).await.unwrap(), [(group, "Sales".to_owned())]);
    let members = store.group_members(group, None, 9).await.unwrap();
    assert_eq!(members.iter().map(|member| (member.id, member.state)).collect::<Vec<_>>(), [(ana, UserState::Active)]);
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.remove_from_group(group, ana, &audit()).await.unwrap(), GroupChange::Changed);
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.remove_from_group(group, ana, &audit()).await.unwrap(), GroupChange::Unchanged);
    assert_eq!(store.group(group).await.unwrap().unwrap().members, 0);
}

async fn pages_go_on_where_the_last_ended(database: TestDatabase) {
    let store = database.open().await;
    let mut groups: Vec<Uuid> = Vec::new();
    for number in 0..5 {
        groups.insert(0, new_id());
        store.insert_group(groups[0], &name(&format!("Group {number}")), NOW, &audit()).await.unwrap();
    }
    let page = async |after, limit| -> Vec<Uuid> {
        store.groups_page(after, limit).await.unwrap().into_iter().map(|group| group.id).collect()
    };
    assert_eq!(page(None, 3).await, groups[..3]);
    assert_eq!(page(Some(groups[2]), 3).await, groups[3..]);
    let mut people = Vec::new();
    for _ in 0..3 {
        people.insert(0, new_user(&store).await);
        store.add_to_group(groups[0], people[0], &audit()).await.unwrap();
    }
    let page = async |after, limit| -> Vec<Uuid> {
        store.group_members(groups[0], after, limit).await.unwrap().into_iter().map(|member| member.id).collect()
    };
    assert_eq!(page(None, 2).await, people[..2]);
    assert_eq!(page(Some(people[1]), 2).await, people[2..]);
}

async fn with_a_group_go_its_shares(database: TestDatabase) {
    let store = database.open().await;
    let (group, ana) = (new_id(), new_user(&store).await);
    store.insert_group(group, &name("Sales"), NOW, &audit()).await.unwrap();
    store.add_to_group(group, ana, &audit()).await.unwrap();
    Sample::new("Support EU").insert(&store).await;
    let share = "INSERT INTO credential_shares (id, credential, connector, group_id, access)
        SELECT c.id, c.id, c.connector, g.id, 'manage' FROM credentials c CROSS JOIN user_groups g";
    database.execute(share).await.unwrap();
    assert_eq!(store.group(group).await.unwrap().unwrap().shares, 1);
    let owner = Some(format!("{OWNER}@example.com"));
    let expected = GroupShare { connector: "talkdesk".into(), name: "Support EU".into(), access: Access::Manage, owner };
    assert_eq!(store.shares_of_group(group, 9).await.unwrap(), [expected]);
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.delete_group(group, &audit()).await.unwrap(), GroupChange::Changed);
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.delete_group(group, &audit()).await.unwrap(), GroupChange::NotFound);
    assert_eq!(store.groups_of(ana, 9).await.unwrap(), []);
    // Fails if the share is left: its id would be there twice.
    store.insert_group(group, &name("Sales"), NOW, &audit()).await.unwrap();
    database.execute(share).await.unwrap();
}
