//! Sessions and drafts: who may see a draft, until when, and what clearing away takes with it.

use keytile::{
    domain::users::{Role, UserState, session::SessionStage},
    store::{CredentialInsert, DraftState, ExpiredSessions, NewDraft},
};

use super::{
    on_both_databases,
    samples::{NOW, Sample, access_token, audit, connector, count, draft, later, new_id, new_user, session, start},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_session_is_found_with_its_account,
    a_draft_is_replaced_by_its_owner_only,
    the_newest_drafts_of_a_person_are_kept,
    a_draft_needs_an_account,
    the_latest_open_draft_is_found,
    a_saved_draft_holds_nothing_and_stays_as_it_is,
    a_draft_is_discarded_by_its_owner_only,
    what_has_expired_is_deleted,
);

async fn a_session_is_found_with_its_account(database: TestDatabase) {
    let store = database.open().await;
    let owner = new_user(&store).await;
    let started = session(owner, NOW, later(9_000));
    assert_eq!(store.session(&started.hash).await.unwrap(), None);
    start(&store, &started, None).await;
    let found = store.session(&started.hash).await.unwrap().unwrap();
    assert_eq!((found.id, found.owner, found.stage, found.used_at), (started.id, owner, SessionStage::SignedIn, NOW));
    assert_eq!((found.role, found.state, found.expires_at), (Role::Editor, UserState::Active, later(9_000)));

    store.touch_session(&started.hash, later(5)).await.unwrap();
    store.touch_session(&started.hash, later(3)).await.unwrap();
    assert_eq!(store.session(&started.hash).await.unwrap().unwrap().used_at, later(5));
    let listed = store.sessions_of(owner, later(10), later(4)).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [started.id]);
    assert!(store.sessions_of(owner, later(10), later(5)).await.unwrap().is_empty(), "it has not been used since");

    // A sign-in takes the place of the session before it, and of no other.
    let (next, elsewhere) = (session(owner, NOW, later(9_000)), session(owner, NOW, later(9_000)));
    start(&store, &elsewhere, None).await;
    let epoch = store.access_epoch().await.unwrap();
    start(&store, &next, Some(&started)).await;
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert_eq!(store.session(&started.hash).await.unwrap(), None);
    assert!(store.session(&elsewhere.hash).await.unwrap().is_some());

    let stranger = new_user(&store).await;
    assert!(!store.end_session(stranger, next.id, &audit()).await.unwrap());
    assert_eq!(store.end_other_sessions(owner, &next.hash, &audit()).await.unwrap(), 1);
    assert!(store.end_session(owner, next.id, &audit()).await.unwrap());
    assert_eq!(store.session(&next.hash).await.unwrap(), None);
}

async fn the_newest_drafts_of_a_person_are_kept(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    let of_other = draft(other);
    assert!(store.put_draft(&of_other).await.unwrap());
    let mut drafts = Vec::new();
    for number in 0..30 {
        let draft = NewDraft { updated_at: later(number), ..draft(mine) };
        assert!(store.put_draft(&draft).await.unwrap());
        drafts.push(draft);
    }
    // Twenty, and the one that was added to them.
    for (number, draft) in drafts.iter().enumerate() {
        assert_eq!(store.draft(draft.id, mine, NOW).await.unwrap().is_some(), number >= 9, "{number}");
    }
    assert!(store.draft(of_other.id, other, NOW).await.unwrap().is_some());
}

async fn a_draft_is_replaced_by_its_owner_only(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    let first = draft(mine);
    assert!(store.put_draft(&first).await.unwrap());
    let row = store.draft(first.id, mine, NOW).await.unwrap().unwrap();
    assert_eq!(row.state, DraftState::Open(b"sealed draft".to_vec()));
    assert_eq!((row.id, row.owner, row.version), (first.id, mine, 1));
    assert_eq!((row.connector, row.updated_at, row.expires_at), (connector("talkdesk"), NOW, later(900_000)));

    let second =
        NewDraft { sealed: vec![0, 255, 0], version: 2, updated_at: later(5), expires_at: later(900_005), ..first.clone() };
    assert!(store.put_draft(&second).await.unwrap());
    let row = store.draft(first.id, mine, NOW).await.unwrap().unwrap();
    assert_eq!((row.state, row.version), (DraftState::Open(vec![0, 255, 0]), 2));
    assert_eq!((row.updated_at, row.expires_at), (later(5), later(900_005)));

    assert!(!store.put_draft(&NewDraft { owner: other, ..first.clone() }).await.unwrap());
    assert!(!store.put_draft(&NewDraft { connector: connector("other"), ..first.clone() }).await.unwrap());
    assert_eq!(store.draft(first.id, other, NOW).await.unwrap(), None);
    assert_eq!(store.draft(new_id(), mine, NOW).await.unwrap(), None);
    assert_eq!(store.draft(first.id, mine, NOW).await.unwrap().unwrap().version, 2);
    assert!(store.draft(first.id, mine, later(900_004)).await.unwrap().is_some());
    assert_eq!(store.draft(first.id, mine, later(900_005)).await.unwrap(), None);
}

