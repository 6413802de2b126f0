//! The audit trail: who did what, to what, from where, when, and how it ended. Never a credential value.
//!
//! Events form a chain: each hash covers the event and the previous hash, so that removing or changing an
//! event shows. An [`AuditChain`] provides the hash.

use serde::Serialize;
use uuid::Uuid;

use crate::domain::{credentials::CredentialId, ids::ConnectorId, time::Timestamp};

/// The longest text that an event keeps, in characters. The rest is cut off.
pub const TEXT_MAX: usize = 300;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// In the order in which filters list them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value that is stored and exported.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words!(
    /// What was done, or attempted.
    AuditAction {
        /// The first administrator was created.
        SetUp = "installation.set_up",
        /// By any method: password, single sign-on or link.
        SignIn = "session.sign_in",
        /// A code for two-step verification was checked.
        SecondFactor = "session.second_factor",
        /// Too many failures: sign-ins are refused for a while.
        SignInLimited = "session.limited",
        SignOut = "session.sign_out",
        /// One session was ended, or several at once.
        EndSession = "session.end",
        AddUser = "user.add",
        /// Name, email address or role changed.
        ChangeUser = "user.change",
        DisableUser = "user.disable",
        EnableUser = "user.enable",
        /// A link to choose a password was created.
        ResetPassword = "user.reset_password",
        ChangePassword = "user.change_password",
        EnableSecondFactor = "user.enable_second_factor",
        DisableSecondFactor = "user.disable_second_factor",
        RenewRecoveryCodes = "user.renew_recovery_codes",
        /// A user was linked to an identity at a single sign-on provider.
        LinkIdentity = "user.link_identity",
        /// Ownership of everything that one person owned was transferred.
        HandOver = "user.hand_over",
        AddGroup = "group.add",
        /// Its name or members changed.
        ChangeGroup = "group.change",
        DeleteGroup = "group.delete",
        AddCredential = "credential.add",
        /// Its name, description or field values changed.
        ChangeCredential = "credential.change",
        /// Either before it was saved or again later.
        VerifyCredential = "credential.verify",
        /// It changed who may use or manage a credential.
        ShareCredential = "credential.share",
        DeleteCredential = "credential.delete",
        CreateResource = "resource.create",
        /// The resource now uses another credential.
        ChangeResource = "resource.change",
        /// A test request was sent for a resource.
        PreviewResource = "resource.preview",
        /// An access token was given to an API client. Recorded at most once a minute for each key and
        /// resource.
        IssueToken = "resource.issue_token",
        DeleteResource = "resource.delete",
        AddKey = "api_key.add",
        RevokeKey = "api_key.revoke",
        /// Malformed, unknown, revoked or expired, or its owner is disabled.
        RejectKey = "api_key.reject",
        ExportAudit = "audit.export",
        /// Keytile was started with different settings.
        ChangeSettings = "settings.change",
        /// The role doesn't allow the action.
        Refused = "access.refused",
        /// The form carried no valid token of the session (CSRF).
        ForgedForm = "access.forged_form",
    }
);

words!(
    AuditOutcome {
        Done = "done",
        Failed = "failed",
        /// Not allowed.
        Refused = "refused",
    }
);

words!(
    /// The kind of thing that an event is about.
    TargetKind {
        User = "user",
        Group = "group",
        Session = "session",
        Credential = "credential",
        Resource = "resource",
        ApiKey = "api_key",
    }
);

words!(
    ActorKind {
        /// A user who is signed in or signing in.
        Person = "person",
        /// An API client.
        ApiKey = "api_key",
        /// A command on the server, or Keytile itself.
        Server = "server",
        /// Not authenticated.
        Nobody = "nobody",
    }
);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditActor {
    pub kind: ActorKind,
    /// The user; the owner of the key for an API key.
    pub id: Option<Uuid>,
    /// The email address, the name of the key, or the command.
    pub name: String,
}

