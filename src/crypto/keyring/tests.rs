//! The keyring's file: its mode, that it's never overwritten, and that no error repeats a key.

use std::{os::unix::fs::symlink, sync::Barrier, thread};

use super::*;
use crate::crypto::envelope::Place;

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn refused<T>(result: Result<T, KeyringError>) -> KeyringError {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error,
    }
}

#[test]
fn a_new_keyring_is_private_and_opens_what_it_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let made = Keyring::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let place = Place::installation();
    let sealed = made.seal(&place, b"check");
    let loaded = Keyring::load(&path).unwrap();
    assert_eq!(sealed.key_id, "k1");
    assert_eq!(&*loaded.open(&place, &sealed).unwrap(), b"check");
    let as_variable = Keyring::parse(&fs::read_to_string(&path).unwrap().into()).unwrap();
    assert_eq!(&*as_variable.open(&place, &sealed).unwrap(), b"check");
}

#[test]
fn two_keyrings_have_different_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    Keyring::create(&a).unwrap();
    Keyring::create(&b).unwrap();
    assert_ne!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn a_keyring_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    fs::write(&path, "something else").unwrap();
    assert!(matches!(refused(Keyring::create(&path)), KeyringError::Exists { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
    // Nor is a file created where a link points to.
    let link = folder.path().join("link");
    symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(matches!(refused(Keyring::create(&link)), KeyringError::Exists { .. }));
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn only_the_keyring_is_left_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    Keyring::create(&path).unwrap();
    refused(Keyring::create(&path));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["keyring"]);
}

#[test]
fn an_unfinished_keyring_of_a_crash_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    fs::write(folder.path().join(".keyring.0011223344556677.new"), "active = \"k1\"\n[ke").unwrap();
    assert!(matches!(refused(Keyring::load(&path)), KeyringError::Missing { .. }));
    Keyring::create(&path).unwrap();
    assert!(Keyring::load(&path).is_ok());
}

#[test]
fn of_many_creators_one_makes_it_and_every_reader_sees_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("keyring {round}"));
        let start = Barrier::new(8);
        let create = || {
            start.wait();
            match Keyring::create(&path) {
                Ok(made) => (true, made),
                Err(KeyringError::Exists { .. }) => (false, Keyring::load(&path).unwrap()),
                Err(error) => panic!("{error}"),
            }
        };
        // Reads as often as possible: at every moment there is no file, or one that loads.
        let read = || {
            start.wait();
            loop {
                match Keyring::load(&path) {
                    Ok(keyring) => return (false, keyring),
                    Err(KeyringError::Missing { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let keyrings: Vec<_> = thread::scope(|scope| {
            let creators: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
            creators.into_iter().chain(readers).map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(keyrings.iter().filter(|(made, _)| *made).count(), 1);
        let sealed = keyrings[0].1.seal(&Place::installation(), b"check");
        assert!(keyrings.iter().all(|(_, keyring)| keyring.open(&Place::installation(), &sealed).is_ok()));
    }
}

#[test]
fn a_file_that_others_may_read_or_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    Keyring::create(&path).unwrap();
    for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let sentence = refused(Keyring::load(&path)).to_string();
        assert!(sentence.contains("--keyring") && sentence.contains("chmod 600"), "{sentence}");
        assert!(sentence.contains(&format!("{mode:04o}")), "{sentence}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(Keyring::load(&path).is_ok());
    }
}

#[test]
fn a_missing_file_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(Keyring::load(&folder.path().join("none"))), KeyringError::Missing { .. }));
    assert!(matches!(refused(Keyring::load(folder.path())), KeyringError::NoFile { .. }));
    let nowhere = folder.path().join("no-folder").join("keyring");
    assert!(matches!(refused(Keyring::create(&nowhere)), KeyringError::Unwritable { .. }));
}

#[test]
fn no_error_repeats_what_the_keyring_holds() {
    let canary = "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXk";
    for (text, line) in [
        (format!("active = \"k1\"\n[keys]\nk1 = \"{canary}\"\n"), Some(3)),
        (format!("active = \"k1\"\n[keys]\nk1 = \"{KEY}\"\nk1 = \"{canary}\"\n"), Some(4)),
        (format!("active = \"k1\"\n[keys]\nk1 = [\"{canary}\"]\n"), Some(3)),
        (format!("active = \"k1\"\n[keys]\nk1 = \"{canary}\n"), Some(3)),
        (format!("active = \"k1\"\n{canary} = 1\n[keys]\nk1 = \"{KEY}\"\n"), Some(2)),
        (format!("[keys]\nk1 = \"{canary}=\"\n"), None),
        (canary.to_owned(), None),
        (String::new(), None),
        (format!("active = \"{canary}\"\n[keys]\nk1 = \"{KEY}\"\n"), None),
        (format!("active = \"k1\"\n[keys]\nk1 = \"{KEY}\"\n\"{canary}\n\" = \"{KEY}\"\n"), None),
        (format!("active = \"k1\"\n[keys]\nk1 = \"{KEY}\"\n{canary} = \"{KEY}\"\n"), None),
    ] {
        let error = refused(Keyring::parse(&text.clone().into()));
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("canary") && !printed.contains(&canary[..8]), "{printed}");
        assert!(printed.contains("--keyring"), "{printed}");
        if let Some(line) = line {
            assert!(printed.contains(&format!("line {line}")), "{text}: {printed}");
        }
    }
}

#[test]
fn a_key_has_32_bytes() {
    for key in
        ["", "AQ==", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"]
    {
        let text = format!("active = \"k1\"\n[keys]\nk1 = \"{key}\"\n");
        assert!(matches!(refused(Keyring::parse(&text.into())), KeyringError::Malformed { line: Some(3) }), "{key}");
    }
    assert!(Keyring::parse(&format!("active = \"k1\"\n[keys]\nk1 = \"{KEY}\"\n").into()).is_ok());
}
