//! Sessions and drafts: who may see a draft, until when, and what clearing away takes with it.

use keytile::{
    crypto::random,
    store::{CredentialInsert, DraftState, NewDraft},
};

use super::{
    on_both_databases,
    samples::{NOW, Sample, connector, count, draft, later, new_id, session},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_session_lives_until_it_expires,
    a_draft_is_replaced_by_its_session_only,
    a_draft_needs_a_session,
    the_latest_open_draft_is_found,
    a_saved_draft_holds_nothing_and_stays_as_it_is,
    a_draft_is_discarded_by_its_session_only,
    what_has_expired_is_deleted,
);

async fn a_session_lives_until_it_expires(database: TestDatabase) {
    let store = database.open().await;
    let hash = random::bytes();
    assert!(!store.session_is_live(&hash, NOW).await.unwrap());
    store.insert_session(&hash, NOW, later(1_000)).await.unwrap();
    assert!(store.session_is_live(&hash, later(999)).await.unwrap());
    assert!(!store.session_is_live(&hash, later(1_000)).await.unwrap());
    assert!(!store.session_is_live(&random::bytes(), NOW).await.unwrap());
}

async fn a_draft_is_replaced_by_its_session_only(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (session(&store).await, session(&store).await);
    let first = draft(mine);
    assert!(store.put_draft(&first).await.unwrap());
    let row = store.draft(first.id, &mine, NOW).await.unwrap().unwrap();
    assert_eq!(row.state, DraftState::Open(b"sealed draft".to_vec()));
    assert_eq!((row.id, row.session, row.version), (first.id, mine, 1));
    assert_eq!((row.connector, row.updated_at, row.expires_at), (connector("talkdesk"), NOW, later(900_000)));

    let second =
        NewDraft { sealed: vec![0, 255, 0], version: 2, updated_at: later(5), expires_at: later(900_005), ..first.clone() };
    assert!(store.put_draft(&second).await.unwrap());
    let row = store.draft(first.id, &mine, NOW).await.unwrap().unwrap();
    assert_eq!((row.state, row.version), (DraftState::Open(vec![0, 255, 0]), 2));
    assert_eq!((row.updated_at, row.expires_at), (later(5), later(900_005)));

    assert!(!store.put_draft(&NewDraft { session: other, ..first.clone() }).await.unwrap());
    assert!(!store.put_draft(&NewDraft { connector: connector("other"), ..first.clone() }).await.unwrap());
    assert_eq!(store.draft(first.id, &other, NOW).await.unwrap(), None);
    assert_eq!(store.draft(new_id(), &mine, NOW).await.unwrap(), None);
    assert_eq!(store.draft(first.id, &mine, NOW).await.unwrap().unwrap().version, 2);
    assert!(store.draft(first.id, &mine, later(900_004)).await.unwrap().is_some());
    assert_eq!(store.draft(first.id, &mine, later(900_005)).await.unwrap(), None);
}

async fn a_draft_needs_a_session(database: TestDatabase) {
    let store = database.open().await;
    assert!(!store.put_draft(&draft(random::bytes())).await.unwrap());
}

async fn the_latest_open_draft_is_found(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (session(&store).await, session(&store).await);
    let talkdesk = connector("talkdesk");
    assert_eq!(store.latest_open_draft(&mine, &talkdesk, NOW).await.unwrap(), None);
    let newest = NewDraft { updated_at: later(30), ..draft(mine) };
    let saved = NewDraft { updated_at: later(40), ..draft(mine) };
    for stored in [
        draft(mine),
        newest.clone(),
        NewDraft { updated_at: later(20), ..draft(mine) },
        saved.clone(),
        NewDraft { updated_at: later(50), ..draft(other) },
        NewDraft { updated_at: later(60), connector: connector("other"), ..draft(mine) },
        NewDraft { updated_at: later(70), expires_at: later(80), ..draft(mine) },
    ] {
        assert!(store.put_draft(&stored).await.unwrap());
    }
    Sample::new("Saved").saving(&saved).insert(&store).await;
    let found = store.latest_open_draft(&mine, &talkdesk, later(80)).await.unwrap().unwrap();
    assert_eq!(found.id, newest.id);
}

async fn a_saved_draft_holds_nothing_and_stays_as_it_is(database: TestDatabase) {
    let store = database.open().await;
    let mine = session(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let id = Sample::new("Support EU").saving(&form).insert(&store).await;
    assert_eq!(store.draft(form.id, &mine, NOW).await.unwrap().unwrap().state, DraftState::SavedAs(id));
    assert!(!store.put_draft(&form).await.unwrap());
    assert_eq!(store.draft(form.id, &mine, NOW).await.unwrap().unwrap().state, DraftState::SavedAs(id));
    // The same form again, even under another name, is the credential that it has become.
    let again = Sample::new("Another name").saving(&form);
    assert_eq!(again.try_insert(&store).await, CredentialInsert::AlreadySaved(id));
    assert_eq!(count(&store).await, 1);
}

async fn a_draft_is_discarded_by_its_session_only(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (session(&store).await, session(&store).await);
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    assert!(!store.delete_draft(form.id, &other).await.unwrap());
    assert!(store.delete_draft(form.id, &mine).await.unwrap());
    assert!(!store.delete_draft(form.id, &mine).await.unwrap());
    assert_eq!(store.draft(form.id, &mine, NOW).await.unwrap(), None);
}

async fn what_has_expired_is_deleted(database: TestDatabase) {
    let store = database.open().await;
    let (short, long) = (random::bytes(), random::bytes());
    store.insert_session(&short, NOW, later(1_000)).await.unwrap();
    store.insert_session(&long, NOW, later(9_000)).await.unwrap();
    // One draft goes with its session, one by itself, one stays.
    let with_session = NewDraft { expires_at: later(5_000), ..draft(short) };
    let by_itself = NewDraft { expires_at: later(1_000), ..draft(long) };
    let stays = NewDraft { expires_at: later(1_001), ..draft(long) };
    for form in [&with_session, &by_itself, &stays] {
        assert!(store.put_draft(form).await.unwrap());
    }
    let (expired, valid) = (Sample::new("Expired").insert(&store).await, Sample::new("Valid").insert(&store).await);
    assert!(store.put_access_token(expired, 1, b"token", later(1_000)).await.unwrap());
    assert!(store.put_access_token(valid, 1, b"token", later(1_001)).await.unwrap());

    assert_eq!(store.delete_expired(later(999)).await.unwrap(), 0);
    assert_eq!(store.delete_expired(later(1_000)).await.unwrap(), 3);
    assert!(!store.session_is_live(&short, NOW).await.unwrap());
    assert!(store.session_is_live(&long, NOW).await.unwrap());
    assert_eq!(store.draft(with_session.id, &short, NOW).await.unwrap(), None);
    assert_eq!(store.draft(by_itself.id, &long, NOW).await.unwrap(), None);
    assert!(store.draft(stays.id, &long, NOW).await.unwrap().is_some());
    assert_eq!(store.access_token(expired).await.unwrap(), None);
    assert!(store.access_token(valid).await.unwrap().is_some());
    assert_eq!(store.delete_expired(later(1_000)).await.unwrap(), 0);
}
