//! Changing a credential: what is new takes over as a whole, what was before is erased, and of two only one wins.

use keytile::{
    domain::{
        access::permission::Access,
        audit::{Audit, event::AuditAction},
        credentials::{CredentialId, CredentialStatus, CredentialSummary},
        naming::{Description, name_key},
        users::{Role, UserId, UserState},
    },
    store::{
        CredentialChange, CredentialChanged, CredentialDelete, CredentialQuery, CredentialRow, NewShare, NewValues, ShareChange,
        ShareWith, Store,
    },
};

use sqlx::AssertSqlSafe;

use super::{
    on_both_databases,
    samples::{
        NOW, OWNER, Sample, SampleResource, access_token, audit, connector, later, name, new_id, new_user, sealed, verification,
    },
};
use crate::support::database::TestDatabase;

on_both_databases!(
    new_values_take_over_and_the_old_ones_are_erased,
    a_new_name_leaves_the_values_alone,
    what_was_changed_meanwhile_is_not_changed_again,
    a_taken_name_changes_nothing,
    only_who_manages_it_changes_it,
    of_two_changes_at_once_one_wins,
);

/// A changing event, as the service records it.
fn changed() -> Audit<'static> {
    let mut audit = audit();
    audit.event.action = AuditAction::ChangeCredential;
    audit.event.detail = "Client Secret".into();
    audit
}

/// The first column of each row that a query finds, which must be a text.
async fn texts(database: &TestDatabase, query: &str) -> Vec<String> {
    let query = AssertSqlSafe(query.to_owned());
    if database.is_postgres() {
        return sqlx::query_scalar(query).fetch_all(&mut database.postgres_connection().await).await.unwrap();
    }
    sqlx::query_scalar(query).fetch_all(&mut database.sqlite_connection().await).await.unwrap()
}

async fn row(store: &Store, id: CredentialId) -> CredentialRow {
    store.credential(id).await.unwrap().unwrap()
}

fn values(seed: &str) -> NewValues {
    NewValues {
        secret: sealed(seed),
        fingerprint: format!("fingerprint {seed}").into_bytes(),
        verification: verification(CredentialStatus::Verified, later(60_000)),
    }
}

async fn change(
    store: &Store,
    manager: UserId,
    before: &CredentialSummary,
    to: &str,
    values: Option<NewValues>,
) -> CredentialChanged {
    let (name, description) = (name(to), Description::parse("as it is now").unwrap());
    let change = CredentialChange { manager, before, name: &name, description: &description, at: later(60_000), values };
    store.change_credential(&change, &changed()).await.unwrap()
}

async fn new_values_take_over_and_the_old_ones_are_erased(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").status(CredentialStatus::Rejected).insert(&store).await;
    SampleResource::new("Calls", id).insert(&store).await;
    assert!(store.put_access_token(id, 1, &access_token(b"token of the old secret", later(600_000))).await.unwrap());
    let epoch = store.access_epoch().await.unwrap();
    let before = row(&store, id).await.summary;
    assert_eq!(change(&store, OWNER, &before, "Support US", Some(values("new"))).await, CredentialChanged::Changed);
    let now = row(&store, id).await;
    assert_eq!((now.summary.version, now.summary.status, now.used_by), (2, CredentialStatus::Verified, 1));
    assert_eq!((now.summary.name.as_str(), now.summary.description.as_str()), ("Support US", "as it is now"));
    assert_eq!((now.summary.verified_at, now.summary.created_at), (later(60_000), NOW));
    assert_eq!(now.secret, sealed("new"));
    assert_eq!(store.access_token(id).await.unwrap(), None);
    assert_eq!(store.latest_verification(id).await.unwrap().unwrap().at, later(60_000));
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.credential_named(&connector("talkdesk"), OWNER, &name_key("support us")).await.unwrap(), Some(id));
    assert_eq!(store.credential_named(&connector("talkdesk"), OWNER, &name_key("support eu")).await.unwrap(), None);
    let same = store.credentials_with_fingerprint(OWNER, &connector("talkdesk"), b"fingerprint new", None).await.unwrap();
    assert_eq!(same, ["Support US"]);
    let search = name_key("AS IT is now");
    let found = CredentialQuery { viewer: OWNER, connector: None, search: Some(&search), after: None, limit: 9 };
    assert_eq!(store.credentials_page(&found).await.unwrap().len(), 1);
    // The old row says that there was another secret, and holds nothing of it.
    let old =
        "SELECT CAST(length(ciphertext) + length(wrapped_key) AS TEXT) || ' ' || state FROM credential_secrets WHERE version = 1";
    assert_eq!(texts(&database, old).await, ["0 retired"]);
    let said = texts(&database, "SELECT action || ': ' || detail FROM audit_events WHERE action = 'credential.change'").await;
    assert_eq!(said, ["credential.change: Client Secret"]);
    // And once more: there is one active secret always.
    let before = now.summary;
    assert_eq!(change(&store, OWNER, &before, "Support US", Some(values("newer"))).await, CredentialChanged::Changed);
    assert_eq!(row(&store, id).await.secret, sealed("newer"));
    let states = texts(&database, "SELECT state FROM credential_secrets ORDER BY version").await;
    assert_eq!(states, ["retired", "retired", "active"]);
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::InUse(1));
}

