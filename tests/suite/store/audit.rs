//! Searching the audit trail: each combination of person, thing, action and places finds what it should, page by page.

use keytile::{
    domain::{
        audit::{
            Audit, AuditTarget,
            event::{ActorKind, AuditAction, TargetKind},
        },
        time::Timestamp,
    },
    store::{AuditOrder, AuditRow, AuditSelection, Store},
};
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, Sample, SampleResource, audit, later, user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    every_combination_finds_its_events_in_both_orders,
    a_clock_that_is_set_back_does_not_break_the_order_of_time,
    a_time_is_a_place_in_the_trail,
    the_pages_of_things_are_found,
    people_and_credentials_are_found_by_what_is_typed,
    hostile_names_come_back_as_they_were_recorded,
);

const ACTIONS: [AuditAction; 3] = [AuditAction::SignIn, AuditAction::PreviewResource, AuditAction::ExportAudit];

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An event by person `actor` (0: nobody) on thing `target` (0: nothing).
fn event(actor: u128, target: u128, action: AuditAction, at: Timestamp) -> Audit<'static> {
    let mut audit = audit();
    audit.event.at = at;
    audit.event.action = action;
    audit.event.actor.kind = if actor == 0 { ActorKind::Nobody } else { ActorKind::Person };
    audit.event.actor.id = (actor != 0).then(|| id(actor));
    audit.event.target = (target != 0).then(|| AuditTarget { kind: TargetKind::Resource, id: id(target), name: "Agents".into() });
    audit
}

async fn all(store: &Store) -> Vec<AuditRow> {
    let selection = AuditSelection { actor: None, target: None, action: None, places: 1..i64::MAX };
    store.audit_rows(&selection, AuditOrder::OldestFirst, 10_000).await.unwrap()
}

async fn every_combination_finds_its_events_in_both_orders(database: TestDatabase) {
    let store = database.open().await;
    for number in 0_u128..90 {
        // Spread so that each combination is there, some often and some once.
        let action = ACTIONS[usize::try_from(number * number % 7).unwrap() % 3];
        store.record(&event(number % 4, number % 3, action, later(i64::try_from(number).unwrap()))).await.unwrap();
    }
    let everything = all(&store).await;
    assert_eq!(everything.len(), 90);
    let (actors, targets) = ([None, Some(id(1)), Some(id(3)), Some(id(77))], [None, Some(id(1)), Some(id(2)), Some(id(77))]);
    let actions = [None, Some(ACTIONS[0]), Some(ACTIONS[1]), Some(AuditAction::SetUp)];
    let mut found_some = 0;
    for (actor, target) in actors.iter().flat_map(|actor| targets.iter().map(move |target| (*actor, *target))) {
        for action in actions {
            for places in [1..i64::MAX, 20..61, 61..61, 90..91] {
                let selection = AuditSelection { actor, target, action, places: places.clone() };
                let expected: Vec<i64> = everything
                    .iter()
                    .map(|row| &row.record)
                    .filter(|record| actor.is_none() || record.actor == actor)
                    .filter(|record| target.is_none() || record.target == target)
                    .filter(|record| action.is_none_or(|action| record.action == action.as_str()))
                    .map(|record| record.seq)
                    .filter(|seq| places.contains(seq))
                    .collect();
                found_some += usize::from(expected.len() > 7);
                assert_eq!(paged(&store, selection.clone(), AuditOrder::OldestFirst).await, expected, "{selection:?}");
                let backwards: Vec<i64> = expected.into_iter().rev().collect();
                assert_eq!(paged(&store, selection.clone(), AuditOrder::NewestFirst).await, backwards, "{selection:?}");
            }
        }
    }
    assert!(found_some > 10, "{found_some}");
}

/// The places of all events of a selection, read by pages of seven.
async fn paged(store: &Store, mut selection: AuditSelection, order: AuditOrder) -> Vec<i64> {
    let mut seqs = Vec::new();
    loop {
        let rows = store.audit_rows(&selection, order, 7).await.unwrap();
        let Some(last) = rows.last() else { return seqs };
        match order {
            AuditOrder::NewestFirst => selection.places.end = last.record.seq,
            AuditOrder::OldestFirst => selection.places.start = last.record.seq + 1,
        }
        seqs.extend(rows.iter().map(|row| row.record.seq));
    }
}

async fn a_clock_that_is_set_back_does_not_break_the_order_of_time(database: TestDatabase) {
    let store = database.open().await;
    for at in [later(5_000), later(1_000), NOW, later(6_000), later(2_000)] {
        store.record(&event(1, 1, AuditAction::SignIn, at)).await.unwrap();
    }
    let times: Vec<i64> = all(&store).await.iter().map(|row| row.record.at - NOW.as_millis()).collect();
    assert_eq!(times, [5_000, 5_000, 5_000, 6_000, 6_000]);
    assert_eq!(store.audit_end().await.unwrap().at, later(6_000));
}

async fn a_time_is_a_place_in_the_trail(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(store.audit_place_at(NOW).await.unwrap(), None);
    for at in [0, 10, 10, 20] {
        store.record(&event(1, 1, AuditAction::SignIn, later(at))).await.unwrap();
    }
    for (at, place) in [(-5, Some(1)), (0, Some(1)), (1, Some(2)), (10, Some(2)), (11, Some(4)), (20, Some(4)), (21, None)] {
        assert_eq!(store.audit_place_at(later(at)).await.unwrap(), place, "{at}");
    }
}

async fn the_pages_of_things_are_found(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let resource = SampleResource::new("Agents", credential).insert(&store).await;
    let mut found = store.audit_pages(&[credential, id(5), resource]).await.unwrap();
    found.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(found, [(credential, "credential".to_owned()), (resource, "source".to_owned())]);
    assert_eq!(store.audit_pages(&[]).await.unwrap(), []);
    let many: Vec<Uuid> = (1..=80).map(id).collect();
    assert_eq!(store.audit_pages(&many).await.unwrap(), []);
}

async fn people_and_credentials_are_found_by_what_is_typed(database: TestDatabase) {
    let store = database.open().await;
    user(&store, id(3)).await;
    user(&store, id(2)).await;
    let email = format!("{}@example.com", id(3));
    assert_eq!(store.audit_person(&email).await.unwrap(), Some((id(3), email.clone())));
    assert_eq!(store.audit_person("nobody@example.com").await.unwrap(), None);
    assert_eq!(store.audit_people(10).await.unwrap(), [format!("{}@example.com", id(2)), email]);
    let one = Sample::new("Support EU").insert(&store).await;
    let other = Sample::new("support eu").of("other").insert(&store).await;
    Sample::new("Sales").insert(&store).await;
    let found: Vec<_> = store.audit_credentials("support eu", 10).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(found, [other, one]);
    assert_eq!(store.audit_credentials("support", 10).await.unwrap(), []);
}

async fn hostile_names_come_back_as_they_were_recorded(database: TestDatabase) {
    let store = database.open().await;
    let mut hostile = event(1, 1, AuditAction::SignIn, NOW);
    hostile.event.actor.name = "a\0b\r\n{\"seq\":1}\u{2028}\u{202e}é💥".repeat(40);
    hostile.event.detail = "'; DROP TABLE audit_events; --".into();
    store.record(&hostile).await.unwrap();
    let row = all(&store).await.pop().unwrap();
    assert_eq!(row.record.actor_name.chars().count(), 300);
    assert!(!row.record.actor_name.contains(['\0', '\r', '\n']));
    // What is read back gives the bytes that were hashed.
    assert_eq!(hostile.chain.link(&[0; 32], &row.record.to_bytes()), row.hash);
}
