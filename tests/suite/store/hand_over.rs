//! Handing over all that somebody owns.

use keytile::domain::access::transfer::Owned;
use keytile::domain::access::transfer::Renamed;
use keytile::domain::access::transfer::Transferred;
use std::sync::Arc;

use keytile::{
    domain::{
        audit::event::TargetKind,
        users::{Email, Role, UserId},
    },
    store::{CredentialInsert, HandOver, HandOverResult, NewUser, Store, UserInsert},
};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, audit, name, new_id, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    all_goes_and_names_are_told_apart,
    a_receiver_who_cannot_own_it_gets_nothing,
    keys_and_shares_follow,
    what_is_made_at_the_same_moment_is_not_lost,
);

fn order<'a>(from: UserId, to: UserId) -> HandOver<'a> {
    HandOver { from, from_name: "Ana", to, to_email: "ben@example.com", can_own: |_, _| true, at: NOW }
}

async fn hand_over(store: &Store, from: UserId, to: UserId) -> Transferred {
    match store.hand_over(&order(from, to), &audit()).await.unwrap() {
        HandOverResult::Done(handed_over) => handed_over,
        other => panic!("{other:?}"),
    }
}

fn of(sample: Sample, owner: UserId) -> Sample {
    Sample { owner, ..sample }
}

async fn all_goes_and_names_are_told_apart(database: TestDatabase) {
    let store = database.open().await;
    let ben = new_user(&store).await;
    let sales = Sample::new("Sales").insert(&store).await;
    let mine = Sample::new("Mine").insert(&store).await;
    // The name that would be given to the first is taken twice: by the receiver and by the giver.
    let odd = Sample::new("SALES (from ana, 2)").insert(&store).await;
    of(Sample::new("sales"), ben).insert(&store).await;
    of(Sample::new("Sales (from Ana)"), ben).insert(&store).await;
    let source = SampleResource::new("Nightly", sales).insert(&store).await;
    let handed_over = hand_over(&store, OWNER, ben).await;
    let renamed = Renamed { kind: TargetKind::Credential, id: sales, before: "Sales".into(), now: "Sales (from Ana, 3)".into() };
    assert_eq!(handed_over, Transferred { owned: Owned { credentials: 3, resources: 1, api_keys: 0 }, renamed: vec![renamed] });
    assert_eq!(store.owned_by(OWNER).await.unwrap(), Owned::default());
    assert_eq!(store.owned_by(ben).await.unwrap(), Owned { credentials: 5, resources: 1, api_keys: 0 });
    let named = async |id| store.credential(id).await.unwrap().unwrap().summary;
    assert_eq!(named(sales).await.name, "Sales (from Ana, 3)");
    assert_eq!(named(sales).await.version, 1, "the secret is sealed for this version");
    assert_eq!(named(mine).await.name, "Mine");
    assert_eq!(named(odd).await.name, "SALES (from ana, 2)");
    let connector = named(sales).await.connector;
    let key = keytile::domain::naming::name_key("SALES (FROM ANA, 3)");
    assert_eq!(store.credential_named(&connector, ben, &key).await.unwrap(), Some(sales));
    assert_eq!(store.resource(ben, source).await.unwrap().unwrap().endpoint_version, 1);
    // And back, with a resource of the same name on the other side.
    database.execute("UPDATE credentials SET sharing = 'everyone'").await.unwrap();
    SampleResource::new("nightly", mine).insert(&store).await;
    let back = hand_over(&store, ben, OWNER).await;
    assert_eq!(back.owned.credentials, 5);
    let names: Vec<(TargetKind, &str)> = back.renamed.iter().map(|renamed| (renamed.kind, renamed.now.as_str())).collect();
    assert_eq!(names, [(TargetKind::Resource, "Nightly (from Ana)")]);
    assert_eq!(store.resource(OWNER, source).await.unwrap().unwrap().name, "Nightly (from Ana)");
    let nothing = hand_over(&store, ben, OWNER).await;
    assert_eq!(nothing.owned, Owned::default());
}

