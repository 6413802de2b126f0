//! A broken database is an error with a clear sentence, and never half a change. (A full
//! disk and a locked file are tested beside the store, which alone can reach its connection.)

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
};

use keytile::store::{Store, StoreError};

use super::samples::Sample;
use crate::support::database::TestDatabase;

fn refused<T>(result: Result<T, StoreError>) -> StoreError {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let database = TestDatabase::sqlite();
    let text = "This is a letter, and not a database at all. ".repeat(200);
    fs::write(database.file(), &text).unwrap();
    let error = refused(Store::open(database.url()).await);
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    assert_eq!(fs::read_to_string(database.file()).unwrap(), text);
}

#[tokio::test]
async fn damaged_pages_are_noticed() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    for number in 0..50 {
        Sample::new(&format!("Credential {number}")).described(&"x".repeat(2_000)).insert(&store).await;
    }
    store.close().await;
    // Everything but the first page, as when a disk loses the rest.
    let file = OpenOptions::new().write(true).open(database.file()).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    file.write_all_at(&vec![0xA5; length - 4096], 4096).unwrap();
    let error = refused(Store::open(database.url()).await);
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
}

#[tokio::test]
async fn a_row_that_keytile_did_not_write_is_named() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    let id = Sample::new("Support EU").insert(&store).await;
    database.execute("UPDATE credentials SET connector = 'Not An Id'").await.unwrap();
    let error = refused(store.credential(id).await);
    assert!(matches!(error, StoreError::Row { table: "credentials", column: "connector" }), "{error:?}");
}

#[tokio::test]
async fn a_save_that_is_given_up_half_way_leaves_nothing() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    // Every future of a save is dropped after some number of polls, as if a browser had disconnected.
    let mut finished = false;
    for polls in 0..200 {
        let sample = Sample::new(&format!("Given up after {polls}"));
        let mut save = Box::pin(sample.try_insert(&store));
        let mut left = polls;
        let ended = std::future::poll_fn(|context| match save.as_mut().poll(context) {
            std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
            std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(false),
            std::task::Poll::Pending => {
                left -= 1;
                std::task::Poll::Pending
            }
        })
        .await;
        drop(save);
        let stored = store.credential(sample.id).await.unwrap();
        if ended {
            assert!(stored.is_some());
            finished = true;
            break;
        }
        if stored.is_some() {
            assert!(store.latest_verification(sample.id).await.unwrap().is_some(), "all of it, or nothing");
        }
    }
    assert!(finished, "a save needs fewer polls");
    Sample::new("The next one").insert(&store).await;
}
