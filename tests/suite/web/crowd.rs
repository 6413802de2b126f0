//! 10,000 connections that send nothing, to the program as it is run.

use std::{fs, io::ErrorKind, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::process::Program;

/// What this process needs beside the connections of the test: those of the tests that run beside it.
const RESERVE: u64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_send_nothing_cost_little_and_are_ended() {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let most = usize::try_from(descriptors.saturating_sub(RESERVE)).unwrap();
    // The program keeps a quarter of its own descriptors for other things.
    let crowd = 10_000.min(most).min(usize::try_from(descriptors / 4 * 3).unwrap() - 10);
    if crowd < 10_000 {
        eprintln!("only {descriptors} file descriptors are allowed here: {crowd} connections instead of 10,000");
    }
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_with(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let process = format!("/proc/{}", program.child.id());
    let mut silent = Vec::with_capacity(crowd);
    for _ in 0..crowd {
        silent.push(TcpStream::connect(&program.address).await.unwrap());
    }
    assert!(program.ask("GET /setup", "", "").await.starts_with("HTTP/1.1 200 "));
    // The crowd is still there: it was not waited for.
    let held = fs::read_dir(format!("{process}/fd")).unwrap().count();
    let memory = resident(&fs::read_to_string(format!("{process}/status")).unwrap());
    eprintln!("{crowd} silent connections: {held} descriptors, {memory} KiB");
    assert!(held > crowd / 2, "the connections are open: {held}");
    // The program itself takes some 32 MiB. Were hyper there for every connection, its buffer alone would be 80 more.
    assert!(memory < 110 * 1024, "{memory} KiB");
    let ended = async {
        for connection in &mut silent {
            match connection.read(&mut [0; 16]).await {
                Ok(0) => {}
                Ok(_) => panic!("something was said on a silent connection"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
    };
    timeout(Duration::from_secs(60), ended).await.expect("every silent connection is ended");
    assert!(program.ask("GET /setup", "", "").await.starts_with("HTTP/1.1 200 "));
}

/// The resident memory of a process, in KiB.
fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
