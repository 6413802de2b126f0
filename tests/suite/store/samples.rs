//! Rows to store in tests. What is sealed is only bytes to the store, so here it is not encrypted.

use std::sync::atomic::{AtomicI64, Ordering};

use keytile::{
    crypto::{envelope::Sealed, random},
    domain::{
        audit::{
            Audit, AuditActor, AuditChain, AuditEvent,
            event::{ActorKind, AuditAction, AuditOutcome},
        },
        connectors::ConnectorId,
        credentials::{CredentialId, CredentialStatus, verification::Stage},
        naming::{Description, Name},
        resources::ResourceKind,
        time::Timestamp,
        users::{
            Email, Role, UserId,
            session::{SessionStage, SignInMethod},
        },
    },
    store::{
        CredentialInsert, CredentialQuery, CredentialRow, DraftKey, NewAccessToken, NewCredential, NewDraft, NewResource,
        NewSession, NewUser, NewVerification, ResourceInsert, RestsOn, Store,
    },
};
use uuid::Uuid;

/// The time at which things happen, unless a test says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// `NOW` plus this many milliseconds.
pub(crate) const fn later(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

pub(crate) fn connector(id: &str) -> ConnectorId {
    ConnectorId::new(id).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// An id that is younger than every one before it. Each is of a millisecond of its own, whatever time
/// it is in tests that run beside this one.
pub(crate) fn new_id() -> Uuid {
    static MADE: AtomicI64 = AtomicI64::new(0);
    random::new_id(later(MADE.fetch_add(1, Ordering::Relaxed)))
}

/// Sealed values that differ with `seed`.
pub(crate) fn sealed(seed: &str) -> Sealed {
    Sealed {
        key_id: "k1".into(),
        wrapped_key: format!("wrapped {seed}").into_bytes(),
        ciphertext: format!("ciphertext {seed}\0\u{ff}").into_bytes(),
    }
}

pub(crate) fn verification(status: CredentialStatus, at: Timestamp) -> NewVerification {
    let sealed = format!("diagnosis {}", at.as_millis()).into_bytes();
    NewVerification { id: new_id(), version: 1, at, stage: Stage::Token, status, duration_ms: 120, sealed }
}

/// An access token of a minute.
pub(crate) fn access_token(sealed: &[u8], expires_at: Timestamp) -> NewAccessToken {
    let before = |millis| Timestamp::from_millis(expires_at.as_millis() - millis);
    NewAccessToken { sealed: sealed.to_vec(), fetched_at: before(60_000), refresh_at: before(6_000), expires_at }
}

/// A credential to be stored, with what its fields point to.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) id: CredentialId,
    pub(crate) connector: ConnectorId,
    pub(crate) owner: UserId,
    pub(crate) name: Name,
    pub(crate) description: Description,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) status: CredentialStatus,
    pub(crate) draft: Option<DraftKey>,
}

impl Sample {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            id: new_id(),
            connector: connector("talkdesk"),
            owner: OWNER,
            name: name(text),
            description: Description::default(),
            fingerprint: text.as_bytes().to_vec(),
            status: CredentialStatus::Verified,
            draft: None,
        }
    }

    pub(crate) fn of(self, connector_id: &str) -> Self {
        Self { connector: connector(connector_id), ..self }
    }

    pub(crate) fn described(self, text: &str) -> Self {
        Self { description: Description::parse(text).unwrap(), ..self }
    }

    pub(crate) fn status(self, status: CredentialStatus) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn saving(self, draft: &NewDraft) -> Self {
        Self { draft: Some(DraftKey { id: draft.id, owner: draft.owner }), ..self }
    }

    pub(crate) async fn try_insert(&self, store: &Store) -> CredentialInsert {
        let new = NewCredential {
            id: self.id,
            connector: &self.connector,
            owner: self.owner,
            name: &self.name,
            description: &self.description,
            fingerprint: self.fingerprint.clone(),
            created_at: NOW,
            secret: sealed(self.name.as_str()),
            verification: verification(self.status, NOW),
            draft: self.draft,
        };
        user(store, self.owner).await;
        store.insert_credential(&new, &audit()).await.unwrap()
    }

    /// Stores it; returns its id.
    pub(crate) async fn insert(&self, store: &Store) -> CredentialId {
        assert_eq!(self.try_insert(store).await, CredentialInsert::Inserted);
        self.id
    }
}

/// A resource of a credential of `talkdesk`.
#[derive(Clone)]
pub(crate) struct SampleResource {
    pub(crate) id: Uuid,
    pub(crate) owner: UserId,
    pub(crate) kind: ResourceKind,
    pub(crate) name: Name,
    pub(crate) connector: ConnectorId,
    pub(crate) credential: CredentialId,
    pub(crate) form_id: Uuid,
}

