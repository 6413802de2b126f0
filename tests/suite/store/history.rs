//! The history: it is added to by several at once, goes with its credential, and is cleared away.

use keytile::domain::usage::UseRecord;
use std::time::Duration;

use keytile::{
    domain::{
        resources::ResourceKind,
        time::Timestamp,
        usage::{Asker, HourCounts, Success, Tally, TokenSource, Use, UseAction, UseKey, UseOutcome},
    },
    store::{HistoryOf, HistoryQuery, NewHour, Store},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{OWNER, Sample, SampleResource, audit, new_id, user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    what_is_added_by_several_is_summed_up,
    names_are_those_of_now,
    only_what_was_not_done_can_be_asked_for,
    what_is_of_a_credential_that_is_gone_is_left_out,
    what_is_old_is_cleared_away,
);

/// The beginning of an hour.
const HOUR: i64 = 500_000 * 3_600_000;

fn request(credential: Uuid, resource: Uuid) -> Use {
    Use {
        at: Timestamp::from_millis(HOUR + 61_000),
        credential,
        resource: Some(resource),
        asker: Asker::Person(OWNER),
        action: UseAction::Preview,
        token: TokenSource::Memory,
        outcome: UseOutcome::Answered(200),
        took: Duration::from_millis(30),
    }
}

fn counted(one: &Use) -> (Vec<(UseKey, Tally)>, Vec<NewHour>) {
    let (key, tally) = (one.key(), Tally::of(one));
    let mut counts = HourCounts::default();
    counts.count(&key, &tally);
    let hour = NewHour { credential: one.credential, hour: key.minute / 3_600_000 * 3_600_000, resource: one.resource, counts };
    (vec![(key, tally)], vec![hour])
}

async fn add(store: &Store, one: &Use) {
    let (uses, hours) = counted(one);
    store.add_history(&uses, &hours).await.unwrap();
}

async fn read(store: &Store, of: HistoryOf, only_problems: bool) -> Vec<UseRecord> {
    let before = Timestamp::from_millis(i64::MAX);
    store.history(&HistoryQuery { of, before, only_problems, limit: 100 }).await.unwrap()
}

async fn what_is_added_by_several_is_summed_up(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let (one, two) = (new_id(), new_id());
    let adding = (0..20_u64).map(|number| {
        let store = store.clone();
        let used = Use { took: Duration::from_millis(number + 1), ..request(id, if number % 2 == 0 { one } else { two }) };
        tokio::spawn(async move { add(&store, &used).await })
    });
    for adding in adding.collect::<Vec<_>>() {
        adding.await.unwrap();
    }
    let rows = read(&store, HistoryOf::Credential(id), false).await;
    assert_eq!(rows.iter().map(|row| (row.uses, row.minute.as_millis())).collect::<Vec<_>>(), [(10, HOUR + 60_000); 2]);
    let [row] = &read(&store, HistoryOf::Resource(two), false).await[..] else { panic!("{rows:?}") };
    assert_eq!((row.uses, row.micros, row.longest), (10, 110_000, 20_000));
    assert_eq!(
        (row.asker, row.action, row.token, row.outcome.as_str()),
        (Asker::Person(OWNER), UseAction::Preview, TokenSource::Memory, "200")
    );
    let [(hour, counts)] = store.history_hours(HistoryOf::Credential(id), Timestamp::from_millis(HOUR)).await.unwrap()[..] else {
        panic!("one hour")
    };
    assert_eq!((hour.as_millis(), counts.requests, counts.cached, counts.failed), (HOUR, 20, 20, 0));
    assert_eq!(counts.latencies.0, [5, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
    let of_one = store.history_hours(HistoryOf::Resource(one), Timestamp::from_millis(HOUR)).await.unwrap();
    assert_eq!(of_one[0].1.requests, 10);
    let later = Timestamp::from_millis(HOUR + 3_600_000);
    assert!(store.history_hours(HistoryOf::Credential(id), later).await.unwrap().is_empty());
}

async fn names_are_those_of_now(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    user(&store, OWNER).await;
    let resource = SampleResource::new("Users", id).insert(&store).await;
    add(&store, &request(id, resource)).await;
    add(&store, &Use { resource: None, asker: Asker::Keytile, action: UseAction::Fetch, ..request(id, resource) }).await;
    add(&store, &Use { asker: Asker::Key(new_id()), resource: Some(new_id()), ..request(id, resource) }).await;
    let rows = read(&store, HistoryOf::Credential(id), false).await;
    let found = |asker: &dyn Fn(Asker) -> bool| rows.iter().find(|row| asker(row.asker)).unwrap();
    let row = found(&|asker| asker == Asker::Person(OWNER));
    assert_eq!(row.resource_name, Some((ResourceKind::Source, "Users".to_owned())));
    assert_eq!(row.account.as_ref().map(|(id, _)| *id), Some(OWNER));
    let row = found(&|asker| asker == Asker::Keytile);
    assert_eq!((row.resource, &row.resource_name, &row.account), (None, &None, &None));
    let row = found(&|asker| matches!(asker, Asker::Key(_)));
    assert_eq!((row.resource.is_some(), &row.resource_name, &row.account, &row.key_name), (true, &None, &None, &None));
}

async fn only_what_was_not_done_can_be_asked_for(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let resource = new_id();
    let refused = UseOutcome::Refused { status: 405, code: "method_not_allowed" };
    for outcome in [UseOutcome::Answered(200), UseOutcome::Answered(500), refused] {
        add(&store, &Use { outcome, ..request(id, resource) }).await;
    }
    for of in [HistoryOf::Credential(id), HistoryOf::Resource(resource)] {
        let mut problems: Vec<_> = read(&store, of, true).await.into_iter().map(|row| (row.outcome, row.success)).collect();
        problems.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(problems, [("500".to_owned(), Success::Failed), ("method_not_allowed".to_owned(), Success::Refused)]);
        assert_eq!(read(&store, of, false).await.len(), 3);
    }
}

async fn what_is_of_a_credential_that_is_gone_is_left_out(database: TestDatabase) {
    let store = database.open().await;
    let (kept, gone) = (Sample::new("Kept").insert(&store).await, Sample::new("Gone").insert(&store).await);
    add(&store, &request(gone, new_id())).await;
    store.delete_credential(OWNER, gone, None, &audit()).await.unwrap();
    let (mut uses, mut hours) = counted(&request(kept, new_id()));
    let (others, other_hours) = counted(&request(gone, new_id()));
    uses.extend(others);
    hours.extend(other_hours);
    store.add_history(&uses, &hours).await.unwrap();
    assert_eq!(read(&store, HistoryOf::Credential(kept), false).await.len(), 1);
    assert!(read(&store, HistoryOf::Credential(gone), false).await.is_empty());
    assert!(store.history_hours(HistoryOf::Credential(gone), Timestamp::from_millis(0)).await.unwrap().is_empty());
}

async fn what_is_old_is_cleared_away(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let at = |millis| Use { at: Timestamp::from_millis(millis), ..request(id, new_id()) };
    for used in [at(HOUR), at(HOUR + 3_600_000), at(HOUR + 7_200_000)] {
        add(&store, &used).await;
    }
    let moment = |millis| Timestamp::from_millis(millis);
    store.delete_history(moment(HOUR + 7_200_000), moment(HOUR + 3_600_000)).await.unwrap();
    assert_eq!(read(&store, HistoryOf::Credential(id), false).await.len(), 1);
    let hours = store.history_hours(HistoryOf::Credential(id), moment(0)).await.unwrap();
    assert_eq!(hours.iter().map(|(hour, _)| hour.as_millis()).collect::<Vec<_>>(), [HOUR + 3_600_000, HOUR + 7_200_000]);
}
