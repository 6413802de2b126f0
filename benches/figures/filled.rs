//! Databases to measure with.

use std::{path::Path, sync::Arc};

use clap::Parser;
use keytile::{
    app::{App, Overrides},
    config::Config,
    crypto::{envelope::Place, keyring::Keyring, random},
    domain::{
        connectors::{ConnectorId, FieldId},
        credentials::values::{FieldValue, FieldValues},
        time::{Clock, SystemClock},
    },
    service::{
        Service,
        access::caller::{Caller, Origin},
        auth::sessions::SessionState,
        users::setup::{RawSetUp, SetUpOutcome},
    },
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection};

use super::Outcome;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Cargo passes this to every benchmark.
    #[arg(long)]
    bench: bool,
}

/// A folder with a database, and the cookie header of the administrator who owns everything in it.
pub(super) struct Filled {
    pub(super) folder: tempfile::TempDir,
    pub(super) cookie: String,
}

/// The configuration of a Keytile with its data in this folder.
pub(super) fn config(folder: &Path, more: &[&str]) -> Config {
    let data_dir = format!("--data-dir={}", folder.display());
    let own = ["keytile", "--listen=127.0.0.1:0", &data_dir];
    Arguments::parse_from(own.iter().chain(more)).config
}

/// Creates the first administrator; returns the session cookie and the caller.
pub(super) async fn administrator(service: &Service) -> Outcome<(SecretString, Caller)> {
    let token = service.setup_token().await?.ok_or("an account already exists")?;
    let raw = RawSetUp {
        email: "ana@example.com".into(),
        name: "Ana".into(),
        password: "kiln glaze 77 Tuesday teapot".to_owned().into(),
    };
    let nobody = Caller::nobody("", Origin::default());
    let SetUpOutcome::Done(cookies) = service.set_up(&nobody, token.expose_secret(), &raw, "").await? else {
        return Err("the set-up was refused".into());
    };
    let SessionState::Live(session) = service.resume_session(cookies.session.expose_secret()).await? else {
        return Err("no one is signed in".into());
    };
    Ok((cookies.session, Caller::person(session.person, Origin::default())))
}

/// Creates a database with this many credentials of the administrator, with sealed values and a resource for every
/// third.
pub(super) async fn fill(credentials: usize) -> Outcome<Filled> {
    let folder = tempfile::tempdir()?;
    let app = App::build(&config(folder.path(), &[]), Arc::new(SystemClock), Overrides::default()).await?;
    let (cookie, ana) = administrator(app.service()).await?;
    let owner = ana.user().ok_or("an account")?;
    app.service().close().await;
    drop(app);
    let keyring = Keyring::load(&folder.path().join("keyring"))?;
    let mut database = SqliteConnection::connect(&format!("sqlite:{}", folder.path().join("keytile.db").display())).await?;
    let mut transaction = database.begin().await?;
    let talkdesk = ConnectorId::new("talkdesk").ok_or("no id")?;
    for number in 0..credentials {
        let now = SystemClock.now();
        let id = random::new_id(now);
        let name = format!("Desk {number:06}");
        let sealed = keyring.seal(&Place::credential_secret(id, 1, &talkdesk), &values(number)?.to_bytes());
        sqlx::query(
            "INSERT INTO credentials (id, connector, name, name_key, description, search_key, fingerprint, status, verified_at, created_at, version, owner, sharing)
             VALUES ($1, 'talkdesk', $2, $3, 'Nightly exports for the sales warehouse', $3, $4, 'verified', $5, $5, 1, $6, 'private')",
        )
        .bind(id)
        .bind(&name)
        .bind(name.to_lowercase())
        .bind(random::bytes::<32>().as_slice())
        .bind(now.as_millis())
        .bind(owner)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO credential_secrets (credential, version, state, created_at, key_id, wrapped_key, ciphertext)
             VALUES ($1, 1, 'active', $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(now.as_millis())
        .bind(&sealed.key_id)
        .bind(&sealed.wrapped_key)
        .bind(&sealed.ciphertext)
        .execute(&mut *transaction)
        .await?;
        if number % 3 == 0 {
            let resource = random::new_id(now);
            sqlx::query(
                "INSERT INTO resources (id, kind, name, name_key, description, connector, credential, endpoint, endpoint_version, created_at, version, form_id, owner)
                 VALUES ($1, 'source', $2, $2, '', 'talkdesk', $3, x'00', 1, $4, 1, $1, $5)",
            )
            .bind(resource)
            .bind(&name)
            .bind(id)
            .bind(now.as_millis())
            .bind(owner)
            .execute(&mut *transaction)
            .await?;
        }
    }
    transaction.commit().await?;
    sqlx::query("PRAGMA optimize").execute(&mut database).await?;
    database.close().await?;
    Ok(Filled { cookie: format!("keytile_session={}", cookie.expose_secret()), folder })
}

fn values(number: usize) -> Outcome<FieldValues> {
    let mut values = FieldValues::default();
    let account = format!("desk-{number}");
    for (field, value) in [
        ("client_id", "5f2c9a1e4d6b47f0a1b2c3d4e5f60718"),
        ("account_name", &account),
        ("region", "us"),
        ("authorization_prefix", "Basic"),
    ] {
        values.insert(FieldId::new(field).ok_or("a field id")?, FieldValue::Plain(value.to_owned()));
    }
    let secret = FieldId::new("client_secret").ok_or("a field id")?;
    values.insert(secret, FieldValue::Secret("x7Kq2mZp9vR4tYw8uJ3nB6cF1dG5hL0s".into()));
    Ok(values)
}