/// What the action was applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTarget {
    pub kind: TargetKind,
    pub id: Uuid,
    /// Its name at the time of the event.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub actor: AuditActor,
    pub action: AuditAction,
    pub target: Option<AuditTarget>,
    pub outcome: AuditOutcome,
    /// The client's IP address; empty for a command on the server.
    pub address: String,
    /// The request id; empty for a command on the server.
    pub request: String,
    /// More information in Keytile's own words. Never a field value.
    pub detail: String,
}

/// An event as it is chained. Hashes and exports depend on the order of the fields: don't change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Its position in the chain; the first is 1.
    pub seq: i64,
    /// Milliseconds since the Unix epoch; never earlier than the previous record.
    pub at: i64,
    /// An [`ActorKind`].
    pub actor_kind: String,
    /// See [`AuditActor::id`].
    pub actor: Option<Uuid>,
    pub actor_name: String,
    /// An [`AuditAction`].
    pub action: String,
    /// A [`TargetKind`].
    pub target_kind: Option<String>,
    pub target: Option<Uuid>,
    /// Empty without a target.
    pub target_name: String,
    /// An [`AuditOutcome`].
    pub outcome: String,
    /// See [`AuditEvent::address`].
    pub address: String,
    /// See [`AuditEvent::request`].
    pub request: String,
    /// See [`AuditEvent::detail`].
    pub detail: String,
}

impl AuditRecord {
    /// Cuts texts at [`TEXT_MAX`] and replaces control characters with spaces.
    pub fn new(event: &AuditEvent, seq: i64, at: Timestamp) -> Self {
        let target = event.target.as_ref();
        Self {
            seq,
            at: at.as_millis(),
            actor_kind: event.actor.kind.as_str().to_owned(),
            actor: event.actor.id,
            actor_name: clean(&event.actor.name),
            action: event.action.as_str().to_owned(),
            target_kind: target.map(|target| target.kind.as_str().to_owned()),
            target: target.map(|target| target.id),
            target_name: target.map(|target| clean(&target.name)).unwrap_or_default(),
            outcome: event.outcome.as_str().to_owned(),
            address: clean(&event.address),
            request: clean(&event.request),
            detail: clean(&event.detail),
        }
    }

    /// What the hash covers: the record as JSON, in field order.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and ids always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}

/// Hashes a record together with the hash before it.
pub trait AuditChain: Send + Sync {
    /// `before` is 32 zeros for the first record.
    fn link(&self, before: &[u8; 32], record: &[u8]) -> [u8; 32];
}

/// An event and the chain to add it to. Every change in the store takes one and records it in the same
/// transaction, so an action that can't be recorded doesn't happen.
#[derive(Clone)]
pub struct Audit<'a> {
    pub event: AuditEvent,
    pub chain: &'a dyn AuditChain,
}

impl Audit<'_> {
    /// Adds more information in Keytile's own words. Never pass a field value.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.event.detail = detail.into();
        self
    }
}

/// A credential with the name that was searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCredential {
    pub id: CredentialId,
    pub connector: ConnectorId,
    pub name: String,
    /// The owner's email address.
    pub owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_none_is_used_twice() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::parse(action.as_str()), Some(*action));
        }
        for kind in TargetKind::ALL {
            assert_eq!(TargetKind::parse(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn a_record_is_one_line_of_bounded_length() {
        let event = AuditEvent {
            at: Timestamp::from_millis(1),
            actor: AuditActor { kind: ActorKind::Nobody, id: None, name: "a\r\nb".into() },
            action: AuditAction::SignIn,
            target: None,
            outcome: AuditOutcome::Failed,
            address: String::new(),
            request: String::new(),
            detail: "x".repeat(5_000),
        };
        let record = AuditRecord::new(&event, 7, Timestamp::from_millis(9));
        assert_eq!((record.actor_name.as_str(), record.detail.len()), ("a  b", TEXT_MAX));
        let text = String::from_utf8(record.to_bytes()).unwrap();
        assert!(text.starts_with("{\"seq\":7,\"at\":9,\"actor_kind\":\"nobody\","), "{text}");
        assert!(!text.contains('\n'));
    }
}
