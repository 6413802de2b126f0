//! The lease of a fetch, and what its holder stores.

use keytile::{
    domain::tokens::failure::FailureClass,
    store::{FetchStored, NewLease, Store, TokenFailure},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, access_token, audit, later, new_id, verification},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    one_holds_the_lease,
    what_the_holder_fetched_is_stored,
    a_failure_is_of_one_version,
    what_is_gone_or_changed_takes_no_token,
    a_hundred_verifications_are_kept,
);

fn lease(credential: Uuid, holder: u128, now: i64, until: i64) -> NewLease {
    let (now, until) = (later(now), later(until));
    NewLease { credential, version: 1, holder: Uuid::from_u128(holder), now, until, watched: None }
}

fn failure() -> TokenFailure {
    let (class, sealed) = (FailureClass::Rejected, b"diagnosis".to_vec());
    TokenFailure { class, failures: 3, retry_at: later(60_000), pause: 60_000, sealed }
}

async fn one_holds_the_lease(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let takers = (1..=8_u128).map(|holder| {
        let store = store.clone();
        tokio::spawn(async move { store.take_lease(&lease(id, holder, 0, 10)).await.unwrap() })
    });
    let mut taken = 0;
    for taker in takers.collect::<Vec<_>>() {
        taken += u32::from(taker.await.unwrap());
    }
    assert_eq!(taken, 1);
    let holder = store.token_of(id).await.unwrap().unwrap().holder.unwrap();
    assert!(!store.take_lease(&lease(id, 20, 9, 19)).await.unwrap());
    let other = NewLease { watched: Some(Uuid::from_u128(99)), ..lease(id, 20, 9, 19) };
    assert!(!store.take_lease(&other).await.unwrap(), "another one was watched");
    let watched = NewLease { watched: Some(holder), ..lease(id, 20, 9, 19) };
    assert!(store.take_lease(&watched).await.unwrap());
    assert!(store.take_lease(&lease(id, 21, 19, 29)).await.unwrap(), "it has ended");
    store.release_lease(id, Uuid::from_u128(20)).await.unwrap();
    assert!(!store.take_lease(&lease(id, 22, 20, 30)).await.unwrap(), "only its holder gives it back");
    store.release_lease(id, Uuid::from_u128(21)).await.unwrap();
    assert!(store.take_lease(&lease(id, 22, 20, 30)).await.unwrap());
    assert!(!store.take_lease(&lease(new_id(), 1, 0, 10)).await.unwrap());
}

async fn what_the_holder_fetched_is_stored(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert!(store.take_lease(&lease(id, 1, 0, 10)).await.unwrap());
    let put = async |store: &Store, holder, sealed: &[u8]| {
        store.put_fetched_token(id, 1, Uuid::from_u128(holder), &access_token(sealed, later(600_000))).await.unwrap()
    };
    assert_eq!(put(&store, 2, b"late").await, FetchStored::LeaseLost);
    assert_eq!(store.access_token(id).await.unwrap(), None);
    assert_eq!(put(&store, 1, b"first").await, FetchStored::Stored);
    assert_eq!(put(&store, 1, b"again").await, FetchStored::LeaseLost, "it was given back");
    let row = store.token_of(id).await.unwrap().unwrap();
    assert_eq!((row.token.unwrap().sealed, row.holder, row.failure), (b"first".to_vec(), None, None));
}

async fn a_failure_is_of_one_version(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert!(store.take_lease(&lease(id, 1, 0, 10)).await.unwrap());
    assert!(!store.put_token_failure(id, 1, Uuid::from_u128(2), &failure()).await.unwrap());
    assert!(store.put_token_failure(id, 1, Uuid::from_u128(1), &failure()).await.unwrap());
    let row = store.token_of(id).await.unwrap().unwrap();
    assert_eq!((row.failure, row.holder), (Some(failure()), None));
    // A lease keeps it, a token that a person's test brought ends it.
    assert!(store.take_lease(&lease(id, 3, 0, 10)).await.unwrap());
    assert_eq!(store.token_of(id).await.unwrap().unwrap().failure, Some(failure()));
    assert!(store.put_access_token(id, 1, &access_token(b"tested", later(1))).await.unwrap());
    assert_eq!(store.token_of(id).await.unwrap().unwrap().failure, None);
    assert!(store.put_token_failure(id, 1, Uuid::from_u128(3), &failure()).await.unwrap());
    // And an edit.
    database.execute("UPDATE credentials SET version = 2").await.unwrap();
    assert_eq!(store.token_of(id).await.unwrap().unwrap().failure, None);
    assert!(!store.take_lease(&lease(id, 4, 0, 10)).await.unwrap(), "of a version that was");
    assert!(store.take_lease(&NewLease { version: 2, ..lease(id, 4, 0, 10) }).await.unwrap());
    assert_eq!(store.token_of(id).await.unwrap().unwrap().failure, None);
}

async fn what_is_gone_or_changed_takes_no_token(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let holder = Uuid::from_u128(1);
    assert!(store.take_lease(&lease(id, 1, 0, 10)).await.unwrap());
    database.execute("UPDATE credentials SET version = 2").await.unwrap();
    let token = access_token(b"token", later(1));
    assert_eq!(store.put_fetched_token(id, 1, holder, &token).await.unwrap(), FetchStored::Gone);
    assert!(!store.put_access_token(id, 1, &token).await.unwrap());
    store.delete_credential(OWNER, id, None, &audit()).await.unwrap();
    assert_eq!(store.put_fetched_token(id, 2, holder, &token).await.unwrap(), FetchStored::Gone);
    assert!(!store.put_token_failure(id, 1, holder, &failure()).await.unwrap());
    assert_eq!(store.token_of(id).await.unwrap(), None);
}

async fn a_hundred_verifications_are_kept(database: TestDatabase) {
    use keytile::domain::credentials::CredentialStatus::Rejected;
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    for number in 1..=105 {
        assert!(store.record_verification(id, &verification(Rejected, later(number)), None).await.unwrap());
    }
    let kept = store.verifications_of(id, 1_000).await.unwrap();
    assert_eq!((kept.len(), kept[0].at, kept[99].at), (100, later(105), later(6)));
    assert_eq!(NOW, later(0));
}
