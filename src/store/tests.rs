//! Faults injected into the connections themselves: a full disk, a file that another program keeps locked, a
//! reader that writes. What can be tested from outside is in `tests/`.

use std::time::Duration;

use sqlx::{ConnectOptions, Executor};
use tempfile::TempDir;

use super::{database::Db, *};
use crate::{
    crypto::{envelope::Sealed, random},
    domain::{
        audit::{
            Audit, AuditActor, AuditChain, AuditEvent,
            event::{ActorKind, AuditAction, AuditOutcome},
        },
        connectors::ConnectorId,
        credentials::{CredentialStatus, verification::Stage},
        naming::{Description, Name},
        time::Timestamp,
        users::{Email, Role, UserId},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

async fn sqlite() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", folder.path().join("keytile.db").display())).await.unwrap();
    (folder, store)
}

impl Store {
    /// Runs a statement on the connection that writes.
    async fn on_writer(&self, statement: &'static str) {
        let Db::Sqlite { write, .. } = &self.database else { panic!("these tests are of SQLite") };
        write.execute(statement).await.unwrap();
    }
}

async fn save(store: &Store, name: &str, sealed_bytes: usize) -> Result<CredentialInsert, StoreError> {
    let id = random::new_id(NOW);
    let owner = owner(store).await?;
    let new = NewCredential {
        id,
        connector: &ConnectorId::new("talkdesk").unwrap(),
        name: &Name::parse(name).unwrap(),
        description: &Description::default(),
        owner,
        fingerprint: vec![1; 32],
        created_at: NOW,
        secret: Sealed { key_id: "k1".into(), wrapped_key: vec![2; 60], ciphertext: vec![3; 200] },
        verification: NewVerification {
            id: random::new_id(NOW),
            version: 1,
            at: NOW,
            stage: Stage::Token,
            status: CredentialStatus::Verified,
            duration_ms: 1,
            // The last value that a save writes.
            sealed: vec![4; sealed_bytes],
        },
        draft: None,
    };
    store.insert_credential(&new, &audit()).await
}

/// The owner of everything.
const OWNER: UserId = uuid::Uuid::from_u128(7);

/// Stores the user if it isn't there.
async fn owner(store: &Store) -> Result<UserId, StoreError> {
    let (email, name) = (Email::parse("ana@example.com").unwrap(), Name::parse("Ana").unwrap());
    let new = NewUser { id: OWNER, email: &email, name: &name, role: Role::Editor, password: None, created_at: NOW };
    store.insert_user(&new, &audit()).await?;
    Ok(OWNER)
}

struct NoChain;

impl AuditChain for NoChain {
    fn link(&self, before: &[u8; 32], _: &[u8]) -> [u8; 32] {
        *before
    }
}

fn audit() -> Audit<'static> {
    let event = AuditEvent {
        at: NOW,
        actor: AuditActor { kind: ActorKind::Server, id: None, name: "test".into() },
        action: AuditAction::AddCredential,
        target: None,
        outcome: AuditOutcome::Done,
        address: String::new(),
        request: String::new(),
        detail: String::new(),
    };
    Audit { event, chain: &NoChain }
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_stored() {
    let (_folder, store) = sqlite().await;
    save(&store, "Before", 200).await.unwrap();
    // As many pages as there are, and some more: the credential fits, its verification doesn't.
    store.on_writer("PRAGMA max_page_count = 140").await;
    let error = save(&store, "Too much", 2_000_000).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(error.to_string().contains("no space left"), "{error}");
    let page = CredentialQuery { viewer: OWNER, connector: None, search: None, after: None, limit: 10 };
    let names = |rows: Vec<CredentialRow>| rows.into_iter().map(|row| row.summary.name).collect::<Vec<_>>();
    assert_eq!(names(store.credentials_page(&page).await.unwrap()), ["Before"]);
    // The connection that hit the limit is replaced by one without it: there is space again, and the same
    // save works.
    assert_eq!(save(&store, "Too much", 2_000_000).await.unwrap(), CredentialInsert::Inserted);
    assert_eq!(names(store.credentials_page(&page).await.unwrap()), ["Too much", "Before"]);
}

#[tokio::test]
async fn a_file_that_another_program_keeps_locked_is_named_and_nothing_is_stored() {
    let (_folder, store) = sqlite().await;
    store.on_writer("PRAGMA busy_timeout = 20").await;
    let (Db::Sqlite { write, .. }, hash) = (&store.database, [1; 32]) else { panic!("these tests are of SQLite") };
    let mut other = (*write.connect_options()).clone().connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    // Reading works while the other writer is active.
    assert!(store.session(&hash).await.unwrap().is_none());
    let expired = ExpiredSessions { ended_before: NOW, unused_since: NOW };
    for error in [
        store.record(&audit()).await.unwrap_err(),
        save(&store, "Support EU", 200).await.unwrap_err(),
        store.delete_expired(NOW, expired, NOW).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
    }
    other.execute("COMMIT").await.unwrap();
    let page = CredentialQuery { viewer: OWNER, connector: None, search: None, after: None, limit: 10 };
    assert!(store.credentials_page(&page).await.unwrap().is_empty());
    assert_eq!(save(&store, "Support EU", 200).await.unwrap(), CredentialInsert::Inserted);
}

#[tokio::test]
async fn a_folder_that_another_program_keeps_locked_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keytile.db");
    let other = std::fs::File::open(folder.path()).unwrap();
    other.lock().unwrap();
    let error = open::lock_folder(&path, Duration::from_millis(60)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Opening { folder: named } if named == folder.path()), "{error:?}");
    assert!(error.to_string().contains(&format!("has locked the folder {}", folder.path().display())), "{error}");
    // With enough patience it gets the lock.
    let (waiting, released) = tokio::join!(open::lock_folder(&path, Duration::from_secs(60)), async { other.unlock() });
    released.unwrap();
    let mine = waiting.unwrap();
    assert!(mine.is_some());
    assert!(open::lock_folder(&path, Duration::from_millis(1)).await.is_err(), "and keeps it");
    drop(mine);
    assert!(open::lock_folder(&path, Duration::from_millis(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_settings_are_those_that_keep_data() {
    let (_folder, store) = sqlite().await;
    let Db::Sqlite { read, write } = &store.database else { panic!("these tests are of SQLite") };
    for (statement, expected) in [
        ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
        // 2 is FULL.
        ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ("SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete", "1"),
        ("SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "5000"),
    ] {
        let of_reader: String = sqlx::query_scalar(statement).fetch_one(&mut *read.take().await.unwrap()).await.unwrap();
        let of_writer: String = sqlx::query_scalar(statement).fetch_one(write).await.unwrap();
        assert_eq!([&*of_reader, &*of_writer], [expected, expected], "{statement}");
    }
    let refused = read.take().await.unwrap().execute("DELETE FROM sessions").await.unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}
