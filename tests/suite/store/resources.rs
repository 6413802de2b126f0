//! Resources: what is stored is found again, a form makes one, and each keeps a credential of its connector.

use keytile::domain::resources::ResourceDelete;
use keytile::{
    domain::{
        naming::Description,
        resources::ResourceKind::{Destination, Source},
    },
    store::{ResourceChange, ResourceInsert, ResourceUpdate},
};

use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, audit, connector, name, new_id, new_user},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_resource_comes_back_as_it_was_stored,
    a_name_is_unique_for_its_kind,
    a_form_makes_one_resource,
    a_resource_needs_a_credential_of_its_connector,
    the_credential_can_be_changed_by_whoever_saw_the_last_version,
    pages_are_cut_by_key,
    a_resource_is_deleted_as_what_it_is,
    a_resource_is_changed_as_a_whole_by_whoever_saw_the_last_version,
    forms_of_one_range_are_found,
);

async fn a_resource_comes_back_as_it_was_stored(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let sample = SampleResource::new("Users, nightly", credential);
    let id = sample.insert(&store).await;
    let row = store.resource(OWNER, id).await.unwrap().unwrap();
    assert_eq!((row.id, row.kind, row.name.as_str(), row.description.as_str()), (id, Source, "Users, nightly", "Nightly"));
    assert_eq!((&row.connector, row.credential, row.endpoint.as_slice()), (&sample.connector, credential, &b"sealed endpoint"[..]));
    assert_eq!((row.endpoint_version, row.created_at, row.version), (1, NOW, 1));
    assert_eq!(store.resources_page(OWNER, Source, None, 10).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.resources_of_credential(OWNER, credential, 10).await.unwrap(), [row]);
    assert_eq!(store.resource(OWNER, new_id()).await.unwrap(), None);
}

async fn a_name_is_unique_for_its_kind(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    SampleResource::new("Users", credential).insert(&store).await;
    assert_eq!(SampleResource::new("USERS", credential).try_insert(&store).await, ResourceInsert::NameTaken);
    let destination = SampleResource { kind: Destination, ..SampleResource::new("USERS", credential) };
    destination.insert(&store).await;
}

async fn a_form_makes_one_resource(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let first = SampleResource::new("Users", credential);
    let id = first.insert(&store).await;
    let again = SampleResource { id: new_id(), ..first.clone() };
    assert_eq!(again.try_insert(&store).await, ResourceInsert::AlreadyCreated(id));
    let renamed = SampleResource { form_id: first.form_id, ..SampleResource::new("Other", credential) };
    assert_eq!(renamed.try_insert(&store).await, ResourceInsert::AlreadyCreated(id));
    assert_eq!(store.resources_page(OWNER, Source, None, 10).await.unwrap().len(), 1);
}

async fn a_resource_needs_a_credential_of_its_connector(database: TestDatabase) {
    let store = database.open().await;
    let of_other = Sample::new("Other").of("other").insert(&store).await;
    for credential in [new_id(), of_other] {
        let resource = SampleResource::new("Users", credential);
        assert_eq!(resource.try_insert(&store).await, ResourceInsert::CredentialGone);
        assert_eq!(store.resource(OWNER, resource.id).await.unwrap(), None);
    }
    let right = SampleResource { connector: connector("other"), ..SampleResource::new("Users", of_other) };
    right.insert(&store).await;
}

async fn the_credential_can_be_changed_by_whoever_saw_the_last_version(database: TestDatabase) {
    let store = database.open().await;
    let first = Sample::new("First").insert(&store).await;
    let second = Sample::new("Second").insert(&store).await;
    let of_other = Sample::new("Other").of("other").insert(&store).await;
    let id = SampleResource::new("Users", first).insert(&store).await;
    let change =
        async |id, credential, version| store.set_resource_credential(OWNER, id, credential, version, &audit()).await.unwrap();
    assert_eq!(change(id, of_other, 1).await, ResourceChange::CredentialGone);
    assert_eq!(change(id, new_id(), 1).await, ResourceChange::CredentialGone);
    assert_eq!(change(id, second, 2).await, ResourceChange::Outdated);
    assert_eq!(change(new_id(), second, 1).await, ResourceChange::NotFound);
    assert_eq!(store.resource(OWNER, id).await.unwrap().unwrap().credential, first);
    assert_eq!(change(id, second, 1).await, ResourceChange::Changed);
    let changed = store.resource(OWNER, id).await.unwrap().unwrap();
    assert_eq!((changed.credential, changed.version, changed.endpoint_version), (second, 2, 1));
    assert_eq!(change(id, first, 1).await, ResourceChange::Outdated);
    assert_eq!(store.credential(first).await.unwrap().unwrap().used_by, 0);
    assert_eq!(store.credential(second).await.unwrap().unwrap().used_by, 1);
}

