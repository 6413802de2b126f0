//! API keys in the store.

use keytile::domain::resources::ResourceDelete;
use keytile::{
    domain::{
        api_keys::{ApiKeyId, Scopes},
        resources::{ResourceId, ResourceKind},
        time::Timestamp,
        users::UserState,
    },
    store::{ApiKeyInsert, NewApiKey, Store},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, audit, later, name, new_id, user},
};
use crate::support::database::TestDatabase;

/// A key of [`OWNER`] to be stored; its hash is made of its id.
struct SampleKey {
    id: ApiKeyId,
    resources: Option<Vec<ResourceId>>,
    expires_at: Option<Timestamp>,
    form_id: Uuid,
}

impl SampleKey {
    fn new() -> Self {
        Self { id: new_id(), resources: None, expires_at: None, form_id: new_id() }
    }

    fn hash(&self) -> [u8; 32] {
        [self.id.as_bytes().as_slice(), self.id.as_bytes()].concat().try_into().unwrap()
    }

    async fn insert(&self, store: &Store) -> ApiKeyInsert {
        let new = NewApiKey {
            id: self.id,
            owner: OWNER,
            name: &name("Exports"),
            hint: "kt_abcd…",
            hash: &self.hash(),
            scopes: Scopes::parse("resources:read proxy").unwrap(),
            resources: self.resources.as_deref(),
            created_at: NOW,
            expires_at: self.expires_at,
            form_id: self.form_id,
        };
        store.insert_api_key(&new, &audit()).await.unwrap()
    }
}

async fn a_key_is_read_as_it_was_stored(database: TestDatabase) {
    let store = database.open().await;
    user(&store, OWNER).await;
    let key = SampleKey { expires_at: Some(later(5)), ..SampleKey::new() };
    let before = store.access_epoch().await.unwrap();
    assert_eq!(key.insert(&store).await, ApiKeyInsert::Inserted);
    assert!(store.access_epoch().await.unwrap() > before);
    let row = store.api_key_by_hash(&key.hash()).await.unwrap().unwrap();
    assert_eq!(Some(&row), store.api_key(key.id).await.unwrap().as_ref());
    assert_eq!((row.id, row.name.as_str(), row.hint.as_str(), row.restricted), (key.id, "Exports", "kt_abcd…", false));
    assert_eq!(row.scopes.to_words(), "resources:read proxy");
    assert_eq!((row.created_at, row.expires_at, row.last_used_at, row.revoked_at), (NOW, Some(later(5)), None, None));
    assert_eq!((row.owner.id, row.owner.name.as_str(), row.owner_state), (OWNER, "Ana", UserState::Active));
    assert_eq!(store.api_key_by_hash(&[7; 32]).await.unwrap(), None);
    assert_eq!(store.api_key(new_id()).await.unwrap(), None);
    store.close().await;
}

async fn one_form_makes_one_key(database: TestDatabase) {
    let store = database.open().await;
    user(&store, OWNER).await;
    let first = SampleKey::new();
    let again = SampleKey { form_id: first.form_id, ..SampleKey::new() };
    let (one, other) = tokio::join!(first.insert(&store), again.insert(&store));
    let inserted = [one, other].into_iter().filter(|insert| *insert == ApiKeyInsert::Inserted).count();
    let made = if one == ApiKeyInsert::Inserted { first.id } else { again.id };
    assert_eq!(inserted, 1);
    assert!([one, other].contains(&ApiKeyInsert::AlreadyMade(made)), "{one:?} {other:?}");
    assert_eq!(store.api_keys_page(None, 10).await.unwrap().len(), 1);
    store.close().await;
}

