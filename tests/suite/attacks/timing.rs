//! What the time of an answer could tell, by the work that is done for it: how often the database is asked of a key.
//! That each sign-in hashes one password, whoever it is for, is counted in `web/sign_in.rs`.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use keytile::{
    crypto::{keyring::Keyring, random},
    domain::api_keys::ApiKeyText,
    service::{
        Service,
        access::caller::{Caller, Origin},
        api_keys::{
            KeyCreation, RawApiKey,
            authenticate::{KeyCheck, KeyRejection},
        },
    },
};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

use crate::support::{
    database::TestDatabase,
    server::{ADMINISTRATOR, Setup},
};

/// The statements that this thread sends to PostgreSQL.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<u8>>>);

impl Write for Statements {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Statements {
    /// How many asked for keys since the last time.
    fn about_keys(&self) -> usize {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.matches("FROM api_keys").count()
    }
}

/// Creates a key that ends as given; returns its text.
async fn key(service: &Service, name: &str, expires: &str) -> (keytile::domain::api_keys::ApiKeyId, String) {
    let raw = RawApiKey {
        owner: ADMINISTRATOR.into(),
        name: name.into(),
        scopes: vec!["proxy".into()],
        expires: expires.into(),
        ..RawApiKey::default()
    };
    match service.create_api_key(&Caller::server("test"), service.new_form(), &raw).await.unwrap() {
        KeyCreation::Created { id, key } => (id, key.expose().to_owned()),
        KeyCreation::AlreadyMade(_) | KeyCreation::Invalid(_) => panic!("no key {name}"),
    }
}

// One thread, so that what is logged is what this test does. Over PostgreSQL: SQLite works on a thread of its own.
#[tokio::test]
async fn the_database_is_asked_as_often_whatever_becomes_of_a_key() {
    let database = TestDatabase::postgres().await;
    let setup = Setup::new().with(format!("--database-url={}", database.url()));
    let keyring = setup.folder.path().join("keyring-of-this-test");
    Keyring::create(&keyring).unwrap();
    let setup = setup.with(format!("--keyring={}", keyring.display()));
    let server = setup.start().await;
    let service = &server.service;
    let right = key(service, "Right", "never").await.1;
    let expired = key(service, "Expired", "30").await.1;
    let (id, revoked) = key(service, "Revoked", "never").await;
    assert!(service.revoke_api_key(&Caller::server("test"), id).await.unwrap());
    setup.clock.advance(std::time::Duration::from_secs(31 * 86_400));
    let unknown = ApiKeyText::from_bytes(&random::bytes()).expose().to_owned();
    let last = right.chars().last().unwrap();
    let malformed = format!("{}{}", &right[..right.len() - 1], if last == '0' { '1' } else { '0' });
    // Another instance, which has seen none of them.
    let fresh = setup.service().await;
    let statements = Statements::default();
    let sink = statements.clone();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || sink.clone());
    // While there is one subscriber only, whether anybody wants an event is asked of the thread that comes to it
    // first, which may be that of another test. A second one has all be asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry().with(LevelFilter::ERROR));
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(LevelFilter::DEBUG).with(lines));
    let cases = [
        ("right", &right, None, 1),
        ("unknown", &unknown, Some(KeyRejection::Unknown), 1),
        ("expired", &expired, Some(KeyRejection::Expired), 1),
        ("revoked", &revoked, Some(KeyRejection::Revoked), 1),
        // Malformed keys are recognized by their own characters, which the sender knows anyway.
        ("malformed", &malformed, Some(KeyRejection::Malformed), 0),
    ];
    for (name, key, reason, asked) in cases {
        for (time, asked) in [("first", asked), ("second", 0), ("third", 0)] {
            statements.about_keys();
            let found = match fresh.authenticate_key(key, Origin::default()).await.unwrap() {
                KeyCheck::Accepted(_) => None,
                KeyCheck::Rejected(reason) => Some(reason),
            };
            assert_eq!(found, reason, "{name}");
            assert_eq!(statements.about_keys(), asked, "the {time} look at the {name} key");
        }
    }
    fresh.close().await;
    server.stop().await;
}
