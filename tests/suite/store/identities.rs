//! Who people are at a provider of single sign-on.

use futures_util::future::join_all;
use keytile::{
    domain::users::{Email, Role, UserId},
    store::{Identity, IdentityLink, IdentityUserInsert, NewUser, Store},
};

use super::{
    on_both_databases,
    samples::{NOW, audit, name, new_id, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    an_identity_belongs_to_one_account,
    an_account_is_linked_once_for_each_issuer,
    only_the_version_that_was_seen_is_linked,
    of_two_people_who_come_at_once_one_is_linked,
    of_two_browsers_of_one_person_one_makes_the_account,
);

const ADA: Identity<'_> = Identity { issuer: "https://id.example", subject: "ada" };

async fn make(store: &Store, email: &str, identity: Identity<'_>) -> (UserId, IdentityUserInsert) {
    let (id, email) = (new_id(), Email::parse(email).unwrap());
    let new = NewUser { id, email: &email, name: &name("Ada"), role: Role::Viewer, password: None, created_at: NOW };
    (id, store.insert_user_of_identity(&new, identity, &audit()).await.unwrap())
}

async fn owner(store: &Store, identity: Identity<'_>) -> Option<UserId> {
    store.user_of_identity(identity).await.unwrap().map(|user| user.id)
}

async fn an_identity_belongs_to_one_account(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(owner(&store, ADA).await, None);
    let (ada, made) = make(&store, "ada@example.com", ADA).await;
    assert_eq!((made, owner(&store, ADA).await), (IdentityUserInsert::Inserted, Some(ada)));
    let user = store.user_of_identity(ADA).await.unwrap().unwrap();
    assert_eq!((user.email.as_str(), user.role, user.has_password), ("ada@example.com", Role::Viewer, false));

    // The same subject elsewhere is somebody else, and so is another spelling.
    for other in [Identity { issuer: "https://id.example/", ..ADA }, Identity { subject: "Ada", ..ADA }] {
        assert_eq!(owner(&store, other).await, None, "{other:?}");
    }
    assert_eq!(make(&store, "ADA@example.com", Identity { subject: "x", ..ADA }).await.1, IdentityUserInsert::EmailTaken);
    let (other, made) = make(&store, "other@example.com", ADA).await;
    assert_eq!(made, IdentityUserInsert::IdentityTaken);
    assert_eq!(store.user(other).await.unwrap(), None, "the account is not left behind without its identity");
}

async fn an_account_is_linked_once_for_each_issuer(database: TestDatabase) {
    let store = database.open().await;
    let (ben, ada) = (new_user(&store).await, new_user(&store).await);
    let version = async |id| store.user(id).await.unwrap().unwrap().version;
    let link = async |id, identity| store.link_identity(id, version(id).await, identity, &audit()).await.unwrap();
    assert_eq!(link(ada, ADA).await, IdentityLink::Linked);
    assert_eq!(owner(&store, ADA).await, Some(ada));
    let second = Identity { subject: "ada2", ..ADA };
    assert_eq!(link(ada, second).await, IdentityLink::OfAnother);
    assert_eq!(owner(&store, second).await, None);
    assert_eq!(link(ben, ADA).await, IdentityLink::IdentityTaken);
    assert_eq!(owner(&store, ADA).await, Some(ada));
    assert_eq!(link(ada, Identity { issuer: "https://other.example", ..ADA }).await, IdentityLink::Linked);
}

async fn only_the_version_that_was_seen_is_linked(database: TestDatabase) {
    let store = database.open().await;
    let ada = new_user(&store).await;
    assert_eq!(store.link_identity(ada, 2, ADA, &audit()).await.unwrap(), IdentityLink::Outdated);
    assert_eq!(store.link_identity(new_id(), 1, ADA, &audit()).await.unwrap(), IdentityLink::Outdated);
    database.execute("UPDATE users SET state = 'disabled'").await.unwrap();
    assert_eq!(store.link_identity(ada, 1, ADA, &audit()).await.unwrap(), IdentityLink::Outdated);
    assert_eq!(owner(&store, ADA).await, None);
}

async fn of_two_people_who_come_at_once_one_is_linked(database: TestDatabase) {
    let store = database.open().await;
    let ada = new_user(&store).await;
    let subjects: Vec<String> = (0..8).map(|number| format!("ada {number}")).collect();
    let links = subjects.iter().map(|subject| {
        let store = store.clone();
        async move { store.link_identity(ada, 1, Identity { subject, ..ADA }, &audit()).await.unwrap() }
    });
    let outcomes = join_all(links).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == IdentityLink::Linked).count(), 1, "{outcomes:?}");
    let mut linked = 0;
    for subject in &subjects {
        linked += usize::from(owner(&store, Identity { subject, ..ADA }).await.is_some());
    }
    assert_eq!(linked, 1);
}

async fn of_two_browsers_of_one_person_one_makes_the_account(database: TestDatabase) {
    let store = database.open().await;
    let outcomes = join_all((0..8).map(|number| {
        let store = store.clone();
        // Half of them under another address, as if it had been changed meanwhile.
        async move { make(&store, &format!("ada{}@example.com", number % 2), ADA).await }
    }))
    .await;
    let made: Vec<UserId> =
        outcomes.iter().filter(|(_, outcome)| *outcome == IdentityUserInsert::Inserted).map(|(id, _)| *id).collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    assert_eq!(owner(&store, ADA).await, Some(made[0]));
}
