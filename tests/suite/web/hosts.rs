//! Under which names Keytile answers, and what it says to browsers that came over HTTPS.

use crate::support::{
    raw::Raw,
    server::{Server, Setup},
};

async fn ask(server: &Server, path: &str, host: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Raw::with(server.listening, &request).await.rest().await
}

#[tokio::test]
async fn with_a_public_url_only_its_host_is_answered() {
    let server = Setup::new().with("--public-url=https://keytile.example").start_without_accounts().await;
    for own in ["keytile.example", "keytile.example:443"] {
        let answer = ask(&server, "/setup", own).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{own}: {answer}");
        assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    }
    let listening = server.listening.to_string();
    for other in [&*listening, "127.0.0.1", "localhost", "keytile.example:8440", "evil.example", "keytile.example.evil.example", ""]
    {
        let answer = ask(&server, "/setup", other).await;
        assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("strict-transport-security"), "{other}: {answer}");
        // A health check need not know the host name.
        assert!(ask(&server, "/healthz", other).await.starts_with("HTTP/1.1 200 "), "{other}");
        assert!(ask(&server, "/readyz", other).await.starts_with("HTTP/1.1 200 "), "{other}");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_one_loopback_names_are_answered() {
    let server = Setup::new().start_without_accounts().await;
    let port = server.listening.port();
    for own in ["127.0.0.1", "localhost", "[::1]"] {
        let answer = ask(&server, "/setup", &format!("{own}:{port}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("strict-transport-security"), "{own}: {answer}");
    }
    for other in ["keytile.example", "localhost", "127.0.0.1:1"] {
        assert!(ask(&server, "/setup", other).await.starts_with("HTTP/1.1 421 "), "{other}");
    }
    server.stop().await;
}

#[tokio::test]
async fn beyond_loopback_it_is_known_by_its_public_url_alone() {
    let mut setup = Setup::new().with("--public-url=http://keytile.example");
    setup.listen = "0.0.0.0:0".parse().unwrap();
    let mut server = setup.start_without_accounts().await;
    assert_eq!(server.address.as_str(), "http://keytile.example/");
    server.listening.set_ip([127, 0, 0, 1].into());
    assert!(ask(&server, "/setup", "keytile.example").await.starts_with("HTTP/1.1 200 "));
    let listening = server.listening.to_string();
    assert!(ask(&server, "/setup", &listening).await.starts_with("HTTP/1.1 421 "));
    server.stop().await;
}
