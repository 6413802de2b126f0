//! `keytile apikey`, beside a Keytile that runs over the same database.

use std::{
    io,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use keytile::{
    domain::access::permission::Permission,
    service::{
        access::caller::{Caller, Origin},
        api_keys::{
            KeyCreation, RawApiKey,
            authenticate::{KeyCheck, KeyRejection},
        },
    },
};
use tracing_subscriber::filter::LevelFilter;

use crate::support::{
    clock::HOLDS_WITHIN,
    server::{ADMINISTRATOR, Setup},
};

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.arg("apikey").args(arguments).arg("--data-dir").arg(data_dir).env_clear().output().unwrap()
}

fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const ADD: [&str; 7] = ["add", "--name", "Nightly exports", "--owner", ADMINISTRATOR, "--scope", "proxy"];

#[tokio::test]
async fn a_key_is_made_listed_and_revoked_beside_a_running_server() {
    let setup = Setup::new();
    let server = setup.start().await;
    let data_dir = setup.data_dir();
    let service = setup.service().await;
    let made = run(&data_dir, &[&ADD[..], &["--scope", "resources:read"]].concat());
    assert!(made.status.success(), "{made:?}");
    let key = said(&made.stdout).trim_end().to_owned();
    assert_eq!(said(&made.stdout), format!("{key}\n"), "the key and nothing else");
    assert!(!said(&made.stderr).contains(&key[7..]), "{made:?}");
    let KeyCheck::Accepted(caller) = service.authenticate_key(&key, Origin::default()).await.unwrap() else { panic!("refused") };
    assert!(caller.may(Permission::Look));
    let listed = run(&data_dir, &["list"]);
    let lines: Vec<&str> = said(&listed.stdout).lines().collect();
    let columns: Vec<&str> = lines[0].split('\t').collect();
    assert_eq!(lines.len(), 1);
    let hint = format!("{}…", &key[..7]);
    assert_eq!(columns[1..6], [hint.as_str(), "Nightly exports", ADMINISTRATOR, "resources:read proxy", "never"]);
    assert_eq!(columns[7], "active");
    let revoked = run(&data_dir, &["revoke", columns[0]]);
    assert!(revoked.status.success() && revoked.stdout.is_empty(), "{revoked:?}");
    setup.clock.pass(HOLDS_WITHIN);
    let checked = service.authenticate_key(&key, Origin::default()).await.unwrap();
    assert_eq!(checked, KeyCheck::Rejected(KeyRejection::Revoked));
    assert!(said(&run(&data_dir, &["list"]).stdout).trim_end().ends_with("\trevoked"));
    service.close().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_by_its_flag_and_nothing_is_made() {
    let setup = Setup::new();
    let server = setup.start().await;
    let data_dir = setup.data_dir();
    for (arguments, sentence) in [
        (&["--expires", "tomorrow"][..], "--expires: Enter a number of days, or a date such as 2027-01-31."),
        (&["--resource", "7"], "--resource: “7” is not the id of a resource."),
        (&["--scope", "root"], "invalid value 'root' for '--scope <SCOPE>'"),
    ] {
        let refused = run(&data_dir, &[&ADD[..], arguments].concat());
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        assert!(said(&refused.stderr).contains(sentence), "{refused:?}");
    }
    let refused = run(&data_dir, &["add", "--name", "x", "--owner", "nobody@example.com", "--scope", "proxy"]);
    assert_eq!(said(&refused.stderr), "keytile: --owner: No active account has this email address.\n");
    let unknown = "01890000-0000-7000-8000-000000000001";
    let refused = run(&data_dir, &["revoke", unknown]);
    assert_eq!((refused.status.code(), said(&refused.stderr).contains(unknown)), (Some(1), true));
    assert!(run(&data_dir, &["list"]).stdout.is_empty());
    server.stop().await;
}

#[test]
fn a_mistyped_folder_is_not_taken_for_an_empty_keytile() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let refused = run(&absent, &["list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused.stderr).contains("is missing. Use the same"), "{refused:?}");
    assert!(!absent.exists());
}

/// The log at its finest level, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// On one thread, because the log that is looked at is that of this thread.
#[tokio::test]
async fn no_key_is_ever_in_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_writer(move || writer.clone());
    // While there is one subscriber only, whether anybody wants an event is asked of the thread that comes to it
    // first, which may be that of another test. A second one has all be asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::ERROR).finish());
    let _here = tracing::subscriber::set_default(log.finish());
    let setup = Setup::new();
    let server = setup.start().await;
    let service = setup.service().await;
    let raw = RawApiKey {
        owner: ADMINISTRATOR.into(),
        name: "Nightly exports".into(),
        scopes: vec!["proxy".into()],
        expires: "never".into(),
        ..RawApiKey::default()
    };
    let caller = Caller::server("test");
    let KeyCreation::Created { id, key } = service.create_api_key(&caller, service.new_form(), &raw).await.unwrap() else {
        panic!("no key");
    };
    let key = key.expose();
    let wrong = format!("{}!", &key[..51]);
    let mut shown = String::new();
    for presented in [key, &wrong, &key[..40]] {
        shown += &format!("{:?}", service.authenticate_key(presented, Origin::default()).await.unwrap());
    }
    service.revoke_api_key(&caller, id).await.unwrap();
    shown += &format!("{:?}", service.authenticate_key(key, Origin::default()).await.unwrap());
    let log = lines.0.lock().unwrap().clone();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("an API key was refused") && log.contains("revoked"), "{log}");
    for text in [&log, &shown] {
        assert!(!text.contains(&key[7..20]) && !text.contains(&key[20..40]), "{text}");
    }
    service.close().await;
    server.stop().await;
}