async fn a_draft_needs_an_account(database: TestDatabase) {
    let store = database.open().await;
    assert!(!store.put_draft(&draft(new_id())).await.unwrap());
}

async fn the_latest_open_draft_is_found(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    let talkdesk = connector("talkdesk");
    assert_eq!(store.latest_open_draft(mine, &talkdesk, NOW).await.unwrap(), None);
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
    let found = store.latest_open_draft(mine, &talkdesk, later(80)).await.unwrap().unwrap();
    assert_eq!(found.id, newest.id);
}

async fn a_saved_draft_holds_nothing_and_stays_as_it_is(database: TestDatabase) {
    let store = database.open().await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let id = Sample::new("Support EU").saving(&form).insert(&store).await;
    assert_eq!(store.draft(form.id, mine, NOW).await.unwrap().unwrap().state, DraftState::SavedAs(id));
    assert!(!store.put_draft(&form).await.unwrap());
    assert_eq!(store.draft(form.id, mine, NOW).await.unwrap().unwrap().state, DraftState::SavedAs(id));
    // The same form again, even under another name, is the credential that it has become.
    let again = Sample::new("Another name").saving(&form);
    assert_eq!(again.try_insert(&store).await, CredentialInsert::AlreadySaved(id));
    assert_eq!(count(&store).await, 1);
}

async fn a_draft_is_discarded_by_its_owner_only(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    assert!(!store.delete_draft(form.id, other).await.unwrap());
    assert!(store.delete_draft(form.id, mine).await.unwrap());
    assert!(!store.delete_draft(form.id, mine).await.unwrap());
    assert_eq!(store.draft(form.id, mine, NOW).await.unwrap(), None);
}

async fn what_has_expired_is_deleted(database: TestDatabase) {
    let store = database.open().await;
    let owner = new_user(&store).await;
    let (ended, unused, live) = (session(owner, NOW, later(100)), session(owner, NOW, later(900)), session(owner, NOW, later(900)));
    for started in [&ended, &unused, &live] {
        start(&store, started, None).await;
    }
    store.touch_session(&live.hash, later(60)).await.unwrap();
    store.touch_session(&ended.hash, later(60)).await.unwrap();
    let (old, stays) =
        (NewDraft { expires_at: later(1_000), ..draft(owner) }, NewDraft { expires_at: later(1_001), ..draft(owner) });
    for form in [&old, &stays] {
        assert!(store.put_draft(form).await.unwrap());
    }
    let (expired, valid) = (Sample::new("Expired").insert(&store).await, Sample::new("Valid").insert(&store).await);
    assert!(store.put_access_token(expired, 1, &access_token(b"token", later(1_000))).await.unwrap());
    assert!(store.put_access_token(valid, 1, &access_token(b"token", later(1_001))).await.unwrap());

    let delete = async |now, ended_before, unused_since| {
        let expired = ExpiredSessions { ended_before: later(ended_before), unused_since: later(unused_since) };
        store.delete_expired(later(now), expired, NOW).await.unwrap()
    };
    assert_eq!(delete(999, 99, -1).await, 0);
    assert_eq!(delete(1_000, 100, 59).await, 4);
    assert_eq!(store.session(&ended.hash).await.unwrap(), None);
    assert_eq!(store.session(&unused.hash).await.unwrap(), None);
    assert!(store.session(&live.hash).await.unwrap().is_some());
    assert_eq!(store.draft(old.id, owner, NOW).await.unwrap(), None);
    assert!(store.draft(stays.id, owner, NOW).await.unwrap().is_some());
    assert_eq!(store.access_token(expired).await.unwrap(), None);
    assert!(store.access_token(valid).await.unwrap().is_some());
    assert_eq!(delete(1_000, 100, 59).await, 0);
}
