//! Shares: a credential, and the resources that use it, exist for the users it is shared with and for nobody else.

use keytile::domain::resources::ResourceDelete;
use std::collections::BTreeSet;

use keytile::{
    domain::{
        access::permission::{
            Access::{self, Manage, Use},
            Sharing,
        },
        credentials::{CredentialId, CredentialStatus},
        resources::ResourceKind::Source,
        users::UserId,
    },
    store::{CredentialDelete, CredentialQuery, NewShare, ResourceChange, ResourceInsert, ShareChange, ShareWith, Sharee, Store},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{OWNER, Sample, SampleResource, audit, connector, name, names, new_id, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_credential_exists_for_whom_it_is_shared_with,
    the_greater_of_two_shares_counts,
    a_right_that_was_withdrawn_changes_nothing,
    a_share_is_changed_only_with_its_credential,
    pages_are_merged_without_gap_and_twice,
    resources_follow_their_credential,
    a_deleted_credential_takes_its_shares_with_it,
    people_and_groups_are_found_by_what_they_are_called,
);

/// An id as a literal of the database.
fn literal(database: &TestDatabase, id: Uuid) -> String {
    if database.is_postgres() { format!("'{id}'") } else { format!("X'{}'", id.simple()) }
}

/// A group with these members.
async fn group(database: &TestDatabase, called: &str, members: &[UserId]) -> Uuid {
    let id = new_id();
    let key = name(called).key();
    let mut statements = format!(
        "INSERT INTO user_groups (id, name, name_key, created_at) VALUES ({}, '{called}', '{key}', 1);",
        literal(database, id)
    );
    for member in members {
        let (group, member) = (literal(database, id), literal(database, *member));
        statements.push_str(&format!("INSERT INTO group_members (group_id, member) VALUES ({group}, {member});"));
    }
    database.execute(&statements).await.unwrap();
    id
}

async fn share(store: &Store, credential: CredentialId, with: ShareWith, access: Access) -> Uuid {
    let new = NewShare { id: new_id(), credential, with, access };
    assert_eq!(store.put_share(OWNER, &new, &audit()).await.unwrap(), ShareChange::Changed);
    let shares = store.shares_of(credential).await.unwrap();
    let of = |sharee: &Sharee| match (sharee, with) {
        (Sharee::Person { id, .. }, ShareWith::Person(with)) | (Sharee::Group { id, .. }, ShareWith::Group(with)) => *id == with,
        _ => false,
    };
    shares.iter().find(|share| of(&share.with)).unwrap().id
}

async fn access(store: &Store, viewer: UserId, credential: CredentialId) -> Option<Access> {
    store.credential_for(viewer, credential).await.unwrap().and_then(|row| row.access)
}

const fn everything(viewer: UserId) -> CredentialQuery<'static> {
    CredentialQuery { viewer, connector: None, search: None, after: None, limit: 100 }
}

