//! Second factors, recovery codes and passwords in the database.

use futures_util::future::join_all;
use keytile::{
    domain::users::UserId,
    store::{NewSession, SecondFactorRow},
};

use super::{
    on_both_databases,
    samples::{NOW, audit, later, name, new_user, session, start},
};
use crate::support::database::TestDatabase;

on_both_databases!(
    a_step_is_used_once_and_none_before_it,
    a_recovery_code_is_used_once,
    there_is_one_second_factor_or_none,
    a_second_factor_ends_the_sessions_from_before,
    a_password_is_changed_from_the_one_that_was_checked,
    a_renewed_hash_does_not_undo_a_change,
    a_name_is_changed,
);

fn factor(step: i64) -> SecondFactorRow {
    SecondFactorRow { sealed: b"sealed secret".to_vec(), step }
}

/// The session that somebody goes on in.
fn anew(user: UserId) -> NewSession {
    session(user, NOW, later(60_000))
}

async fn a_step_is_used_once_and_none_before_it(database: TestDatabase) {
    let (one, other) = (database.open().await, database.open().await);
    let user = new_user(&one).await;
    assert!(!one.use_second_factor_step(user, 11, &audit()).await.unwrap(), "there is none yet");
    assert!(one.enable_second_factor(&factor(10), &[], &anew(user), &audit()).await.unwrap());
    assert!(!one.use_second_factor_step(user, 10, &audit()).await.unwrap(), "the one that confirmed it is used");
    let stores = [&one, &other];
    let audit = audit();
    let all = join_all((0..8).map(|n| stores[n % 2].use_second_factor_step(user, 12, &audit))).await;
    assert_eq!(all.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    for step in [11, 12] {
        assert!(!other.use_second_factor_step(user, step, &audit).await.unwrap());
    }
    assert!(other.use_second_factor_step(user, 13, &audit).await.unwrap());
    assert_eq!(one.second_factor(user).await.unwrap(), Some(factor(13)));
    one.close().await;
    other.close().await;
}

async fn a_recovery_code_is_used_once(database: TestDatabase) {
    let (one, other) = (database.open().await, database.open().await);
    let (user, stranger) = (new_user(&one).await, new_user(&one).await);
    let audit = audit();
    assert!(one.enable_second_factor(&factor(1), &[[1; 32], [2; 32]], &anew(user), &audit).await.unwrap());
    assert!(!one.use_recovery_code(stranger, &[1; 32], &audit).await.unwrap(), "it is of one account");
    let stores = [&one, &other];
    let all = join_all((0..8).map(|n| stores[n % 2].use_recovery_code(user, &[1; 32], &audit))).await;
    assert_eq!(all.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert_eq!(one.recovery_codes_left(user).await.unwrap(), 1);
    assert!(one.replace_recovery_codes(user, &[[3; 32]], &audit).await.unwrap());
    assert!(!one.use_recovery_code(user, &[2; 32], &audit).await.unwrap());
    assert!(one.use_recovery_code(user, &[3; 32], &audit).await.unwrap());
    assert!(!one.replace_recovery_codes(stranger, &[[4; 32]], &audit).await.unwrap());
    assert_eq!(one.recovery_codes_left(stranger).await.unwrap(), 0);
    one.close().await;
    other.close().await;
}

async fn a_second_factor_ends_the_sessions_from_before(database: TestDatabase) {
    let store = database.open().await;
    let (user, stranger) = (new_user(&store).await, new_user(&store).await);
    let (before, elsewhere, of_stranger) = (anew(user), anew(user), anew(stranger));
    for session in [&before, &elsewhere, &of_stranger] {
        start(&store, session, None).await;
    }
    assert!(!store.session(&before.hash).await.unwrap().unwrap().has_second_factor);
    let epoch = store.access_epoch().await.unwrap();
    let after = anew(user);
    assert!(store.enable_second_factor(&factor(5), &[], &after, &audit()).await.unwrap());
    assert!(store.access_epoch().await.unwrap() > epoch, "what instances remember of sessions is out of date");
    for ended in [&before, &elsewhere] {
        assert_eq!(store.session(&ended.hash).await.unwrap(), None);
    }
    assert!(store.session(&after.hash).await.unwrap().unwrap().has_second_factor);
    assert!(!store.session(&of_stranger.hash).await.unwrap().unwrap().has_second_factor);
    let epoch = store.access_epoch().await.unwrap();
    assert!(store.disable_second_factor(user, &audit()).await.unwrap());
    assert!(store.access_epoch().await.unwrap() > epoch);
    assert!(!store.session(&after.hash).await.unwrap().unwrap().has_second_factor);
    store.close().await;
}

async fn there_is_one_second_factor_or_none(database: TestDatabase) {
    let store = database.open().await;
    let user = new_user(&store).await;
    assert_eq!(store.second_factor(user).await.unwrap(), None);
    assert!(store.enable_second_factor(&factor(5), &[[1; 32]], &anew(user), &audit()).await.unwrap());
    let other = SecondFactorRow { sealed: b"another".to_vec(), step: 9 };
    assert!(!store.enable_second_factor(&other, &[[2; 32]], &anew(user), &audit()).await.unwrap());
    assert_eq!(store.second_factor(user).await.unwrap(), Some(factor(5)));
    assert!(!store.use_recovery_code(user, &[2; 32], &audit()).await.unwrap());
    assert!(store.disable_second_factor(user, &audit()).await.unwrap());
    assert_eq!(store.second_factor(user).await.unwrap(), None);
    assert_eq!(store.recovery_codes_left(user).await.unwrap(), 0);
    assert!(!store.disable_second_factor(user, &audit()).await.unwrap());
    store.close().await;
}

async fn a_password_is_changed_from_the_one_that_was_checked(database: TestDatabase) {
    let store = database.open().await;
    let user = new_user(&store).await;
    assert_eq!(store.password(user).await.unwrap(), None);
    database.execute("UPDATE users SET password = 'first'").await.unwrap();
    let (old, new) = (session(user, NOW, later(9_000)), session(user, NOW, later(9_000)));
    start(&store, &old, None).await;
    assert!(!store.change_password("stale", "second", &new, &audit()).await.unwrap());
    assert!(store.session(&old.hash).await.unwrap().is_some() && store.session(&new.hash).await.unwrap().is_none());
    let epoch = store.access_epoch().await.unwrap();
    assert!(store.change_password("first", "second", &new, &audit()).await.unwrap());
    assert_eq!(store.password(user).await.unwrap().as_deref(), Some("second"));
    assert!(store.session(&old.hash).await.unwrap().is_none() && store.session(&new.hash).await.unwrap().is_some());
    assert!(store.access_epoch().await.unwrap() > epoch);
    store.close().await;
}

async fn a_renewed_hash_does_not_undo_a_change(database: TestDatabase) {
    let store = database.open().await;
    let user = new_user(&store).await;
    database.execute("UPDATE users SET password = 'changed meanwhile'").await.unwrap();
    store.renew_password_hash(user, "first", "first, made anew").await.unwrap();
    assert_eq!(store.password(user).await.unwrap().as_deref(), Some("changed meanwhile"));
    store.renew_password_hash(user, "changed meanwhile", "anew").await.unwrap();
    assert_eq!(store.password(user).await.unwrap().as_deref(), Some("anew"));
    store.close().await;
}

async fn a_name_is_changed(database: TestDatabase) {
    let store = database.open().await;
    let (user, other) = (new_user(&store).await, new_user(&store).await);
    let epoch = store.access_epoch().await.unwrap();
    store.rename_user(user, &name("Ana Bergström"), &audit()).await.unwrap();
    assert_eq!(store.user(user).await.unwrap().unwrap().name, "Ana Bergström");
    assert_eq!(store.user(other).await.unwrap().unwrap().name, "Ana");
    assert!(store.access_epoch().await.unwrap() > epoch, "sessions that are remembered bear the name");
    store.close().await;
}
