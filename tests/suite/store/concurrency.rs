//! Several people, and several instances on one database, at the same time.

use std::future::Future;

use futures_util::future::join_all;
use keytile::store::{CredentialDelete, CredentialInsert, ResourceInsert, Store};

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, audit, count, draft, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    one_of_many_gets_the_name,
    one_of_many_saves_the_draft,
    one_of_many_makes_the_resource,
    a_credential_is_deleted_or_used_but_not_both,
    writers_of_two_instances_wait_for_each_other,
);

/// Runs one task for each of `count`, all at the same time, on two instances in turn.
async fn at_once<T, F>(database: &TestDatabase, count: usize, task: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let instances = [database.open().await, database.open().await];
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(instances[number % 2].clone(), number))).collect();
    let outcomes = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    for instance in instances {
        instance.close().await;
    }
    outcomes
}

async fn one_of_many_gets_the_name(database: TestDatabase) {
    let outcomes = at_once(&database, 12, |store, number| async move {
        let name = if number % 3 == 0 { "SUPPORT eu" } else { "Support EU" };
        Sample::new(name).try_insert(&store).await
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CredentialInsert::Inserted).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CredentialInsert::NameTaken).count(), 11, "{outcomes:?}");
    assert_eq!(count(&database.open().await).await, 1);
}

async fn one_of_many_saves_the_draft(database: TestDatabase) {
    let store = database.open().await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let outcomes = at_once(&database, 12, |store, number| {
        // Half of them under names of their own, as when the name was changed before a second try.
        let name = if number % 2 == 0 { "Support EU".to_owned() } else { format!("Support {number}") };
        let sample = Sample::new(&name).saving(&form);
        async move { (sample.id, sample.try_insert(&store).await) }
    })
    .await;
    let saved: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome == CredentialInsert::Inserted).map(|(id, _)| *id).collect();
    assert_eq!(saved.len(), 1, "{outcomes:?}");
    for (id, outcome) in outcomes.iter().filter(|(id, _)| *id != saved[0]) {
        assert_eq!(*outcome, CredentialInsert::AlreadySaved(saved[0]), "{id}");
    }
    assert_eq!(count(&store).await, 1);
    assert_eq!(store.latest_open_draft(mine, &form.connector, NOW).await.unwrap(), None);
}

async fn one_of_many_makes_the_resource(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let form = SampleResource::new("Users", credential);
    let outcomes = at_once(&database, 12, |store, _| {
        let resource = SampleResource { form_id: form.form_id, ..SampleResource::new("Users", credential) };
        async move { (resource.id, resource.try_insert(&store).await) }
    })
    .await;
    let made: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome == ResourceInsert::Inserted).map(|(id, _)| *id).collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == ResourceInsert::AlreadyCreated(made[0])).count(), 11);
}

async fn a_credential_is_deleted_or_used_but_not_both(database: TestDatabase) {
    let store = database.open().await;
    for round in 0..10 {
        let credential = Sample::new(&format!("Credential {round}")).insert(&store).await;
        let outcomes = at_once(&database, 4, |store, number| async move {
            if number == 1 {
                let outcome = store.delete_credential(OWNER, credential, None, &audit()).await.unwrap();
                (outcome == CredentialDelete::Deleted, false)
            } else {
                let resource = SampleResource::new(&format!("Resource {round} {number}"), credential);
                let outcome = resource.try_insert(&store).await;
                assert!(matches!(outcome, ResourceInsert::Inserted | ResourceInsert::CredentialGone));
                (false, outcome == ResourceInsert::Inserted)
            }
        })
        .await;
        let deleted = outcomes.iter().any(|(deleted, _)| *deleted);
        let used = outcomes.iter().filter(|(_, used)| *used).count();
        assert!(deleted == (used == 0), "{outcomes:?}");
        assert_eq!(store.credential(credential).await.unwrap().is_none(), deleted);
        assert_eq!(store.resources_of_credential(OWNER, credential, 10).await.unwrap().len(), used);
    }
}

async fn writers_of_two_instances_wait_for_each_other(database: TestDatabase) {
    let outcomes = at_once(&database, 40, |store, number| async move {
        let id = Sample::new(&format!("Credential {number}")).insert(&store).await;
        store.credential(id).await.unwrap().is_some()
    })
    .await;
    assert!(outcomes.into_iter().all(|read_back| read_back), "an instance reads what it has written");
    assert_eq!(count(&database.open().await).await, 40);
}