async fn a_credential_exists_for_whom_it_is_shared_with(database: TestDatabase) {
    let store = database.open().await;
    let (ben, cleo) = (new_user(&store).await, new_user(&store).await);
    let talkdesk = connector("talkdesk");
    let broken = |text: &str| Sample { fingerprint: vec![7; 32], ..Sample::new(text).status(CredentialStatus::Rejected) };
    let private = broken("Private").insert(&store).await;
    let shared = broken("Shared").insert(&store).await;
    let of_group = broken("Of a group").insert(&store).await;
    let open = broken("Open").insert(&store).await;
    share(&store, shared, ShareWith::Person(ben), Use).await;
    share(&store, of_group, ShareWith::Group(group(&database, "Desk", &[ben]).await), Manage).await;
    assert_eq!(store.set_sharing(OWNER, open, Sharing::Everyone, &audit()).await.unwrap(), ShareChange::Changed);
    for (id, owner, with_ben, with_cleo) in [
        (private, Some(Manage), None, None),
        (shared, Some(Manage), Some(Use), None),
        (of_group, Some(Manage), Some(Manage), None),
        (open, Some(Manage), Some(Use), Some(Use)),
    ] {
        assert_eq!(access(&store, OWNER, id).await, owner);
        assert_eq!(access(&store, ben, id).await, with_ben);
        assert_eq!(access(&store, cleo, id).await, with_cleo);
    }
    let row = store.credential_for(ben, shared).await.unwrap().unwrap();
    assert_eq!(row.owner.map(|owner| (owner.id, owner.name)), Some((OWNER, "Ana".to_owned())));
    for (viewer, expected) in [
        (OWNER, &["Open", "Of a group", "Shared", "Private"][..]),
        (ben, &["Open", "Of a group", "Shared"]),
        (cleo, &["Open"]),
        (new_id(), &["Open"]),
    ] {
        for connector in [Some(&talkdesk), None] {
            for search in [None, Some("")] {
                let query = CredentialQuery { connector, search, ..everything(viewer) };
                assert_eq!(names(&store, &query).await, expected, "{query:?}");
            }
            let query = CredentialQuery { connector, search: Some("private"), ..everything(viewer) };
            assert_eq!(names(&store, &query).await.is_empty(), viewer != OWNER);
        }
        let attention = store.credentials_needing_attention(viewer, 10).await.unwrap();
        assert_eq!(attention.iter().map(|row| row.summary.name.as_str()).collect::<Vec<_>>(), expected);
        let same = store.credentials_with_fingerprint(viewer, &talkdesk, &[7; 32], None).await.unwrap();
        assert_eq!(same.into_iter().collect::<BTreeSet<_>>(), expected.iter().map(|name| (*name).to_owned()).collect());
    }
}

async fn the_greater_of_two_shares_counts(database: TestDatabase) {
    let store = database.open().await;
    let ben = new_user(&store).await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert_eq!(store.set_sharing(OWNER, id, Sharing::Everyone, &audit()).await.unwrap(), ShareChange::Changed);
    let by_group = share(&store, id, ShareWith::Group(group(&database, "Desk", &[ben]).await), Use).await;
    share(&store, id, ShareWith::Person(ben), Manage).await;
    share(&store, id, ShareWith::Group(group(&database, "Other", &[ben]).await), Use).await;
    assert_eq!(access(&store, ben, id).await, Some(Manage));
    assert_eq!(names(&store, &everything(ben)).await, ["Support EU"], "and it is one tile");
    share(&store, id, ShareWith::Person(ben), Use).await;
    assert_eq!(access(&store, ben, id).await, Some(Use), "sharing again changes the share");
    assert_eq!(store.shares_of(id).await.unwrap().len(), 3);
    let change = store.change_share(OWNER, id, by_group, Some(Manage), &audit()).await.unwrap();
    assert_eq!((change, access(&store, ben, id).await), (ShareChange::Changed, Some(Manage)));
}

