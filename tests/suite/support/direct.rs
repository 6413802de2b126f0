//! The database of a whole Keytile, looked at and changed behind its back; and people with passwords.

use keytile::{
    crypto::{password, random},
    domain::{
        audit::{
            Audit, AuditActor, AuditChain, AuditEvent,
            event::{ActorKind, AuditAction, AuditOutcome},
        },
        naming::Name,
        time::{Clock, Timestamp},
        users::{Email, Role, UserId, password::Password},
    },
    store::{NewUser, Store, UserInsert},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::server::{ADMINISTRATOR, Browser, PASSWORD, Page, Server, Setup};

impl Setup {
    /// Runs a statement on the embedded database.
    pub(crate) async fn execute(&self, statement: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The first column of each row that a query of the embedded database finds, which must be a text.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let rows = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// Who did what in the audit trail, oldest first, of the actions that begin like this: `name action outcome detail`.
    pub(crate) async fn trail(&self, action: &str) -> Vec<String> {
        let query = "SELECT actor_name || ' ' || action || ' ' || outcome || ' ' || detail FROM audit_events WHERE action LIKE";
        self.texts(&format!("{query} '{action}%' ORDER BY seq")).await
    }

    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.data_dir().join("keytile.db"));
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Makes an account beside Keytile.
    pub(crate) async fn person(&self, email: &str, password: Option<&str>) -> UserId {
        let store = Store::open(&format!("sqlite:{}", self.data_dir().join("keytile.db").display())).await.unwrap();
        let cost = &self.overrides.password_cost;
        let phc = password.map(|text| password::hash(&Password::typed(&text.into()).unwrap(), cost).unwrap());
        let now = self.clock.now();
        let (email, name) = (Email::parse(email).unwrap(), Name::parse("Ben").unwrap());
        let (id, role) = (random::new_id(now), Role::Editor);
        let new = NewUser { id, email: &email, name: &name, role, password: phc.as_deref(), created_at: now };
        assert_eq!(store.insert_user(&new, &audit(now)).await.unwrap(), UserInsert::Inserted);
        store.close().await;
        id
    }
}

impl Browser {
    /// Opens the sign-in and sends what was typed.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Page {
        self.get("/sign-in").await;
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }
}

impl Server {
    /// A browser in which the first administrator has just signed in with the password.
    pub(crate) async fn signed_in(&self) -> Browser {
        let mut browser = self.visitor();
        let page = browser.sign_in(ADMINISTRATOR, PASSWORD).await;
        assert_eq!(page.status, 303, "{}", page.text);
        browser
    }
}

/// What is recorded of an account that a test makes beside Keytile. Its link does not hold, as nobody's could.
fn audit(at: Timestamp) -> Audit<'static> {
    struct NoChain;
    impl AuditChain for NoChain {
        fn link(&self, before: &[u8; 32], _: &[u8]) -> [u8; 32] {
            *before
        }
    }
    let event = AuditEvent {
        at,
        actor: AuditActor { kind: ActorKind::Server, id: None, name: "test".into() },
        action: AuditAction::AddUser,
        target: None,
        outcome: AuditOutcome::Done,
        address: String::new(),
        request: String::new(),
        detail: String::new(),
    };
    Audit { event, chain: &NoChain }
}
