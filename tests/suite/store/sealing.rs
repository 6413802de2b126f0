//! Sealed values in a real database: what is copied or changed behind Keytile's back does not open,
//! and nothing that was sealed can be read there.

use base64::{Engine, prelude::BASE64_STANDARD};
use keytile::{
    crypto::{
        envelope::{OpenError, Place},
        keyring::Keyring,
    },
    domain::credentials::CredentialStatus,
    store::{CredentialDelete, CredentialInsert, DraftState, NewCredential, NewDraft, NewVerification, ResourceInsert, Store},
};
use sqlx::Row;
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, SampleResource, access_token, audit, connector, draft, later, new_user, user, verification},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_secret_on_another_row_does_not_open,
    a_changed_secret_does_not_open,
    a_credential_of_another_connector_does_not_open,
    a_draft_of_another_person_or_connector_does_not_open,
    an_endpoint_of_another_connector_does_not_open,
    a_verification_of_another_credential_does_not_open,
    nothing_sealed_can_be_read,
);

/// Saves a credential whose field values are `value`, sealed.
async fn save(store: &Store, keyring: &Keyring, name: &str, value: &[u8]) -> Uuid {
    let sample = Sample::new(name);
    let tried = verification(CredentialStatus::Verified, NOW);
    let verification = NewVerification { sealed: keyring.seal_packed(&Place::verification(tried.id, &sample.id), value), ..tried };
    let new = NewCredential {
        id: sample.id,
        connector: &sample.connector,
        name: &sample.name,
        description: &sample.description,
        owner: OWNER,
        fingerprint: vec![0; 32],
        created_at: NOW,
        secret: keyring.seal(&Place::credential_secret(sample.id, 1, &sample.connector), value),
        verification,
        draft: None,
    };
    user(store, OWNER).await;
    assert_eq!(store.insert_credential(&new, &audit()).await.unwrap(), CredentialInsert::Inserted);
    sample.id
}

async fn open(store: &Store, keyring: &Keyring, id: Uuid) -> Result<Vec<u8>, OpenError> {
    let row = store.credential(id).await.unwrap().unwrap();
    let place = Place::credential_secret(id, row.summary.version, &row.summary.connector);
    keyring.open(&place, &row.secret).map(|value| value.to_vec())
}

async fn a_secret_on_another_row_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let first = save(&store, &keyring, "First", b"first").await;
    let second = save(&store, &keyring, "Second", b"second").await;
    assert_eq!(open(&store, &keyring, first).await.unwrap(), b"first");
    // Every sealed column of the first, on the row of the second.
    let copy = "UPDATE credential_secrets SET
        key_id = (SELECT key_id FROM credential_secrets WHERE credential = (SELECT id FROM credentials WHERE name = 'First')),
        wrapped_key = (SELECT wrapped_key FROM credential_secrets WHERE credential = (SELECT id FROM credentials WHERE name = 'First')),
        ciphertext = (SELECT ciphertext FROM credential_secrets WHERE credential = (SELECT id FROM credentials WHERE name = 'First'))
        WHERE credential = (SELECT id FROM credentials WHERE name = 'Second')";
    database.execute(copy).await.unwrap();
    assert_eq!(open(&store, &keyring, second).await, Err(OpenError::Refused));
    assert_eq!(open(&store, &keyring, first).await.unwrap(), b"first");
    // An older secret does not pass for a newer version of the same row either.
    database.execute("UPDATE credentials SET version = 2 WHERE name = 'First'").await.unwrap();
    assert_eq!(open(&store, &keyring, first).await, Err(OpenError::Refused));
}

async fn a_changed_secret_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let (empty, longer) = if database.is_postgres() {
        ("'\\x'", ["wrapped_key || '\\x00'", "ciphertext || '\\x00'"])
    } else {
        ("x''", ["CAST(wrapped_key || '0' AS BLOB)", "CAST(ciphertext || '0' AS BLOB)"])
    };
    let changes = [
        "key_id = 'k2'".to_owned(),
        format!("wrapped_key = {empty}"),
        format!("wrapped_key = {}", longer[0]),
        "wrapped_key = ciphertext".to_owned(),
        format!("ciphertext = {empty}"),
        format!("ciphertext = {}", longer[1]),
    ];
    for (number, change) in changes.iter().enumerate() {
        let name = format!("Credential {number}");
        let id = save(&store, &keyring, &name, b"value").await;
        assert_eq!(open(&store, &keyring, id).await.unwrap(), b"value");
        let statement =
            format!("UPDATE credential_secrets SET {change} WHERE credential = (SELECT id FROM credentials WHERE name = '{name}')");
        database.execute(&statement).await.unwrap();
        let expected = if number == 0 { OpenError::UnknownKey { id: "k2".into() } } else { OpenError::Refused };
        assert_eq!(open(&store, &keyring, id).await, Err(expected), "{change}");
    }
}