impl SampleResource {
    pub(crate) fn new(text: &str, credential: CredentialId) -> Self {
        let connector = connector("talkdesk");
        Self { id: new_id(), owner: OWNER, kind: ResourceKind::Source, name: name(text), connector, credential, form_id: new_id() }
    }

    pub(crate) async fn try_insert(&self, store: &Store) -> ResourceInsert {
        self.try_insert_with(store, b"sealed endpoint").await
    }

    /// Stores it with this endpoint.
    pub(crate) async fn try_insert_with(&self, store: &Store, endpoint: &[u8]) -> ResourceInsert {
        let new = NewResource {
            id: self.id,
            kind: self.kind,
            owner: self.owner,
            name: &self.name,
            description: &Description::parse("Nightly").unwrap(),
            connector: &self.connector,
            credential: self.credential,
            endpoint,
            created_at: NOW,
            form_id: self.form_id,
        };
        user(store, self.owner).await;
        store.insert_resource(&new, &audit()).await.unwrap()
    }

    pub(crate) async fn insert(&self, store: &Store) -> Uuid {
        assert_eq!(self.try_insert(store).await, ResourceInsert::Inserted);
        self.id
    }
}

/// Whose things are, unless a test says otherwise.
pub(crate) const OWNER: UserId = Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0001);

/// The account of this id, stored if it is not there.
pub(crate) async fn user(store: &Store, id: UserId) {
    let (email, name) = (Email::parse(&format!("{id}@example.com")).unwrap(), name("Ana"));
    let new = NewUser { id, email: &email, name: &name, role: Role::Editor, password: None, created_at: NOW };
    let stored = store.insert_user(&new, &audit()).await;
    // Of several at the same moment, PostgreSQL tells the others of the id before it looks at the address.
    assert!(stored.is_ok() || store.user(id).await.unwrap().is_some(), "{stored:?}");
}

/// A new account, stored.
pub(crate) async fn new_user(store: &Store) -> UserId {
    let id = new_id();
    user(store, id).await;
    id
}

/// The chain of the tests: it mixes the bytes, no more.
struct TestChain;

impl AuditChain for TestChain {
    fn link(&self, before: &[u8; 32], record: &[u8]) -> [u8; 32] {
        std::array::from_fn(|i| record.iter().skip(i).step_by(32).fold(before[i], |sum, byte| sum.rotate_left(1) ^ byte))
    }
}

/// Something to record beside a change.
pub(crate) fn audit() -> Audit<'static> {
    let actor = AuditActor { kind: ActorKind::Server, id: None, name: "test".into() };
    let event = AuditEvent {
        at: NOW,
        actor,
        action: AuditAction::AddCredential,
        target: None,
        outcome: AuditOutcome::Done,
        address: String::new(),
        request: String::new(),
        detail: String::new(),
    };
    Audit { event, chain: &TestChain }
}

/// A session of somebody, to be stored.
pub(crate) fn session(owner: UserId, created_at: Timestamp, expires_at: Timestamp) -> NewSession {
    NewSession {
        hash: random::bytes(),
        id: new_id(),
        owner,
        stage: SessionStage::SignedIn,
        method: SignInMethod::Password,
        address: "192.0.2.7".into(),
        agent: "test".into(),
        created_at,
        expires_at,
    }
}

/// Starts a session of an account as it is now, in place of the one before it.
pub(crate) async fn start(store: &Store, session: &NewSession, before: Option<&NewSession>) {
    let version = store.user(session.owner).await.unwrap().unwrap().version;
    let rests_on = RestsOn::Account { version, before: before.map(|before| &before.hash) };
    assert!(store.start_session(session, rests_on, &audit()).await.unwrap());
}

/// A draft of `talkdesk` that expires after 15 minutes.
pub(crate) fn draft(owner: UserId) -> NewDraft {
    NewDraft {
        id: new_id(),
        owner,
        connector: connector("talkdesk"),
        sealed: b"sealed draft".to_vec(),
        version: 1,
        updated_at: NOW,
        expires_at: later(900_000),
    }
}

/// How many credentials there are; at most 100.
pub(crate) async fn count(store: &Store) -> usize {
    let all = CredentialQuery { viewer: OWNER, connector: None, search: None, after: None, limit: 100 };
    store.credentials_page(&all).await.unwrap().len()
}

/// The names on a page.
pub(crate) async fn names(store: &Store, query: &CredentialQuery<'_>) -> Vec<String> {
    store.credentials_page(query).await.unwrap().into_iter().map(|row: CredentialRow| row.summary.name).collect()
}
