//! Which server is asked, with which key, and what is said when that leads to nothing.

use std::{fs, io::Write, net::TcpListener, os::unix::fs::PermissionsExt, thread};

use keytile::{
    domain::users::Role,
    service::{
        access::caller::Caller,
        users::admin::{PersonAdded, RawPerson},
    },
};

use super::{Keytile, start};
use crate::{
    api::make_key,
    support::{
        https::pem,
        server::{ADMINISTRATOR, PASSWORD, Setup},
        tls::Authority,
    },
};

#[tokio::test]
async fn a_key_file_is_taken_if_only_its_owner_may_read_it() {
    let (setup, server, keytile, _) = start().await;
    let file = setup.folder.path().join("key");
    fs::write(&file, format!("{}\n", keytile.key)).unwrap();
    let named = file.to_str().unwrap();
    let run = async |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = keytile.command(&["credentials", "list", "--key-file", named]);
        command.env_remove("KEYTILE_KEY");
        keytile.finish(command, "").await
    };
    run(0o600).await.is(0);
    for mode in [0o640, 0o604, 0o620] {
        let refused = run(mode).await.is(2);
        refused.says(&["--key-file: ", &format!("(mode {mode:04o}); run: chmod 600 {named}")]);
    }
    let folder = setup.folder.path().to_str().unwrap();
    keytile.run(&["credentials", "list", "--key-file", folder], "").await.is(2).says(&["is not a file"]);
    keytile.run(&["credentials", "list", "--key-file", "/absent"], "").await.is(2).says(&["/absent cannot be read"]);
    fs::write(&file, "kt_canary-1").unwrap();
    let refused = run(0o600).await.is(4);
    assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    server.stop().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let (_setup, server, keytile, _) = start().await;
    let mut command = keytile.command(&["credentials", "list"]);
    command.env_remove("KEYTILE_KEY");
    keytile.finish(command, "").await.is(4).says(&["there is no API key", "KEYTILE_KEY", "--key-file"]);
    let wrong = Keytile { key: "kt_canary-1".into(), ..keytile.clone() };
    wrong.run(&["credentials", "list"], "").await.is(4).says(&["KEYTILE_KEY: this is not a Keytile API key"]);
    // There is no flag for it.
    assert_eq!(keytile.run(&["credentials", "list", "--key", "kt_x"], "").await.code, Some(2));
    server.stop().await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let setup = Setup::new();
    let path = |name: &str| setup.folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = authority.pair(&["localhost"]);
    fs::write(path("certificate.pem"), certificate).unwrap();
    fs::write(path("key.pem"), key).unwrap();
    fs::write(path("ca.pem"), pem(&authority.certificate())).unwrap();
    fs::write(path("other.pem"), pem(&Authority::named("Another authority").certificate())).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (ca, other) = (path("ca.pem"), path("other.pem"));
    let tls = [format!("--tls-cert={}", path("certificate.pem")), format!("--tls-key={}", path("key.pem"))];
    let [certificate, key] = tls;
    let mut setup = setup.with(certificate).with(key).with(format!("--public-url=https://localhost:{port}"));
    setup.listen.set_port(port);
    let server = setup.start_without_accounts().await;
    let raw = RawPerson { email: ADMINISTRATOR.into(), name: "Ana".into(), role: Role::Administrator.as_str().into() };
    let added = server.service.add_person(&Caller::server("test"), &raw, Some(&PASSWORD.into())).await.unwrap();
    assert!(matches!(added, PersonAdded::Added { .. }));
    let key = make_key(&server, ADMINISTRATOR, "admin", None).await;
    let keytile = Keytile { server: format!("https://localhost:{port}"), key };
    keytile.done(&["credentials", "list", "--ca", &ca]).await;
    for arguments in [&["credentials", "list"][..], &["credentials", "list", "--ca", &other]] {
        let refused = keytile.run(arguments, "").await.is(7);
        refused.says(&["has a certificate from an authority that is not trusted; if it's your own, pass it with --ca"]);
    }
    keytile.run(&["credentials", "list", "--ca", "/absent"], "").await.is(2).says(&["--ca: /absent cannot be read"]);
    let by_number = Keytile { server: format!("https://127.0.0.1:{port}"), key: keytile.key.clone() };
    by_number.run(&["credentials", "list", "--ca", &ca], "").await.is(7).says(&["has a certificate that cannot be trusted"]);
    let plain = Keytile { server: format!("http://localhost:{port}"), key: keytile.key.clone() };
    assert_eq!(plain.run(&["credentials", "list"], "").await.code, Some(7));
    server.stop().await;
}

/// Answers everything with this text.
fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4_096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let _ = stream.write_all(text.as_bytes());
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn what_is_no_keytile_is_said_so_and_gets_nothing_more() {
    let (_setup, server, keytile, _) = start().await;
    let html = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<html";
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let unwell = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{";
    for (answer, code, sentence) in [
        (html, 1, "with JSON that this version of keytile does not understand"),
        (moved, 1, "with a redirect (status 302), which keytile doesn't follow"),
        (unwell, 7, "responded with status 503"),
        (cut, 7, "did not send a complete response"),
        ("", 7, "did not send a complete response"),
        ("SSH-2.0\r\n\r\n", 7, "did not send a complete response"),
    ] {
        let other = Keytile { server: answering(answer), key: keytile.key.clone() };
        let ran = other.run(&["credentials", "list"], "").await.is(code);
        ran.says(&[&format!("keytile: {} ", other.server), sentence]);
    }
    let unreachable = Keytile { server: "http://127.0.0.1:1".into(), key: keytile.key.clone() };
    unreachable.run(&["credentials", "list"], "").await.is(7).says(&["keytile: http://127.0.0.1:1 refused the connection"]);
    let tls = Keytile { server: keytile.server.replace("http://", "https://"), key: keytile.key.clone() };
    tls.run(&["credentials", "list"], "").await.is(7).says(&["did not respond with TLS"]);
    let wrong = Keytile { server: "https://ana:canary-1@host".into(), key: keytile.key.clone() };
    let refused = wrong.run(&["credentials", "list"], "").await.is(2);
    assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    refused.says(&["--server: the address contains a user name or password"]);
    server.stop().await;
}