async fn a_credential_of_another_connector_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let id = save(&store, &keyring, "Support EU", b"value").await;
    database.execute("UPDATE credentials SET connector = 'other'").await.unwrap();
    assert_eq!(store.credential(id).await.unwrap().unwrap().summary.connector, connector("other"));
    assert_eq!(open(&store, &keyring, id).await, Err(OpenError::Refused));
    database.execute("UPDATE credentials SET connector = 'talkdesk'").await.unwrap();
    assert_eq!(open(&store, &keyring, id).await.unwrap(), b"value");
}

async fn a_draft_of_another_person_or_connector_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    let (talkdesk, elsewhere) = (connector("talkdesk"), connector("other"));
    let form = draft(mine);
    let sealed = keyring.seal_packed(&Place::draft(form.id, 1, &mine, &talkdesk), b"typed");
    assert!(store.put_draft(&NewDraft { sealed, ..form }).await.unwrap());
    let open = async |owner, connector| {
        let row = store.latest_open_draft(owner, connector, NOW).await.unwrap().unwrap();
        let DraftState::Open(sealed) = &row.state else { panic!("the draft is open") };
        let place = Place::draft(row.id, row.version, &row.owner, &row.connector);
        keyring.open_packed(&place, sealed).map(|value| value.to_vec())
    };
    assert_eq!(open(mine, &talkdesk).await.unwrap(), b"typed");
    let id = if database.is_postgres() { format!("'{other}'") } else { format!("x'{}'", other.simple()) };
    database.execute("UPDATE drafts SET connector = 'other'").await.unwrap();
    assert_eq!(open(mine, &elsewhere).await, Err(OpenError::Refused));
    database.execute(&format!("UPDATE drafts SET connector = 'talkdesk', owner = {id}")).await.unwrap();
    assert_eq!(open(other, &talkdesk).await, Err(OpenError::Refused));
}

async fn an_endpoint_of_another_connector_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let first = Sample::new("First").insert(&store).await;
    Sample::new("Elsewhere").of("other").insert(&store).await;
    let sample = SampleResource::new("Users", first);
    let place = Place::resource_endpoint(sample.id, 1, &sample.connector);
    assert_eq!(sample.try_insert_with(&store, &keyring.seal_packed(&place, b"GET /users")).await, ResourceInsert::Inserted);
    let open = async || {
        let row = store.resource(OWNER, sample.id).await.unwrap().unwrap();
        let place = Place::resource_endpoint(row.id, row.endpoint_version, &row.connector);
        keyring.open_packed(&place, &row.endpoint).map(|value| value.to_vec())
    };
    assert_eq!(open().await.unwrap(), b"GET /users");
    let moved = "UPDATE resources SET connector = 'other', credential = (SELECT id FROM credentials WHERE connector = 'other')";
    database.execute(moved).await.unwrap();
    assert_eq!(open().await, Err(OpenError::Refused));
}

async fn a_verification_of_another_credential_does_not_open(database: TestDatabase) {
    let (store, keyring) = (database.open().await, Keyring::generate());
    let first = save(&store, &keyring, "First", b"what was found").await;
    let second = Sample::new("Second").insert(&store).await;
    let open = async |credential| {
        let row = store.latest_verification(credential).await.unwrap().unwrap();
        keyring.open_packed(&Place::verification(row.id, &credential), &row.sealed).map(|value| value.to_vec())
    };
    assert_eq!(open(first).await.unwrap(), b"what was found");
    database
        .execute("DELETE FROM verifications WHERE credential <> (SELECT id FROM credentials WHERE name = 'First')")
        .await
        .unwrap();
    let moved = "UPDATE verifications SET credential = (SELECT id FROM credentials WHERE name = 'Second')";
    database.execute(moved).await.unwrap();
    assert_eq!(open(second).await, Err(OpenError::Refused));
}

