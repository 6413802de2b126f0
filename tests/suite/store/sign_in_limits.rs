//! Attempts of signing in, counted in the database.

use std::time::Duration;

use futures_util::future::join_all;
use keytile::store::{CountedAttempt, Reservation, SignInBucket, Store};

use super::{
    on_both_databases,
    samples::{NOW, later},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    attempts_at_once_are_counted_one_by_one,
    an_attempt_is_counted_in_all_buckets_or_in_none,
    a_success_clears_or_gives_back,
    a_wait_of_a_later_failure_is_not_given_back,
    buckets_are_forgotten_after_a_day,
);

const fn bucket(byte: u8, free: i64) -> SignInBucket {
    SignInBucket { hash: [byte; 32], free }
}

/// Counts an attempt; the outer error is that it is blocked.
async fn count(store: &Store, buckets: &[SignInBucket]) -> Option<Vec<CountedAttempt>> {
    match store.count_attempt(buckets, NOW).await.unwrap() {
        Reservation::Counted(attempts) => Some(attempts),
        Reservation::Blocked(_) => None,
    }
}

async fn attempts_at_once_are_counted_one_by_one(database: TestDatabase) {
    let (one, other) = (database.open().await, database.open().await);
    let stores = [&one, &other];
    // Buckets in opposite orders, which must not deadlock.
    let orders = [[bucket(1, 5), bucket(2, 20)], [bucket(2, 20), bucket(1, 5)]];
    let all = join_all((0..24).map(|n| count(stores[n % 2], &orders[n % 2]))).await;
    let mut counts: Vec<i64> = all.into_iter().flatten().flat_map(|attempts| attempts.into_iter().map(|a| a.after.count)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!(one.sign_in_blocked(&orders[0], NOW).await.unwrap(), Some(later(1_000)));
    assert_eq!(one.sign_in_blocked(&[bucket(2, 20)], NOW).await.unwrap(), None);
    one.close().await;
    other.close().await;
}

async fn an_attempt_is_counted_in_all_buckets_or_in_none(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(count(&store, &[bucket(7, 1)]).await.unwrap()[0].after.blocked_until, later(1_000));
    assert_eq!(store.count_attempt(&[bucket(3, 5), bucket(7, 1)], NOW).await.unwrap(), Reservation::Blocked(later(1_000)));
    let attempts = count(&store, &[bucket(9, 5), bucket(3, 5)]).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| (attempt.bucket.hash[0], attempt.after.count)).collect::<Vec<_>>(), [(9, 1), (3, 1)]);
    store.close().await;
}

async fn a_success_clears_or_gives_back(database: TestDatabase) {
    let store = database.open().await;
    let (account, address) = (bucket(1, 5), bucket(2, 3));
    for _ in 0..2 {
        count(&store, &[account, address]).await.unwrap();
    }
    let third = count(&store, &[account, address]).await.unwrap();
    assert_eq!(store.sign_in_blocked(&[address], NOW).await.unwrap(), Some(later(1_000)), "counted before it is made");
    store.uncount_attempt(&third[..1], &third[1..]).await.unwrap();
    assert_eq!(store.sign_in_blocked(&[account, address], NOW).await.unwrap(), None);
    let next = count(&store, &[account, address]).await.unwrap();
    assert_eq!((next[0].after.count, next[1].after.count), (1, 3));
    store.close().await;
}

async fn a_wait_of_a_later_failure_is_not_given_back(database: TestDatabase) {
    let store = database.open().await;
    let address = bucket(2, 2);
    let first = count(&store, &[address]).await.unwrap();
    count(&store, &[address]).await.unwrap();
    store.uncount_attempt(&[], &first).await.unwrap();
    assert_eq!(store.sign_in_blocked(&[address], NOW).await.unwrap(), Some(later(1_000)));
    let Reservation::Counted(next) = store.count_attempt(&[address], later(1_000)).await.unwrap() else { panic!("blocked") };
    assert_eq!(next[0].after.count, 2);
    store.close().await;
}

async fn buckets_are_forgotten_after_a_day(database: TestDatabase) {
    let store = database.open().await;
    for _ in 0..4 {
        count(&store, &[bucket(1, 5)]).await.unwrap();
    }
    let day = NOW.plus(Duration::from_secs(24 * 3_600));
    let Reservation::Counted(next) = store.count_attempt(&[bucket(1, 5)], day).await.unwrap() else { panic!("blocked") };
    assert_eq!(next[0].after.count, 1);
    store.close().await;
}
