//! Verifications, access tokens and the check value of the installation.

use keytile::{
    domain::credentials::CredentialStatus::{Rejected, Unreachable, Verified},
    store::NewVerification,
};

use super::{
    on_both_databases,
    samples::{NOW, OWNER, Sample, access_token, audit, draft, later, new_id, new_user, verification},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_verification_gives_the_credential_its_status,
    an_older_verification_does_not_undo_a_newer_one,
    a_verification_of_nothing_is_not_stored,
    a_verification_of_other_values_says_nothing,
    the_newest_access_token_is_kept,
    the_check_value_is_set_once,
    sealed_rows_are_noticed,
);

async fn a_verification_gives_the_credential_its_status(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    let second = verification(Rejected, later(1));
    assert!(store.record_verification(id, &second, None).await.unwrap());
    let summary = store.credential(id).await.unwrap().unwrap().summary;
    assert_eq!((summary.status, summary.verified_at, summary.version), (Rejected, later(1), 1));
    assert!(store.record_verification(id, &verification(Unreachable, later(2)), None).await.unwrap());
    assert_eq!(store.credential(id).await.unwrap().unwrap().summary.status, Unreachable);

    let latest = store.latest_verification(id).await.unwrap().unwrap();
    assert_eq!((latest.at, latest.sealed), (later(2), format!("diagnosis {}", later(2).as_millis()).into_bytes()));
    let times = async |limit| -> Vec<_> {
        store.verifications_of(id, limit).await.unwrap().into_iter().map(|row| row.at).collect::<Vec<_>>()
    };
    assert_eq!(times(10).await, [later(2), later(1), NOW]);
    assert_eq!(times(2).await, [later(2), later(1)]);
    assert_eq!(store.verifications_of(id, 10).await.unwrap()[1].id, second.id);
}

async fn an_older_verification_does_not_undo_a_newer_one(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert!(store.record_verification(id, &verification(Rejected, later(10)), None).await.unwrap());
    assert!(store.record_verification(id, &verification(Verified, later(5)), None).await.unwrap());
    let summary = store.credential(id).await.unwrap().unwrap().summary;
    assert_eq!((summary.status, summary.verified_at), (Rejected, later(10)));
    assert_eq!(store.verifications_of(id, 10).await.unwrap().len(), 3);
}

async fn a_verification_of_other_values_says_nothing(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    database.execute("UPDATE credentials SET version = 2").await.unwrap();
    assert!(!store.record_verification(id, &verification(Rejected, later(10)), None).await.unwrap());
    let before = store.verifications_of(id, 10).await.unwrap().len();
    let newer = NewVerification { version: 2, ..verification(Unreachable, later(20)) };
    assert!(store.record_verification(id, &newer, None).await.unwrap());
    assert_eq!(store.credential(id).await.unwrap().unwrap().summary.status, Unreachable);
    assert_eq!(store.verifications_of(id, 10).await.unwrap().len(), before + 1);
}

async fn a_verification_of_nothing_is_not_stored(database: TestDatabase) {
    let store = database.open().await;
    let nothing = new_id();
    assert!(!store.record_verification(nothing, &verification(Verified, NOW), None).await.unwrap());
    assert_eq!(store.latest_verification(nothing).await.unwrap(), None);
}

async fn the_newest_access_token_is_kept(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    assert_eq!(store.access_token(id).await.unwrap(), None);
    assert!(store.put_access_token(id, 1, &access_token(b"first", later(600_000))).await.unwrap());
    let row = store.access_token(id).await.unwrap().unwrap();
    assert_eq!((row.version, row.sealed.as_slice()), (1, &b"first"[..]));
    assert_eq!((row.fetched_at, row.refresh_at, row.expires_at), (later(540_000), later(594_000), later(600_000)));
    assert!(store.put_access_token(id, 1, &access_token(b"again", later(1))).await.unwrap());
    assert_eq!(store.access_token(id).await.unwrap().unwrap().sealed, b"again");
    for version in [0, 2] {
        let other = store.put_access_token(id, version, &access_token(b"other", later(900_000))).await.unwrap();
        assert!(!other, "the credential has another version");
    }
    assert_eq!(store.access_token(id).await.unwrap().unwrap().sealed, b"again");
    assert!(!store.put_access_token(new_id(), 1, &access_token(b"nobody's", NOW)).await.unwrap());
}

async fn the_check_value_is_set_once(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(store.installation().await.unwrap(), None);
    let attempts = (0..8_u8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { (number, store.set_installation_if_absent(NOW, &[number]).await.unwrap()) })
    });
    let mut set = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let (number, first) = attempt.await.unwrap();
        set.extend(first.then_some(number));
    }
    assert_eq!(set.len(), 1);
    assert_eq!(store.installation().await.unwrap(), Some(set));
}

async fn sealed_rows_are_noticed(database: TestDatabase) {
    let store = database.open().await;
    assert!(!store.holds_sealed_rows().await.unwrap());
    let mine = new_user(&store).await;
    assert!(!store.holds_sealed_rows().await.unwrap(), "a session is not sealed");
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    assert!(store.holds_sealed_rows().await.unwrap());
    assert!(store.delete_draft(form.id, mine).await.unwrap());
    assert!(!store.holds_sealed_rows().await.unwrap());
    let id = Sample::new("Support EU").insert(&store).await;
    assert!(store.holds_sealed_rows().await.unwrap());
    store.delete_credential(OWNER, id, None, &audit()).await.unwrap();
    assert!(!store.holds_sealed_rows().await.unwrap());
    assert!(store.set_installation_if_absent(NOW, b"check").await.unwrap());
    assert!(store.holds_sealed_rows().await.unwrap());
}