async fn nothing_sealed_can_be_read(database: TestDatabase) {
    let canary = "canary-4f1c+/&% secret";
    let (store, keyring) = (database.open().await, Keyring::generate());
    let credential = save(&store, &keyring, "Readable name", canary.as_bytes()).await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    let sealed = keyring.seal_packed(&Place::draft(form.id, 1, &mine, &form.connector), canary.as_bytes());
    assert!(store.put_draft(&NewDraft { sealed, ..form }).await.unwrap());
    let token = keyring.seal_packed(&Place::access_token(credential, 1), canary.as_bytes());
    assert!(store.put_access_token(credential, 1, &access_token(&token, later(600_000))).await.unwrap());
    let resource = SampleResource::new("Readable resource", credential);
    let endpoint = keyring.seal_packed(&Place::resource_endpoint(resource.id, 1, &resource.connector), canary.as_bytes());
    assert_eq!(resource.try_insert_with(&store, &endpoint).await, ResourceInsert::Inserted);
    let check = keyring.seal_packed(&Place::installation(), canary.as_bytes());
    assert!(store.set_installation_if_absent(NOW, &check).await.unwrap());

    let stored = everything_in(&database).await;
    assert!(contains(&stored, b"Readable name") && contains(&stored, b"Readable resource"), "names can be read");
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [canary.to_owned(), hex.to_uppercase(), hex, BASE64_STANDARD.encode(canary), "canary".into()] {
        assert!(!contains(&stored, form.as_bytes()), "{form}");
    }
}

#[tokio::test]
async fn what_is_deleted_does_not_stay_in_the_file() {
    let database = TestDatabase::sqlite();
    let (store, keyring) = (database.open().await, Keyring::generate());
    // Short values, and values that fill pages of their own.
    let kept = save(&store, &keyring, "Kept", &[1; 6_000]).await;
    let (short, long) = (save(&store, &keyring, "Short", b"value").await, save(&store, &keyring, "Long", &[2; 30_000]).await);
    let mine = new_user(&store).await;
    let form = draft(mine);
    let typed = keyring.seal_packed(&Place::draft(form.id, 1, &mine, &form.connector), &[3; 6_000]);
    assert!(store.put_draft(&NewDraft { sealed: typed.clone(), ..form.clone() }).await.unwrap());
    let token = keyring.seal_packed(&Place::access_token(short, 1), &[4; 2_000]);
    assert!(store.put_access_token(short, 1, &access_token(&token, later(1))).await.unwrap());
    let mut sealed = Vec::new();
    for id in [kept, short, long] {
        let secret = store.credential(id).await.unwrap().unwrap().secret;
        let found = store.latest_verification(id).await.unwrap().unwrap().sealed;
        sealed.push([secret.wrapped_key, secret.ciphertext, found]);
    }
    store.close().await;
    let file = everything_in(&database).await;
    // The first bytes of each, since what is long is spread over several pages.
    let is_in = |file: &[u8], bytes: &[u8]| contains(file, &bytes[..bytes.len().min(64)]);
    assert!(sealed.iter().flatten().chain([&typed, &token]).all(|bytes| is_in(&file, bytes)), "all of it was in the file");

    let store = database.open().await;
    for id in [short, long] {
        assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::Deleted);
    }
    assert!(store.delete_draft(form.id, mine).await.unwrap());
    store.close().await;
    let file = everything_in(&database).await;
    for bytes in sealed[1..].iter().flatten().chain([&typed, &token]) {
        // Of every page that it was on, not only of the first.
        assert!(!bytes.chunks(1_000).any(|part| is_in(&file, part)));
    }
    assert!(sealed[0].iter().all(|bytes| is_in(&file, bytes)), "what was not deleted is still there");
}

/// Every byte of the files of SQLite, every row of PostgreSQL as text.
async fn everything_in(database: &TestDatabase) -> Vec<u8> {
    if !database.is_postgres() {
        let files = std::fs::read_dir(database.file().parent().unwrap()).unwrap();
        return files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    }
    let mut connection = database.postgres_connection().await;
    let mut text = String::new();
    for table in [
        "installation",
        "users",
        "audit_events",
        "credentials",
        "credential_secrets",
        "drafts",
        "verifications",
        "access_tokens",
        "resources",
    ] {
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT t::text FROM {table} t"))).fetch_all(&mut connection).await.unwrap();
        assert!(!rows.is_empty(), "{table}");
        text.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    text.into_bytes()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
