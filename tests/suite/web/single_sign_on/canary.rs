//! Nothing secret of a sign-in is in the log at its finest level, in the database, or in a page: not the client's
//! secret, the code, state, nonce and verifier, nor the tokens.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keytile::crypto::{envelope::Place, keyring::Keyring};
use reqwest::Client;

use super::*;
use crate::web::canary::find_none;

/// The program, with its log kept.
struct Program {
    child: Child,
    setup: Url,
    log: std::thread::JoinHandle<Vec<u8>>,
}

fn start(folder: &Path, port: u16, provider: &OidcProvider) -> Option<Program> {
    std::fs::write(folder.join("ca.pem"), pem(&provider.authority())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["serve", "--log-level=trace", "--log-format=json", "--extra-ca=ca.pem", "--sso-default-role=viewer"]);
    command.args([format!("--listen=127.0.0.1:{port}"), format!("--egress-pin={PROVIDER}={}", provider.address())]);
    command.args([format!("--sso-issuer=https://{PROVIDER}"), format!("--sso-client-id={}", SIGN_IN_CLIENT.id)]);
    command.current_dir(folder).env_clear().env("KEYTILE_SSO_CLIENT_SECRET", SIGN_IN_CLIENT.secret);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        errors.read_to_end(&mut log).unwrap();
        log
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let link = lines.filter_map(|line| Some(format!("http://{}", line.split_once("http://")?.1))).next();
    match link {
        Some(link) => Some(Program { child, setup: link.parse().unwrap(), log }),
        // Somebody else took the port meanwhile.
        None => {
            child.wait().unwrap();
            None
        }
    }
}

/// The program and its provider, which have to know each other's addresses.
async fn start_both(folder: &Path) -> (Program, OidcProvider) {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sign_in = SignIn {
            clients: vec![SIGN_IN_CLIENT],
            redirects: vec![format!("http://127.0.0.1:{port}/sign-in/sso/callback")],
            accounts: people(&["staff"]),
            claims_in_id_token: false,
            algorithm: "ES256",
        };
        let provider = OidcProvider::start_with_sign_in(&[PROVIDER], sign_in).await;
        if let Some(program) = start(folder, port, &provider) {
            return (program, provider);
        }
    }
    panic!("no port is free");
}

/// Sends a request with these cookies; answers the cookies that are set, where it leads, and all of the answer.
async fn get(client: &Client, url: &Url, cookie: &str) -> (Vec<String>, String, Vec<u8>) {
    let answer = client.get(url.clone()).header(header::COOKIE, cookie).send().await.unwrap();
    let headers = answer.headers().clone();
    let set = headers.get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let set = set.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect();
    let location = headers.get(header::LOCATION).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    (set, location, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_sign_in_comes_out_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, provider) = start_both(folder.path()).await;
    let client = plain_client();
    let typed = [
        ("token", program.setup.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned()),
        ("email", "root@example.test".to_owned()),
        ("name", "Root".to_owned()),
        ("password", "kiln glaze 77 Tuesday teapot".to_owned()),
        ("form_token", keytile::crypto::hash::form_token("none")),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&typed).finish();
    let post = client.post(program.setup.join("/setup").unwrap()).header(header::COOKIE, "keytile_session=none");
    let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").header("Sec-Fetch-Site", "same-origin");
    let made = post.body(body).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 303, "{}", made.text().await.unwrap());

    let mut secrets = vec![SIGN_IN_CLIENT.secret.to_owned()];
    let mut pages = Vec::new();
    // One sign-in succeeds, one is refused because its code was used, one is denied.
    let keyring = Keyring::load(&folder.path().join("keytile-data/keyring")).unwrap();
    for account in ["ada", "no-such-account"] {
        let (set, location, page) = get(&client, &program.setup.join("/sign-in/sso").unwrap(), "").await;
        pages.push(page);
        let cookie = set.iter().find(|cookie| cookie.starts_with(PENDING)).unwrap().clone();
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie.split_once('=').unwrap().1).unwrap();
        let kept: Value = serde_json::from_slice(&keyring.open_packed(&Place::pending_sign_in(), &sealed).unwrap()).unwrap();
        for name in ["state", "nonce", "pkce_verifier"] {
            secrets.push(kept["pending"][name].as_str().unwrap().to_owned());
        }
        secrets.push(cookie.split_once('=').unwrap().1.to_owned());
        let back = provider.sign_in(&location.parse().unwrap(), account).await;
        secrets.extend(back.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned()));
        let (set, location, page) = get(&client, &back, &cookie).await;
        pages.push(page);
        let session = set.iter().find(|cookie| cookie.starts_with("keytile_session=")).cloned();
        assert_eq!((session.is_some(), location.as_str()), if account == "ada" { (true, "/") } else { (false, "") });
        secrets.extend(session.as_ref().map(|session| session.split_once('=').unwrap().1.to_owned()));
        pages.push(get(&client, &program.setup.join("/").unwrap(), session.as_deref().unwrap_or_default()).await.2);
        // With the same code once more.
        pages.push(get(&client, &back, &cookie).await.2);
    }
    let again = pages.iter().filter(|page| String::from_utf8_lossy(page).contains("invalid_grant")).count();
    assert_eq!((again, secrets.len()), (1, 11));

    let killed = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    assert!(killed.success() && program.child.wait().unwrap().success());
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let mut places: Vec<(String, Vec<u8>)> = vec![("the log".into(), program.log.join().unwrap())];
    assert!(String::from_utf8_lossy(&places[0].1).contains("/sign-in/sso/callback"), "the log is at its finest level");
    for entry in std::fs::read_dir(folder.path().join("keytile-data")).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    places.extend(pages.into_iter().enumerate().map(|(number, page)| (format!("page {number}"), page)));
    for (place, bytes) in &places {
        find_none(place, bytes, &secrets);
        // Every JSON Web Token begins so: `{"` in base64.
        assert!(!bytes.windows(4).any(|window| window == b"eyJh"), "a token is in {place}");
    }
}