async fn a_new_name_leaves_the_values_alone(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert!(store.put_access_token(id, 1, &access_token(b"token", later(600_000))).await.unwrap());
    let before = row(&store, id).await;
    assert_eq!(change(&store, OWNER, &before.summary, "SUPPORT eu", None).await, CredentialChanged::Changed);
    let now = row(&store, id).await;
    assert_eq!((now.summary.name.as_str(), now.summary.version), ("SUPPORT eu", 1));
    assert_eq!((now.secret, now.summary.verified_at), (before.secret, before.summary.verified_at));
    assert!(store.access_token(id).await.unwrap().is_some());
    assert_eq!(store.verifications_of(id, 9).await.unwrap().len(), 1);
}

async fn what_was_changed_meanwhile_is_not_changed_again(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let before = row(&store, id).await.summary;
    assert_eq!(change(&store, OWNER, &before, "Renamed", None).await, CredentialChanged::Changed);
    let renamed = row(&store, id).await;
    assert_eq!(change(&store, OWNER, &before, "Lost", Some(values("lost"))).await, CredentialChanged::Outdated);
    assert_eq!(row(&store, id).await, renamed);
    assert_eq!(change(&store, OWNER, &renamed.summary, "Renamed", Some(values("new"))).await, CredentialChanged::Changed);
    assert_eq!(change(&store, OWNER, &renamed.summary, "Lost", None).await, CredentialChanged::Outdated);
    let last = row(&store, id).await.summary;
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::Deleted);
    assert_eq!(change(&store, OWNER, &last, "Lost", Some(values("lost"))).await, CredentialChanged::Outdated);
    assert_eq!(store.credential(id).await.unwrap(), None);
}

async fn a_taken_name_changes_nothing(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    Sample::new("Taken").insert(&store).await;
    Sample::new("Other service").of("other").insert(&store).await;
    let before = row(&store, id).await;
    assert_eq!(change(&store, OWNER, &before.summary, "TAKEN", Some(values("new"))).await, CredentialChanged::NameTaken);
    assert_eq!(row(&store, id).await, before);
    assert_eq!(store.verifications_of(id, 9).await.unwrap().len(), 1);
    assert_eq!(change(&store, OWNER, &before.summary, "Other service", None).await, CredentialChanged::Changed);
}

async fn only_who_manages_it_changes_it(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let before = row(&store, id).await.summary;
    let (user, manager, stranger) = (new_user(&store).await, new_user(&store).await, new_user(&store).await);
    for (with, access) in [(user, Access::Use), (manager, Access::Manage)] {
        let share = NewShare { id: new_id(), credential: id, with: ShareWith::Person(with), access };
        assert_eq!(store.put_share(OWNER, &share, &audit()).await.unwrap(), ShareChange::Changed);
    }
    for who in [user, stranger] {
        assert_eq!(change(&store, who, &before, "Taken over", Some(values("evil"))).await, CredentialChanged::Outdated);
    }
    assert_eq!(change(&store, manager, &before, "By a manager", Some(values("new"))).await, CredentialChanged::Changed);
    let now = row(&store, id).await;
    assert_eq!((now.owner.unwrap().id, now.secret), (OWNER, sealed("new")));
    // Who was stopped meanwhile changes nothing.
    database
        .execute(&format!("UPDATE users SET role = '{}' WHERE email = '{manager}@example.com'", Role::Viewer.as_str()))
        .await
        .unwrap();
    let before = row(&store, id).await.summary;
    assert_eq!(change(&store, manager, &before, "Late", None).await, CredentialChanged::NotAllowed);
    database
        .execute(&format!("UPDATE users SET state = '{}' WHERE email = '{OWNER}@example.com'", UserState::Disabled.as_str()))
        .await
        .unwrap();
    assert_eq!(change(&store, OWNER, &before, "Late", None).await, CredentialChanged::NotAllowed);
    assert_eq!(row(&store, id).await.summary, before);
}

async fn of_two_changes_at_once_one_wins(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let before = row(&store, id).await.summary;
    let racing: Vec<_> = (0..6)
        .map(|number| {
            let (store, before) = (store.clone(), before.clone());
            tokio::spawn(async move {
                let seed = format!("secret {number}");
                (change(&store, OWNER, &before, &format!("Name {number}"), Some(values(&seed))).await, seed)
            })
        })
        .collect();
    let mut won = Vec::new();
    for race in racing {
        match race.await.unwrap() {
            (CredentialChanged::Changed, seed) => won.push(seed),
            (other, _) => assert_eq!(other, CredentialChanged::Outdated),
        }
    }
    let [seed] = &won[..] else { panic!("{won:?} won") };
    let now = row(&store, id).await;
    assert_eq!((now.summary.version, now.secret), (2, sealed(seed)));
}