async fn pages_are_cut_by_key(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let mut made = Vec::new();
    for number in 0..9 {
        made.push(SampleResource::new(&format!("Source {number}"), credential).insert(&store).await);
        let destination = SampleResource { kind: Destination, ..SampleResource::new(&format!("To {number}"), credential) };
        destination.insert(&store).await;
    }
    made.reverse();
    let mut seen = Vec::new();
    loop {
        let page = store.resources_page(OWNER, Source, seen.last().copied(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|row| row.kind == Source));
        seen.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(seen, made);
    assert_eq!(store.resources_of_credential(OWNER, credential, 5).await.unwrap().len(), 5);
}

async fn a_resource_is_deleted_as_what_it_is(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let id = SampleResource::new("Users", credential).insert(&store).await;
    assert_eq!(store.delete_resource(OWNER, id, Destination, None, &audit()).await.unwrap(), ResourceDelete::NotFound);
    assert_eq!(store.delete_resource(OWNER, id, Source, Some(2), &audit()).await.unwrap(), ResourceDelete::Outdated);
    assert_eq!(store.delete_resource(OWNER, new_id(), Source, Some(1), &audit()).await.unwrap(), ResourceDelete::NotFound);
    assert_eq!(store.delete_resource(OWNER, id, Source, Some(1), &audit()).await.unwrap(), ResourceDelete::Deleted);
    assert_eq!(store.delete_resource(OWNER, id, Source, None, &audit()).await.unwrap(), ResourceDelete::NotFound);
    assert!(store.credential(credential).await.unwrap().is_some());
}

async fn a_resource_is_changed_as_a_whole_by_whoever_saw_the_last_version(database: TestDatabase) {
    let store = database.open().await;
    let first = Sample::new("First").insert(&store).await;
    let second = Sample::new("Second").insert(&store).await;
    let of_other = Sample::new("Other").of("other").insert(&store).await;
    let id = SampleResource::new("Users", first).insert(&store).await;
    SampleResource::new("Taken", first).insert(&store).await;
    let stranger = new_user(&store).await;
    let (people, taken, description) = (name("People"), name("TAKEN"), Description::parse("All of them").unwrap());
    let update = ResourceUpdate {
        person: OWNER,
        id,
        seen: 1,
        name: &people,
        description: &description,
        credential: second,
        endpoint: b"another endpoint",
        endpoint_version: 2,
    };
    let before = store.resource(OWNER, id).await.unwrap().unwrap();
    for (wrong, expected) in [
        (ResourceUpdate { seen: 2, ..update.clone() }, ResourceChange::Outdated),
        (ResourceUpdate { name: &taken, ..update.clone() }, ResourceChange::NameTaken),
        (ResourceUpdate { credential: of_other, ..update.clone() }, ResourceChange::CredentialGone),
        (ResourceUpdate { credential: new_id(), ..update.clone() }, ResourceChange::CredentialGone),
        (ResourceUpdate { id: new_id(), ..update.clone() }, ResourceChange::NotFound),
        (ResourceUpdate { person: stranger, ..update.clone() }, ResourceChange::NotFound),
    ] {
        assert_eq!(store.change_resource(&wrong, &audit()).await.unwrap(), expected, "{wrong:?}");
        assert_eq!(store.resource(OWNER, id).await.unwrap().unwrap(), before);
    }
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.change_resource(&update, &audit()).await.unwrap(), ResourceChange::Changed);
    assert_eq!(store.access_epoch().await.unwrap(), epoch + 1, "what is remembered of it holds no longer");
    let after = store.resource(OWNER, id).await.unwrap().unwrap();
    assert_eq!((after.name.as_str(), after.description.as_str(), after.credential), ("People", "All of them", second));
    assert_eq!((after.endpoint.as_slice(), after.endpoint_version, after.version), (&b"another endpoint"[..], 2, 2));
    // Its name is free, and the new one is taken.
    SampleResource::new("Users", first).insert(&store).await;
    assert_eq!(SampleResource::new("people", first).try_insert(&store).await, ResourceInsert::NameTaken);
}

async fn forms_of_one_range_are_found(database: TestDatabase) {
    let store = database.open().await;
    let credential = Sample::new("Support EU").insert(&store).await;
    let form = |first: u64, second: u64| Uuid::from_u64_pair(first, second);
    let made = SampleResource { form_id: form(7, 500), ..SampleResource::new("Users", credential) };
    made.insert(&store).await;
    let found = async |first: u64, last: (u64, u64)| store.resource_of_forms(form(first, 0)..=form(last.0, last.1)).await.unwrap();
    assert_eq!(found(7, (7, u64::MAX)).await, Some((form(7, 500), made.id)));
    assert_eq!(found(7, (7, 500)).await, Some((form(7, 500), made.id)));
    assert_eq!(found(7, (7, 499)).await, None);
    assert_eq!(found(8, (9, 0)).await, None);
    assert_eq!(found(0, (6, u64::MAX)).await, None);
}
