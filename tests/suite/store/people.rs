//! Accounts as administrators change them, and links to choose a password.

use std::sync::Arc;

use keytile::{
    crypto::random,
    domain::{
        time::Timestamp,
        users::{Email, Role, UserId, UserState, session::SessionStage},
    },
    store::{
        NewPasswordLink, NewSession, NewUser, RestsOn, SecondFactorRow, StateChange, Store, StoreError, UserChange, UserChanged,
        UserInsert,
    },
};
use tokio::sync::Barrier;

use super::{
    on_both_databases,
    samples::{NOW, Sample, audit, later, name, new_id, session, start},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    people_are_paged_and_found_by_any_part,
    a_change_is_made_to_the_version_that_was_seen_only,
    two_administrators_who_demote_each_other_do_not_both_succeed,
    the_last_administrator_stays,
    disabling_ends_sessions_and_links,
    a_link_works_once_and_the_newest_only,
    a_new_password_ends_sessions_and_links,
    a_sign_in_is_over_when_what_it_rests_on_is,
    the_newest_hundred_sessions_are_kept,
    the_second_factor_goes_with_its_codes,
    the_first_administrator_takes_over_what_nobody_owns,
    a_disabled_person_does_not_wait_for_who_signs_in,
);

async fn add(store: &Store, email: &str, person: &str, role: Role) -> UserId {
    let (id, email, name) = (new_id(), Email::parse(email).unwrap(), name(person));
    let new = NewUser { id, email: &email, name: &name, role, password: Some("$hash"), created_at: NOW };
    assert_eq!(store.add_user(&new, None, &audit()).await.unwrap(), UserInsert::Inserted);
    id
}

async fn change_role(store: &Store, id: UserId, role: Role, ends_sessions: bool) -> UserChanged {
    let user = store.user(id).await.unwrap().unwrap();
    let (email, name) = (Email::parse(&user.email).unwrap(), name(&user.name));
    let change = UserChange { id, version: user.version, email: &email, name: &name, role, ends_sessions };
    store.change_user(&change, &audit()).await.unwrap()
}

/// A session that is signed in, stored.
async fn sign_in(store: &Store, owner: UserId) -> NewSession {
    let session = session(owner, NOW, later(60_000));
    start(store, &session, None).await;
    session
}