async fn a_right_that_was_withdrawn_changes_nothing(database: TestDatabase) {
    let store = database.open().await;
    let ben = new_user(&store).await;
    let id = Sample::new("Support EU").insert(&store).await;
    let own = Sample { owner: ben, ..Sample::new("Of Ben") }.insert(&store).await;
    let bens = share(&store, id, ShareWith::Person(ben), Manage).await;
    let users = SampleResource::new("Users", id).insert(&store).await;
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.change_share(OWNER, id, bens, Some(Use), &audit()).await.unwrap(), ShareChange::Changed);
    assert!(store.access_epoch().await.unwrap() > epoch, "what is remembered of it is forgotten");
    // For use: he may let resources use it, and nothing else.
    let more = NewShare { id: new_id(), credential: id, with: ShareWith::Person(ben), access: Manage };
    assert_eq!(store.put_share(ben, &more, &audit()).await.unwrap(), ShareChange::NotFound);
    assert_eq!(store.change_share(ben, id, bens, Some(Manage), &audit()).await.unwrap(), ShareChange::NotFound);
    assert_eq!(store.change_share(ben, id, bens, None, &audit()).await.unwrap(), ShareChange::NotFound);
    assert_eq!(store.set_sharing(ben, id, Sharing::Everyone, &audit()).await.unwrap(), ShareChange::NotFound);
    assert_eq!(store.delete_credential(ben, id, None, &audit()).await.unwrap(), CredentialDelete::NotFound);
    assert_eq!(store.set_resource_credential(ben, users, own, 1, &audit()).await.unwrap(), ResourceChange::NotFound);
    assert_eq!(store.delete_resource(ben, users, Source, None, &audit()).await.unwrap(), ResourceDelete::NotFound);
    let by_ben = SampleResource { owner: ben, ..SampleResource::new("By Ben", id) };
    by_ben.insert(&store).await;
    // For nothing: not even what he made himself is his to change.
    assert_eq!(store.change_share(OWNER, id, bens, None, &audit()).await.unwrap(), ShareChange::Changed);
    let late = SampleResource { owner: ben, ..SampleResource::new("Late", id) };
    assert_eq!(late.try_insert(&store).await, ResourceInsert::CredentialGone);
    assert_eq!(store.set_resource_credential(ben, by_ben.id, own, 1, &audit()).await.unwrap(), ResourceChange::NotFound);
    assert_eq!(store.delete_resource(ben, by_ben.id, Source, None, &audit()).await.unwrap(), ResourceDelete::NotFound);
    // Nor is a foreign credential for his resources.
    let his = SampleResource { owner: ben, ..SampleResource::new("His", own) }.insert(&store).await;
    assert_eq!(store.set_resource_credential(ben, his, id, 1, &audit()).await.unwrap(), ResourceChange::CredentialGone);
    assert_eq!(store.delete_resource(ben, his, Source, None, &audit()).await.unwrap(), ResourceDelete::Deleted);
}

async fn a_share_is_changed_only_with_its_credential(database: TestDatabase) {
    let store = database.open().await;
    let (ben, cleo) = (new_user(&store).await, new_user(&store).await);
    let of_ana = Sample::new("Of Ana").insert(&store).await;
    let of_ben = Sample { owner: ben, ..Sample::new("Of Ben") }.insert(&store).await;
    let shared = share(&store, of_ana, ShareWith::Person(cleo), Use).await;
    // Who manages one credential changes no share of another, whichever of the two the address names.
    for credential in [of_ben, of_ana, new_id()] {
        for access in [Some(Manage), None] {
            assert_eq!(store.change_share(ben, credential, shared, access, &audit()).await.unwrap(), ShareChange::NotFound);
        }
    }
    assert_eq!(access(&store, cleo, of_ana).await, Some(Use));
    let nobody = NewShare { id: new_id(), credential: of_ana, with: ShareWith::Person(new_id()), access: Use };
    assert_eq!(store.put_share(OWNER, &nobody, &audit()).await.unwrap(), ShareChange::ShareeGone);
    let no_group = NewShare { with: ShareWith::Group(new_id()), ..nobody };
    assert_eq!(store.put_share(OWNER, &no_group, &audit()).await.unwrap(), ShareChange::ShareeGone);
}

async fn pages_are_merged_without_gap_and_twice(database: TestDatabase) {
    let store = database.open().await;
    let (ben, cleo) = (new_user(&store).await, new_user(&store).await);
    let desk = group(&database, "Desk", &[ben]).await;
    let sales = group(&database, "Sales", &[ben, cleo]).await;
    let mut all = Vec::new();
    for number in 0_usize..60 {
        let sample = Sample::new(&format!("Number {number:02} {}", if number % 4 == 0 { "even" } else { "odd" }));
        let sample = if number % 3 == 0 { sample.of("other") } else { sample };
        // In turn: Ben's own, shared with him, with either of his groups or both, open to all, and nobody's but Ana's.
        let id = if number % 7 == 0 { Sample { owner: ben, ..sample }.insert(&store).await } else { sample.insert(&store).await };
        match number % 7 {
            1 => _ = share(&store, id, ShareWith::Person(ben), Use).await,
            2 => _ = share(&store, id, ShareWith::Group(desk), Use).await,
            3 => {
                share(&store, id, ShareWith::Group(desk), Use).await;
                share(&store, id, ShareWith::Group(sales), Manage).await;
                share(&store, id, ShareWith::Person(ben), Use).await;
            }
            4 => _ = store.set_sharing(OWNER, id, Sharing::Everyone, &audit()).await.unwrap(),
            _ => {}
        }
        all.push(id);
    }
    all.reverse();
    let talkdesk = connector("talkdesk");
    for viewer in [OWNER, ben, cleo, new_id()] {
        for (connector, search) in [(Some(&talkdesk), None), (None, None), (Some(&talkdesk), Some("even")), (None, Some("even"))] {
            let mut expected = Vec::new();
            for id in &all {
                let Some(row) = store.credential_for(viewer, *id).await.unwrap() else { continue };
                let found = search.is_none_or(|search| row.summary.name.contains(search));
                if found && connector.is_none_or(|connector| *connector == row.summary.connector) {
                    expected.push((*id, row.access));
                }
            }
            let mut seen = Vec::new();
            loop {
                let after = seen.last().map(|(id, _)| *id);
                let page = store.credentials_page(&CredentialQuery { viewer, connector, search, after, limit: 5 }).await.unwrap();
                assert!(page.len() <= 5);
                if page.is_empty() {
                    break;
                }
                seen.extend(page.iter().map(|row| (row.summary.id, row.access)));
            }
            assert_eq!(seen, expected);
        }
    }
    assert_eq!(names(&store, &everything(cleo)).await.len(), 17, "of Sales, and open to all");
}

