//! The chain of the audit trail, as `keytile audit` checks it: it holds however many write at once, and whatever is done
//! to it behind Keytile's back is found at its place.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use clap::Parser;
use futures_util::future::join_all;
use keytile::{
    app::open_service,
    config::StorageConfig,
    crypto::keyring::Keyring,
    domain::{
        audit::chain::{ChainBreak, ChainPoint},
        time::SystemClock,
    },
    service::{Service, access::caller::Caller},
};

use super::on_both_databases;
use crate::support::database::TestDatabase;

on_both_databases!(
    an_empty_trail_holds,
    writers_of_two_instances_make_one_chain,
    what_was_done_behind_its_back_is_found_at_its_place,
    an_end_that_was_cut_off_and_set_back_is_found_by_a_note,
    the_command_checks_and_exports_beside_a_server,
);

/// A database, the keyring beside it, and the services over it.
struct Place {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(database: TestDatabase) -> Self {
        let place = Self { database, folder: tempfile::tempdir().unwrap() };
        Keyring::create(&place.keyring()).unwrap();
        place
    }

    fn keyring(&self) -> PathBuf {
        self.folder.path().join("keyring")
    }

    fn flags(&self) -> [String; 2] {
        [format!("--database-url={}", self.database.url()), format!("--keyring={}", self.keyring().display())]
    }

    async fn service(&self) -> Service {
        #[derive(Parser)]
        struct Arguments {
            #[command(flatten)]
            storage: StorageConfig,
        }
        let data = format!("--data-dir={}", self.folder.path().join("data").display());
        let arguments = Arguments::parse_from(["keytile".to_owned(), data].into_iter().chain(self.flags()));
        open_service(&arguments.storage, Arc::new(SystemClock)).await.unwrap()
    }

    /// Runs the program.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
        command.args(arguments).args(self.flags()).current_dir(self.folder.path()).env_clear();
        command.output().unwrap()
    }
}

/// Records this many events.
async fn fill(service: &Service, events: usize) {
    for number in 0..events {
        service.record_forged_form(&Caller::server("test"), &format!("/event/{number}")).await.unwrap();
    }
}

async fn check(service: &Service, noted: Option<ChainPoint>) -> Result<ChainPoint, ChainBreak> {
    service.check_audit(&Caller::server("test"), noted).await.unwrap()
}

async fn an_empty_trail_holds(database: TestDatabase) {
    let place = Place::new(database);
    let service = place.service().await;
    assert_eq!(check(&service, None).await, Ok(ChainPoint::BEGINNING));
    service.close().await;
}

