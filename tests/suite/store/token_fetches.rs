//! Who fetches an access token: one at a time, for a while, and not before its time.

use std::time::Duration;

use keytile::{
    domain::{credential::CredentialId, time::Timestamp, token_state::FailureClass},
    store::{FailedFetch, FetchClaim, FetchClaimed, Store},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, Sample, later, new_id},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    one_fetches_until_its_lease_ends,
    a_failure_holds_until_its_time_and_for_its_version,
    of_many_at_once_one_fetches,
);

fn claim(credential: CredentialId, now: Timestamp) -> FetchClaim {
    FetchClaim {
        credential,
        version: 1,
        holder: new_id(),
        now,
        lease_until: now.plus(Duration::from_secs(40)),
        instead_of: None,
        is_due: false,
    }
}

fn failed(failures: u32, retry_at: Timestamp) -> FailedFetch {
    FailedFetch { class: FailureClass::Rejected, failures, retry_at, sealed: b"why".to_vec() }
}

async fn begin(store: &Store, claim: &FetchClaim) -> FetchClaimed {
    store.begin_fetch(claim).await.unwrap()
}

async fn one_fetches_until_its_lease_ends(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let first = claim(id, NOW);
    assert_eq!(begin(&store, &first).await, FetchClaimed::Begun { failures: 0 });
    let second = claim(id, later(39_000));
    assert_eq!(begin(&store, &second).await, FetchClaimed::Held { holder: first.holder });
    // Known to be given up, whatever the clocks say; but only that one.
    let other = FetchClaim { instead_of: Some(Uuid::from_u128(7)), ..second.clone() };
    assert_eq!(begin(&store, &other).await, FetchClaimed::Held { holder: first.holder });
    let instead = FetchClaim { instead_of: Some(first.holder), ..second.clone() };
    assert_eq!(begin(&store, &instead).await, FetchClaimed::Begun { failures: 0 });
    // Who has lost the lease says no more how it went.
    assert!(!store.fail_fetch(id, 1, first.holder, &failed(1, later(0))).await.unwrap());
    let after = claim(id, second.lease_until);
    assert_eq!(begin(&store, &after).await, FetchClaimed::Begun { failures: 0 });
    assert!(store.put_access_token(id, 1, b"token", later(600_000)).await.unwrap());
    assert_eq!(begin(&store, &claim(id, NOW)).await, FetchClaimed::Begun { failures: 0 }, "a token ends the lease");
}

async fn a_failure_holds_until_its_time_and_for_its_version(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let first = claim(id, NOW);
    begin(&store, &first).await;
    let why = failed(1, later(15_000));
    assert!(store.fail_fetch(id, 1, first.holder, &why).await.unwrap());
    assert_eq!(begin(&store, &claim(id, later(14_999))).await, FetchClaimed::Paused(why.clone()));
    assert_eq!(store.failed_fetch(id, 1).await.unwrap(), Some(why));
    let due = FetchClaim { is_due: true, ..claim(id, later(1)) };
    assert_eq!(begin(&store, &due).await, FetchClaimed::Begun { failures: 1 });
    let again = failed(2, later(30_000));
    assert!(store.fail_fetch(id, 1, due.holder, &again).await.unwrap());
    // What was found out for one version says nothing of another.
    database.execute("UPDATE credentials SET version = 2").await.unwrap();
    assert_eq!(begin(&store, &claim(id, later(2))).await, FetchClaimed::Gone);
    let next = FetchClaim { version: 2, ..claim(id, later(2)) };
    assert_eq!(begin(&store, &next).await, FetchClaimed::Begun { failures: 0 });
    assert_eq!(store.failed_fetch(id, 1).await.unwrap(), None);
    // A token, however it came, ends the failures.
    assert!(store.fail_fetch(id, 2, next.holder, &again).await.unwrap());
    assert!(store.put_access_token(id, 2, b"token", later(600_000)).await.unwrap());
    assert_eq!(store.failed_fetch(id, 2).await.unwrap(), None);
    assert_eq!(begin(&store, &claim(new_id(), NOW)).await, FetchClaimed::Gone);
}

async fn of_many_at_once_one_fetches(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let claims: Vec<FetchClaim> = (0..20).map(|_| claim(id, NOW)).collect();
    let begun = futures_util::future::join_all(claims.iter().map(|claim| begin(&store, claim))).await;
    let count = begun.iter().filter(|begun| matches!(begun, FetchClaimed::Begun { .. })).count();
    assert_eq!(count, 1, "{begun:?}");
}