async fn a_key_for_some_resources_loses_those_that_are_deleted_and_stays_limited(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Desk").insert(&store).await;
    let one = SampleResource::new("One", credential).insert(&store).await;
    let other = SampleResource::new("Other", credential).insert(&store).await;
    let key = SampleKey { resources: Some(vec![one, other]), ..SampleKey::new() };
    assert_eq!(key.insert(&store).await, ApiKeyInsert::Inserted);
    let names = async || {
        let resources = store.resources_of_api_key(key.id).await.unwrap();
        resources.into_iter().map(|resource| (resource.id, resource.kind, resource.name)).collect::<Vec<_>>()
    };
    let source = ResourceKind::Source;
    assert_eq!(names().await, [(one, source, "One".to_owned()), (other, source, "Other".to_owned())]);
    for id in [one, other] {
        assert_eq!(store.delete_resource(OWNER, id, source, None, &audit()).await.unwrap(), ResourceDelete::Deleted);
    }
    assert_eq!(names().await, []);
    assert!(store.api_key(key.id).await.unwrap().unwrap().restricted);
    store.close().await;
}

async fn a_key_of_what_is_gone_is_not_stored(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(SampleKey::new().insert(&store).await, ApiKeyInsert::Gone, "there is no owner");
    user(&store, OWNER).await;
    let limited = SampleKey { resources: Some(vec![new_id()]), ..SampleKey::new() };
    assert_eq!(limited.insert(&store).await, ApiKeyInsert::Gone, "there is no such resource");
    assert_eq!(store.api_keys_page(None, 10).await.unwrap(), []);
    // Nothing of it is left that would stand in the way of the next.
    assert_eq!(SampleKey { resources: None, ..limited }.insert(&store).await, ApiKeyInsert::Inserted);
    store.close().await;
}

async fn a_key_is_revoked_once_and_used_later_and_later(database: TestDatabase) {
    let store = database.open().await;
    user(&store, OWNER).await;
    let key = SampleKey::new();
    key.insert(&store).await;
    for at in [later(60_000), later(120_000), later(60_000)] {
        store.touch_api_key(key.id, at).await.unwrap();
    }
    assert_eq!(store.api_key(key.id).await.unwrap().unwrap().last_used_at, Some(later(120_000)));
    let before = store.access_epoch().await.unwrap();
    assert!(store.revoke_api_key(key.id, later(1), &audit()).await.unwrap());
    let after = store.access_epoch().await.unwrap();
    assert!(after > before);
    assert!(!store.revoke_api_key(key.id, later(2), &audit()).await.unwrap());
    assert!(!store.revoke_api_key(new_id(), later(2), &audit()).await.unwrap());
    assert_eq!(store.access_epoch().await.unwrap(), after);
    assert_eq!(store.api_key(key.id).await.unwrap().unwrap().revoked_at, Some(later(1)));
    store.close().await;
}

async fn pages_are_cut_by_key_newest_first(database: TestDatabase) {
    let store = database.open().await;
    user(&store, OWNER).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let key = SampleKey::new();
        key.insert(&store).await;
        made.insert(0, key.id);
    }
    let page = async |after| {
        let rows = store.api_keys_page(after, 2).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, made[..2]);
    assert_eq!(page(Some(made[1])).await, made[2..4]);
    assert!(page(Some(made[4])).await.is_empty());
    store.close().await;
}

async fn only_active_accounts_can_be_owners(database: TestDatabase) {
    let store = database.open().await;
    user(&store, OWNER).await;
    let address = format!("{OWNER}@example.com");
    let owner = store.api_key_owner(&address).await.unwrap().unwrap();
    assert_eq!((owner.id, store.api_key_owners(10).await.unwrap()), (OWNER, vec![owner]));
    database.execute("UPDATE users SET state = 'disabled'").await.unwrap();
    assert_eq!(store.api_key_owner(&address).await.unwrap(), None);
    assert_eq!(store.api_key_owners(10).await.unwrap(), []);
    store.close().await;
}

on_both_databases!(
    a_key_is_read_as_it_was_stored,
    one_form_makes_one_key,
    a_key_for_some_resources_loses_those_that_are_deleted_and_stays_limited,
    a_key_of_what_is_gone_is_not_stored,
    a_key_is_revoked_once_and_used_later_and_later,
    pages_are_cut_by_key_newest_first,
    only_active_accounts_can_be_owners,
);