async fn writers_of_two_instances_make_one_chain(database: TestDatabase) {
    let place = Place::new(database);
    let instances = [place.service().await, place.service().await];
    let writers = (0..8).map(|number| {
        let service = instances[number % 2].clone();
        tokio::spawn(async move { fill(&service, 15).await })
    });
    // Checks while they write: what it has seen of the chain holds at every moment.
    let checker = instances[0].clone();
    let checks = tokio::spawn(async move {
        for _ in 0..5 {
            check(&checker, None).await.unwrap();
        }
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    checks.await.unwrap();
    let last = check(&instances[1], None).await.unwrap();
    assert_eq!(last.seq, 120);
    assert_eq!(instances[0].audit_end().await.unwrap(), last);
    for instance in instances {
        instance.close().await;
    }
}

async fn what_was_done_behind_its_back_is_found_at_its_place(database: TestDatabase) {
    let place = Place::new(database);
    let service = place.service().await;
    fill(&service, 12).await;
    let copy = "CREATE TABLE kept AS SELECT * FROM audit_events; CREATE TABLE kept_head AS SELECT * FROM audit_head";
    place.database.execute(copy).await.unwrap();
    let bytes = if place.database.is_postgres() { "decode(repeat('ab', 32), 'hex')" } else { "zeroblob(32)" };
    let insert = |seq: i64| {
        format!(
            "INSERT INTO audit_events SELECT {seq}, at, actor_kind, actor, actor_name, action, target_kind, target, target_name,
             outcome, address, request, detail, {bytes} FROM kept WHERE seq = 12"
        )
    };
    let changed = |seq| ChainBreak::Changed { seq };
    let mut cases = vec![
        ("DELETE FROM audit_events WHERE seq = 5".to_owned(), ChainBreak::Removed { from: 5, to: 5 }),
        ("DELETE FROM audit_events WHERE seq < 4".to_owned(), ChainBreak::Removed { from: 1, to: 3 }),
        ("DELETE FROM audit_events WHERE seq > 9".to_owned(), ChainBreak::CutOff { last: 9, recorded: 12 }),
        ("DELETE FROM audit_events".to_owned(), ChainBreak::CutOff { last: 0, recorded: 12 }),
        (format!("UPDATE audit_events SET hash = {bytes} WHERE seq = 7"), changed(7)),
        ("UPDATE audit_events SET hash = (SELECT hash FROM kept WHERE seq = 6) WHERE seq = 7".to_owned(), changed(7)),
        // Two change places, by a third that is free.
        (
            "UPDATE audit_events SET seq = 99 WHERE seq = 3; UPDATE audit_events SET seq = 3 WHERE seq = 8;
             UPDATE audit_events SET seq = 8 WHERE seq = 99"
                .to_owned(),
            changed(3),
        ),
        // One is taken out and those behind it move up, the end with them.
        (
            "DELETE FROM audit_events WHERE seq = 6; UPDATE audit_events SET seq = -seq WHERE seq > 6;
             UPDATE audit_events SET seq = -seq - 1 WHERE seq < 0; UPDATE audit_head SET seq = 11"
                .to_owned(),
            changed(6),
        ),
        (insert(13), changed(13)),
        (insert(0), ChainBreak::Inserted { seq: 0 }),
        (insert(-4), ChainBreak::Inserted { seq: -4 }),
        (insert(20), ChainBreak::Removed { from: 13, to: 19 }),
        (format!("UPDATE audit_head SET hash = {bytes}"), ChainBreak::OtherEnd { seq: 12 }),
        ("UPDATE audit_head SET seq = 11".to_owned(), ChainBreak::Added { seq: 12 }),
        ("UPDATE audit_head SET seq = 14".to_owned(), ChainBreak::CutOff { last: 12, recorded: 14 }),
    ];
    for (column, value) in [
        ("at", "at + 1"),
        ("actor_kind", "'nobody'"),
        ("actor_name", "'somebody else'"),
        ("action", "'session.sign_in'"),
        ("target_kind", "'user'"),
        ("target_name", "'x'"),
        ("outcome", "'done'"),
        ("address", "'192.0.2.1'"),
        ("request", "'x'"),
        ("detail", "''"),
    ] {
        cases.push((format!("UPDATE audit_events SET {column} = {value} WHERE seq = 4"), changed(4)));
    }
    for column in ["actor", "target"] {
        let id = if place.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
        cases.push((format!("UPDATE audit_events SET {column} = {id} WHERE seq = 12"), changed(12)));
    }
    for (statements, expected) in cases {
        place.database.execute(&statements).await.unwrap();
        assert_eq!(check(&service, None).await, Err(expected), "{statements}");
        let restore = "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept;
            DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head";
        place.database.execute(restore).await.unwrap();
        assert_eq!(check(&service, None).await.unwrap().seq, 12);
    }
    service.close().await;
}

async fn an_end_that_was_cut_off_and_set_back_is_found_by_a_note(database: TestDatabase) {
    let place = Place::new(database);
    let service = place.service().await;
    fill(&service, 4).await;
    let early = service.audit_end().await.unwrap();
    fill(&service, 4).await;
    let noted = service.audit_end().await.unwrap();
    assert_eq!(check(&service, Some(noted)).await, Ok(noted));
    let cut = "DELETE FROM audit_events WHERE seq > 4; UPDATE audit_head SET seq = 4,
        hash = (SELECT hash FROM audit_events WHERE seq = 4)";
    place.database.execute(cut).await.unwrap();
    assert_eq!(check(&service, None).await, Ok(early), "by itself it looks whole");
    assert_eq!(check(&service, Some(noted)).await, Err(ChainBreak::NotedMissing { seq: 8, last: 4 }));
    // Keytile goes on where it was cut, and the note still tells.
    fill(&service, 6).await;
    assert_eq!(check(&service, Some(noted)).await, Err(ChainBreak::NotAsNoted { seq: 8 }));
    assert_eq!(check(&service, Some(early)).await.unwrap().seq, 10);
    service.close().await;
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn the_command_checks_and_exports_beside_a_server(database: TestDatabase) {
    let place = Place::new(database);
    let service = place.service().await;
    fill(&service, 1_100).await;
    // Other processes record their exports while this one records events.
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let exports: Vec<_> = (0..3).map(|_| scope.spawn(|| place.run(&["audit", "export"]))).collect();
        exports.into_iter().map(|export| export.join().unwrap()).collect()
    });
    for output in &outputs {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines: Vec<serde_json::Value> = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(lines.len() > 1_100, "{}", lines.len());
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line["seq"], index + 1);
        }
        let last = lines.last().unwrap();
        assert_eq!((&last["action"], &last["actor_name"]), (&"audit.export".into(), &"keytile audit export".into()));
        assert_eq!(last["detail"], "all events");
        assert!(last["time"].as_str().unwrap().ends_with('Z') && last["hash"].as_str().unwrap().len() == 64);
    }
    let end = service.audit_end().await.unwrap();
    assert_eq!(end.seq, 1_103);
    let verified = place.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert_eq!(text(&verified.stdout), format!("1103 events, the chain holds. Last event: {end}\n"));
    assert!(place.run(&["audit", "verify", "--expect", &end.to_string()]).status.success());
    let narrow = place.run(&["audit", "export", "--from", "2020-01-01", "--to", "2020-01-02T03:04:05Z"]);
    assert!(narrow.status.success() && narrow.stdout.is_empty(), "{}", text(&narrow.stderr));
    let today = place.run(&["audit", "export", "--from", "2020-01-01"]);
    assert_eq!(text(&today.stdout).lines().count(), 1_105);
    place.database.execute("UPDATE audit_events SET actor_name = 'x' WHERE seq = 1050").await.unwrap();
    let broken = place.run(&["audit", "verify"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(
        text(&broken.stderr),
        "keytile: the chain of the audit trail is broken: event 1050 was changed, or another was put in its place\n"
    );
    service.close().await;
}

#[test]
fn where_there_is_no_database_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let run = |folder: &Path, command: &str| {
        let mut keytile = Command::new(env!("CARGO_BIN_EXE_keytile"));
        keytile.args(["audit", command]).current_dir(folder).env_clear().output().unwrap()
    };
    for command in ["verify", "export"] {
        let output = run(folder.path(), command);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("--data-dir: there is no database at"), "{}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    for wrong in ["12", "12:zz", "x"] {
        let mut keytile = Command::new(env!("CARGO_BIN_EXE_keytile"));
        let output = keytile.args(["audit", "verify", "--expect", wrong]).current_dir(&folder).env_clear().output().unwrap();
        assert!(!output.status.success() && text(&output.stderr).contains("SEQ:HASH"), "{}", text(&output.stderr));
    }
}