async fn resources_follow_their_credential(database: TestDatabase) {
    let store = database.open().await;
    let ben = new_user(&store).await;
    let mut shared = Vec::new();
    // More than are few, so that for Ana the resources are walked through, and for Ben they are found by credential.
    for number in 0_usize..210 {
        let id = Sample::new(&format!("Number {number:03}")).insert(&store).await;
        if number % 30 == 0 {
            share(&store, id, ShareWith::Person(ben), Use).await;
            shared.push(format!("Resource {number:03}"));
        }
        if number % 10 == 0 {
            SampleResource::new(&format!("Resource {number:03}"), id).insert(&store).await;
        }
    }
    shared.reverse();
    let mut pages = Vec::new();
    for viewer in [OWNER, ben, new_id()] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.resources_page(viewer, Source, after, 4).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in page {
                assert!(store.resource(viewer, row.id).await.unwrap().is_some());
                seen.push(row.name);
            }
        }
        pages.push(seen);
    }
    assert_eq!(pages[0].len(), 21);
    assert_eq!(pages[1], shared);
    assert!(pages[2].is_empty());
    for row in store.resources_page(OWNER, Source, None, 30).await.unwrap() {
        let seen = store.resource(ben, row.id).await.unwrap();
        assert_eq!(seen.is_some(), shared.contains(&row.name), "{}", row.name);
    }
}

async fn a_deleted_credential_takes_its_shares_with_it(database: TestDatabase) {
    let store = database.open().await;
    let ben = new_user(&store).await;
    let id = Sample::new("Gone").insert(&store).await;
    share(&store, id, ShareWith::Person(ben), Use).await;
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::Deleted);
    assert!(store.shares_of(id).await.unwrap().is_empty());
    assert!(names(&store, &everything(ben)).await.is_empty());
}

async fn people_and_groups_are_found_by_what_they_are_called(database: TestDatabase) {
    let store = database.open().await;
    let (ben, gone) = (new_user(&store).await, new_user(&store).await);
    let desk = group(&database, "Service Desk", &[]).await;
    database.execute(&format!("UPDATE users SET state = 'disabled' WHERE id = {}", literal(&database, gone))).await.unwrap();
    let address = |id: UserId| format!("{id}@example.com");
    assert_eq!(store.person_to_share_with(&address(ben)).await.unwrap(), Some((ben, address(ben))));
    assert_eq!(store.person_to_share_with(&address(gone)).await.unwrap(), None, "its account is disabled");
    assert_eq!(store.group_to_share_with(&name("SERVICE desk").key()).await.unwrap(), Some((desk, "Service Desk".into())));
    assert_eq!(store.people_to_share_with(10).await.unwrap(), [(address(ben), "Ana".to_owned())]);
    assert_eq!(store.groups_to_share_with(10).await.unwrap(), ["Service Desk"]);
}
