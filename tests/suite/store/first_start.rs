//! The first start: which keyring an instance takes, also when others start at the same moment.

use std::{os::unix::fs::symlink, path::Path, sync::Barrier, thread};

use keytile::{
    app::{StartError, open_storage},
    config::StorageConfig,
    crypto::{
        envelope::Place,
        keyring::{Keyring, KeyringError},
    },
};

use super::samples::NOW;

fn config(folder: &Path) -> StorageConfig {
    StorageConfig { data_dir: folder.join("data"), database_url: None, keyring: None }
}

/// Starts over this folder, seals the check value as every start does, so that slower ones find sealed rows.
/// Answers whether it made the keyring, and whether its keyring opens the check value that is stored.
async fn start(config: &StorageConfig) -> (bool, bool) {
    let (store, keyring, made) = open_storage(config).await.map_err(|error| error.to_string()).unwrap();
    let check = keyring.seal_packed(&Place::installation(), b"check");
    store.set_installation_if_absent(NOW, &check).await.unwrap();
    let check = store.installation().await.unwrap().unwrap();
    store.close().await;
    (made.is_some(), keyring.open_packed(&Place::installation(), &check).is_ok())
}

#[test]
fn instances_that_start_together_take_the_same_keyring() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let (config, together) = (config(folder.path()), Barrier::new(6));
        let instance = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            together.wait();
            runtime.block_on(start(&config))
        };
        let started: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(instance)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(started.iter().filter(|(made, _)| *made).count(), 1, "one says that it made the keyring");
        assert!(started.iter().all(|(_, opened)| *opened), "{started:?}");
    }
}

#[tokio::test]
async fn a_keyring_that_is_really_gone_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (store, keyring, made) = open_storage(&config).await.map_err(|error| error.to_string()).unwrap();
    store.set_installation_if_absent(NOW, &keyring.seal_packed(&Place::installation(), b"check")).await.unwrap();
    store.close().await;
    let path = made.unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = open_storage(&config).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("is missing, but the database already contains sealed values"), "{error}");
    assert!(!path.exists(), "no new keyring is made beside sealed rows");
    Keyring::create(&path).unwrap();
    let (store, ..) = open_storage(&config).await.map_err(|error| error.to_string()).unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_link_to_nowhere_is_no_place_for_a_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    std::fs::create_dir(folder.path().join("data")).unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("data/keyring")).unwrap();
    let error = open_storage(&config).await.map(drop).unwrap_err();
    assert!(matches!(error, StartError::Keyring(KeyringError::Exists { .. })), "{error}");
    assert!(!folder.path().join("nowhere").exists());
}