async fn a_receiver_who_cannot_own_it_gets_nothing(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("Sales").insert(&store).await;
    let (id, email) = (new_id(), Email::parse("v@example.com").unwrap());
    let new = NewUser { id, email: &email, name: &name("V"), role: Role::Operator, password: None, created_at: NOW };
    assert_eq!(store.insert_user(&new, &audit()).await.unwrap(), UserInsert::Inserted);
    let can_own: fn(Role, &Owned) -> bool = |role, owned| role == Role::Editor || owned.credentials == 0;
    let to = |to| HandOver { can_own, ..order(OWNER, to) };
    let owned = Owned { credentials: 1, resources: 0, api_keys: 0 };
    assert_eq!(store.hand_over(&to(id), &audit()).await.unwrap(), HandOverResult::RoleTooLow(owned));
    let editor = new_user(&store).await;
    database.execute("UPDATE users SET state = 'disabled' WHERE role = 'editor'").await.unwrap();
    assert_eq!(store.hand_over(&to(editor), &audit()).await.unwrap(), HandOverResult::NotActive);
    assert_eq!(store.hand_over(&to(new_id()), &audit()).await.unwrap(), HandOverResult::NotActive);
    assert_eq!(store.owned_by(OWNER).await.unwrap(), owned);
    database.execute("UPDATE users SET state = 'active'").await.unwrap();
    assert!(matches!(store.hand_over(&to(editor), &audit()).await.unwrap(), HandOverResult::Done(_)));
}

async fn keys_and_shares_follow(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("Sales").insert(&store).await;
    let (ben, cleo) = (new_user(&store).await, new_user(&store).await);
    let bytes = if database.is_postgres() {
        "convert_to(repeat('k', 32), 'UTF8')"
    } else {
        "CAST('kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk' AS BLOB)"
    };
    let literal = |id: Uuid| if database.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
    let statements = format!(
        "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, form_id)
            SELECT id, owner, 'Key', 'kt_', {bytes}, 'proxy', 0, 1, id FROM credentials;
         INSERT INTO credential_shares (id, credential, connector, person, access)
            SELECT u.id, c.id, c.connector, u.id, 'use' FROM credentials c CROSS JOIN users u WHERE u.id IN ({}, {})",
        literal(ben),
        literal(cleo)
    );
    database.execute(&statements).await.unwrap();
    assert_eq!(store.owned_by(OWNER).await.unwrap().api_keys, 1);
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(hand_over(&store, OWNER, ben).await.owned, Owned { credentials: 1, resources: 0, api_keys: 1 });
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.owned_by(OWNER).await.unwrap().api_keys, 0);
    assert_eq!(store.owned_by(ben).await.unwrap().api_keys, 0, "keys are revoked, not given away");
    // The share of the new owner is gone, that of the other is not: only the first can be made anew.
    let share = |person: Uuid| {
        format!(
            "INSERT INTO credential_shares (id, credential, connector, person, access)
            SELECT {0}, id, connector, {0}, 'use' FROM credentials",
            literal(person)
        )
    };
    assert!(database.execute(&share(cleo)).await.is_err());
    database.execute(&share(ben)).await.unwrap();
    let events = async |filter: &str| database.number(&format!("SELECT COUNT(*) FROM audit_events WHERE {filter}")).await;
    assert_eq!(events("action = 'api_key.revoke' AND target_name = 'Key'").await, 1);
    assert_eq!(events("action = 'user.hand_over' AND target_kind = 'credential' AND target_name = 'Sales'").await, 1);
    assert_eq!(events("detail = 'to ben@example.com: 1 credentials, 0 resources, 0 renamed, 1 API keys revoked'").await, 1);
}

/// Credentials of one name are made by both, over and over, while everything is handed over.
async fn what_is_made_at_the_same_moment_is_not_lost(database: TestDatabase) {
    let stores = [database.open().await, database.open().await];
    let ben = new_user(&stores[0]).await;
    let together = Arc::new(Barrier::new(2));
    let (store, barrier) = (stores[1].clone(), together.clone());
    let making = tokio::spawn(async move {
        let mut made = 0;
        for number in 0..10 {
            barrier.wait().await;
            // That of the receiver finds its name taken where that of the giver has come over before.
            for owner in [OWNER, ben] {
                let outcome = of(Sample::new(&format!("Raced {number}")), owner).try_insert(&store).await;
                made += i64::from(outcome == CredentialInsert::Inserted);
            }
        }
        made
    });
    for _ in 0..10 {
        together.wait().await;
        let result = stores[0].hand_over(&order(OWNER, ben), &audit()).await.unwrap();
        assert!(matches!(result, HandOverResult::Done(_) | HandOverResult::Busy | HandOverResult::NotActive), "{result:?}");
    }
    let made = making.await.unwrap();
    hand_over(&stores[0], OWNER, ben).await;
    assert!(made >= 10);
    assert_eq!(stores[0].owned_by(ben).await.unwrap().credentials, made);
}