async fn people_are_paged_and_found_by_any_part(database: TestDatabase) {
    let store = database.open().await;
    add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    let jurgen = add(&store, "J.Schulz@Example.com", "Jürgen Straße", Role::Viewer).await;
    let percent = add(&store, "p%p@example.com", "Per_Cent", Role::Viewer).await;
    let found = async |search: Option<&str>, after, limit| {
        let page = store.users_page(search, after, limit).await.unwrap();
        page.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    let key = keytile::domain::naming::name_key;
    assert_eq!(found(Some(&key("JÜRGEN strasse")), None, 9).await, [jurgen]);
    assert_eq!(found(Some(&key("schulz@EXAMPLE")), None, 9).await, [jurgen]);
    assert_eq!(found(Some("%"), None, 9).await, [percent], "a percent sign is itself");
    assert_eq!(found(Some("r_c"), None, 9).await, [percent]);
    assert!(found(Some("a\0b"), None, 9).await.is_empty());
    let first = found(None, None, 2).await;
    assert_eq!(first, [percent, jurgen], "the newest first");
    assert_eq!(found(None, Some(jurgen), 2).await.len(), 1);
    // What is searched follows a change.
    let (email, renamed) = (Email::parse("new@example.com").unwrap(), name("Newname"));
    let change = UserChange { id: jurgen, version: 1, email: &email, name: &renamed, role: Role::Viewer, ends_sessions: false };
    assert_eq!(store.change_user(&change, &audit()).await.unwrap(), UserChanged::Changed);
    assert!(found(Some("schulz"), None, 9).await.is_empty());
    assert_eq!(found(Some("newname"), None, 9).await, [jurgen]);
    store.rename_user(jurgen, &name("Own Choice"), &audit()).await.unwrap();
    assert!(found(Some("newname"), None, 9).await.is_empty());
    assert_eq!(found(Some(&key("own choice\nNEW@example")), None, 9).await, [jurgen]);
    assert_eq!(store.user_of_email(&Email::parse("NEW@EXAMPLE.COM").unwrap()).await.unwrap().unwrap().id, jurgen);
}

async fn a_change_is_made_to_the_version_that_was_seen_only(database: TestDatabase) {
    let store = database.open().await;
    let ana = add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    let epoch = store.access_epoch().await.unwrap();
    let live = sign_in(&store, ben).await;
    let (email, named) = (Email::parse("ben@example.com").unwrap(), name("Benedict"));
    let change = UserChange { id: ben, version: 1, email: &email, name: &named, role: Role::Editor, ends_sessions: true };
    let stale = UserChange { version: 2, ..change.clone() };
    assert_eq!(store.change_user(&stale, &audit()).await.unwrap(), UserChanged::Outdated);
    assert!(store.session(&live.hash).await.unwrap().is_some());
    assert_eq!(store.access_epoch().await.unwrap(), epoch);
    assert_eq!(store.change_user(&change, &audit()).await.unwrap(), UserChanged::Changed);
    let user = store.user(ben).await.unwrap().unwrap();
    assert_eq!((user.name.as_str(), user.role, user.version), ("Benedict", Role::Editor, 2));
    assert!(store.session(&live.hash).await.unwrap().is_none(), "the rights rose");
    assert!(store.access_epoch().await.unwrap() > epoch);
    let taken = Email::parse("ANA@example.com").unwrap();
    let change = UserChange { version: 2, email: &taken, ends_sessions: false, ..change };
    assert_eq!(store.change_user(&change, &audit()).await.unwrap(), UserChanged::EmailTaken);
    assert_eq!(store.user(ben).await.unwrap().unwrap().email, "ben@example.com");
    let live = sign_in(&store, ana).await;
    add(&store, "cleo@example.com", "Cleo", Role::Administrator).await;
    assert_eq!(change_role(&store, ana, Role::Viewer, false).await, UserChanged::Changed);
    assert_eq!(store.session(&live.hash).await.unwrap().unwrap().role, Role::Viewer, "a fall of rights ends no session");
}

async fn two_administrators_who_demote_each_other_do_not_both_succeed(database: TestDatabase) {
    for round in 0..8 {
        let store = database.open().await;
        let one = add(&store, &format!("one{round}@example.com"), "One", Role::Administrator).await;
        let two = add(&store, &format!("two{round}@example.com"), "Two", Role::Administrator).await;
        for user in store.users_page(None, None, 1_000).await.unwrap() {
            if ![one, two].contains(&user.id) && user.role == Role::Administrator && user.state == UserState::Active {
                assert_eq!(store.disable_user(user.id, NOW, &audit()).await.unwrap(), StateChange::Changed);
            }
        }
        // Two instances: one process' own writers already wait in line over SQLite.
        let instances = [store, database.open().await];
        let together = Arc::new(Barrier::new(2));
        let tasks = [one, two].into_iter().zip(&instances).map(|(id, store)| {
            let (store, together) = (store.clone(), together.clone());
            tokio::spawn(async move {
                together.wait().await;
                if round % 2 == 0 {
                    change_role(&store, id, Role::Editor, false).await == UserChanged::Changed
                } else {
                    store.disable_user(id, NOW, &audit()).await.unwrap() == StateChange::Changed
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await.unwrap());
        }
        done.sort_unstable();
        assert_eq!(done, [false, true], "round {round}");
        for store in instances {
            store.close().await;
        }
    }
}

async fn the_last_administrator_stays(database: TestDatabase) {
    let store = database.open().await;
    let ana = add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Administrator).await;
    let live = sign_in(&store, ana).await;
    assert_eq!(store.disable_user(ben, NOW, &audit()).await.unwrap(), StateChange::Changed);
    assert_eq!(store.disable_user(ben, NOW, &audit()).await.unwrap(), StateChange::Unchanged);
    // A disabled administrator does not count.
    assert_eq!(store.disable_user(ana, NOW, &audit()).await.unwrap(), StateChange::LastAdministrator);
    assert_eq!(change_role(&store, ana, Role::Editor, true).await, UserChanged::LastAdministrator);
    let user = store.user(ana).await.unwrap().unwrap();
    assert_eq!((user.state, user.role, user.version), (UserState::Active, Role::Administrator, 1));
    assert!(store.session(&live.hash).await.unwrap().is_some(), "nothing of it was done");
    assert_eq!(store.enable_user(ben, &audit()).await.unwrap(), StateChange::Changed);
    assert_eq!(store.enable_user(ben, &audit()).await.unwrap(), StateChange::Unchanged);
    assert_eq!(store.disable_user(ana, NOW, &audit()).await.unwrap(), StateChange::Changed);
}

async fn disabling_ends_sessions_and_links(database: TestDatabase) {
    let store = database.open().await;
    add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    let link = NewPasswordLink { owner: ben, hash: random::bytes(), expires_at: later(60_000) };
    assert!(store.reset_password(&link, &audit()).await.unwrap());
    let live = sign_in(&store, ben).await;
    let epoch = store.access_epoch().await.unwrap();
    assert_eq!(store.disable_user(ben, NOW, &audit()).await.unwrap(), StateChange::Changed);
    assert!(store.session(&live.hash).await.unwrap().is_none());
    assert_eq!(store.owner_of_password_link(&link.hash, NOW).await.unwrap(), None);
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert!(!store.reset_password(&link, &audit()).await.unwrap(), "not for somebody who is disabled");
    assert_eq!(store.password_link_of(ben, NOW).await.unwrap(), None);
}

async fn a_link_works_once_and_the_newest_only(database: TestDatabase) {
    let store = database.open().await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    let link = |expires_at| NewPasswordLink { owner: ben, hash: random::bytes(), expires_at };
    let (old, new) = (link(later(60_000)), link(later(90_000)));
    assert!(store.reset_password(&old, &audit()).await.unwrap());
    assert!(!store.user(ben).await.unwrap().unwrap().has_password, "the old password is gone");
    assert!(store.reset_password(&new, &audit()).await.unwrap());
    let live = sign_in(&store, ben).await;
    let use_it = async |link: &NewPasswordLink, now| {
        store.use_password_link(&link.hash, ben, now, "$new", &audit()).await.unwrap().is_some()
    };
    assert_eq!(store.owner_of_password_link(&old.hash, NOW).await.unwrap(), None);
    assert!(!use_it(&old, NOW).await);
    assert_eq!(store.password_link_of(ben, NOW).await.unwrap(), Some(later(90_000)));
    assert_eq!(store.owner_of_password_link(&new.hash, later(90_000)).await.unwrap(), None, "it has expired");
    assert!(!use_it(&new, later(90_000)).await);
    assert!(store.session(&live.hash).await.unwrap().is_some() && !store.user(ben).await.unwrap().unwrap().has_password);
    assert_eq!(store.owner_of_password_link(&new.hash, later(89_999)).await.unwrap(), Some(ben));
    assert!(use_it(&new, later(89_999)).await);
    assert!(store.user(ben).await.unwrap().unwrap().has_password);
    assert!(store.session(&live.hash).await.unwrap().is_none(), "all sessions ended");
    assert!(!use_it(&new, NOW).await, "it was used");
}

async fn a_sign_in_is_over_when_what_it_rests_on_is(database: TestDatabase) {
    let store = database.open().await;
    add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    let link = NewPasswordLink { owner: ben, hash: random::bytes(), expires_at: later(60_000) };
    for change in 0..6 {
        // What a sign-in has looked at when it begins to hash, and a session that waits for a code.
        let version = store.user(ben).await.unwrap().unwrap().version;
        let waiting = NewSession { stage: SessionStage::SecondFactor, ..session(ben, NOW, later(60_000)) };
        start(&store, &waiting, None).await;
        let epoch = store.user(ben).await.unwrap().unwrap().signed_in_at;
        match change {
            0 => assert!(store.reset_password(&link, &audit()).await.unwrap()),
            1 => assert!(store.use_password_link(&link.hash, ben, NOW, "$1", &audit()).await.unwrap().is_some()),
            2 => assert!(store.replace_password(ben, "$2", &audit()).await.unwrap()),
            3 => assert!(store.change_password("$2", "$3", &session(ben, NOW, later(9)), &audit()).await.unwrap()),
            4 => {
                assert_eq!(store.disable_user(ben, NOW, &audit()).await.unwrap(), StateChange::Changed);
                assert_eq!(store.enable_user(ben, &audit()).await.unwrap(), StateChange::Changed);
            }
            _ => {
                let factor = SecondFactorRow { sealed: b"sealed".to_vec(), step: 1 };
                assert!(store.enable_second_factor(&factor, &[], &session(ben, NOW, later(9)), &audit()).await.unwrap());
            }
        }
        let late = session(ben, NOW, later(60_000));
        for rests_on in [RestsOn::Account { version, before: None }, RestsOn::Waiting(&waiting.hash)] {
            assert!(!store.start_session(&late, rests_on, &audit()).await.unwrap(), "{change} {rests_on:?}");
        }
        assert_eq!(store.session(&late.hash).await.unwrap(), None);
        assert_eq!(store.user(ben).await.unwrap().unwrap().signed_in_at, epoch);
    }
    assert_eq!(store.disable_user(ben, NOW, &audit()).await.unwrap(), StateChange::Changed);
    let version = store.user(ben).await.unwrap().unwrap().version;
    let disabled = session(ben, NOW, later(60_000));
    assert!(!store.start_session(&disabled, RestsOn::Account { version, before: None }, &audit()).await.unwrap());
}

async fn the_newest_hundred_sessions_are_kept(database: TestDatabase) {
    let store = database.open().await;
    let (ana, ben) = (
        add(&store, "ana@example.com", "Ana", Role::Administrator).await,
        add(&store, "ben@example.com", "Ben", Role::Viewer).await,
    );
    let of_ana = sign_in(&store, ana).await;
    let mut started = Vec::new();
    for number in 0..103 {
        let session = session(ben, later(number), later(60_000));
        start(&store, &session, None).await;
        started.push(session);
    }
    let listed = store.sessions_of(ben, NOW, Timestamp::from_millis(0)).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[99].id), (100, started[102].id, started[3].id));
    assert_eq!(store.session(&started[2].hash).await.unwrap(), None);
    assert!(store.session(&of_ana.hash).await.unwrap().is_some());
}

async fn a_new_password_ends_sessions_and_links(database: TestDatabase) {
    let store = database.open().await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    let link = NewPasswordLink { owner: ben, hash: random::bytes(), expires_at: later(60_000) };
    store.reset_password(&link, &audit()).await.unwrap();
    let live = sign_in(&store, ben).await;
    assert!(store.replace_password(ben, "$new", &audit()).await.unwrap());
    assert!(store.session(&live.hash).await.unwrap().is_none());
    assert_eq!(store.owner_of_password_link(&link.hash, NOW).await.unwrap(), None);
    assert!(!store.replace_password(new_id(), "$new", &audit()).await.unwrap());
}

async fn the_second_factor_goes_with_its_codes(database: TestDatabase) {
    let store = database.open().await;
    let ben = add(&store, "ben@example.com", "Ben", Role::Viewer).await;
    assert!(!store.take_second_factor(ben, &audit()).await.unwrap(), "there is none");
    let bytes = if database.is_postgres() { "'\\x01'::bytea" } else { "x'01'" };
    let statements = format!("UPDATE users SET second_factor = {bytes}; INSERT INTO recovery_codes SELECT id, {bytes} FROM users");
    database.execute(&statements).await.unwrap();
    let live = sign_in(&store, ben).await;
    let waiting = NewSession { stage: SessionStage::SecondFactor, ..session(ben, NOW, later(60_000)) };
    start(&store, &waiting, None).await;
    assert!(store.user(ben).await.unwrap().unwrap().has_second_factor);
    assert!(store.take_second_factor(ben, &audit()).await.unwrap());
    assert!(!store.user(ben).await.unwrap().unwrap().has_second_factor);
    assert!(store.session(&waiting.hash).await.unwrap().is_none(), "it waits for a code that nobody can give any more");
    assert!(store.session(&live.hash).await.unwrap().is_some());
    // Fails if a code is left: each is there once.
    database.execute(&format!("INSERT INTO recovery_codes SELECT id, {bytes} FROM users")).await.unwrap();
    sign_in(&store, ben).await;
    assert_eq!(store.end_all_sessions(ben, &audit()).await.unwrap(), 2);
}

async fn the_first_administrator_takes_over_what_nobody_owns(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("Support EU").insert(&store).await;
    database.execute("UPDATE credentials SET owner = NULL").await.unwrap();
    let viewer = add(&store, "v@example.com", "V", Role::Viewer).await;
    assert_eq!(store.owned_by(viewer).await.unwrap().credentials, 0);
    let ana = add(&store, "ana@example.com", "Ana", Role::Administrator).await;
    assert_eq!(store.owned_by(ana).await.unwrap().credentials, 1);
    let email = Email::parse("ANA@example.com").unwrap();
    let twice = NewUser { id: new_id(), email: &email, name: &name("Ana"), role: Role::Viewer, password: None, created_at: NOW };
    let link = NewPasswordLink { owner: twice.id, hash: random::bytes(), expires_at: later(60_000) };
    assert_eq!(store.add_user(&twice, Some(&link), &audit()).await.unwrap(), UserInsert::EmailTaken);
    assert_eq!(store.owner_of_password_link(&link.hash, NOW).await.unwrap(), None);
}

/// Sign-ins and administrators change rows of the same tables: in one order, or PostgreSQL would end one of the
/// transactions because they wait for each other.
async fn a_disabled_person_does_not_wait_for_who_signs_in(database: TestDatabase) {
    let instances = [database.open().await, database.open().await];
    add(&instances[0], "ana@example.com", "Ana", Role::Administrator).await;
    let ben = add(&instances[0], "ben@example.com", "Ben", Role::Viewer).await;
    let together = Arc::new(Barrier::new(2));
    let (store, barrier) = (instances[0].clone(), together.clone());
    let signing_in = tokio::spawn(async move {
        let mut before: Option<NewSession> = None;
        for _ in 0..40 {
            barrier.wait().await;
            let next = session(ben, NOW, later(60_000));
            let before_it = before.as_ref().map(|before: &NewSession| &before.hash);
            let version = store.user(ben).await?.unwrap().version;
            let rests_on = RestsOn::Account { version, before: before_it };
            if !store.start_session(&next, rests_on, &audit()).await? {
                continue;
            }
            before = Some(next);
        }
        Ok::<_, StoreError>(())
    });
    for round in 0..40 {
        together.wait().await;
        match round % 2 {
            0 => instances[1].disable_user(ben, NOW, &audit()).await.unwrap(),
            _ => instances[1].enable_user(ben, &audit()).await.unwrap(),
        };
    }
    signing_in.await.unwrap().unwrap();
}
