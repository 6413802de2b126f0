//! The audit trail: who did what, on what, from where, when, and how it ended. Never a value.
//!
//! Events are chained: the hash of each is made of the event and of the hash before it, so that a removed
//! or changed one shows. Which hash that is, an [`AuditChain`] says.

use serde::Serialize;
use uuid::Uuid;

use crate::domain::{credentials::CredentialId, ids::ConnectorId, time::Timestamp};

/// The longest name or detail that an event keeps, in characters. The rest is cut off.
pub const TEXT_MAX: usize = 300;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order in which they are offered.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that is stored and exported.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What a word stands for.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words!(
    /// What was done, or tried.
    AuditAction {
        /// The first administrator was made.
        SetUp = "installation.set_up",
        /// A sign-in, with whatever proof.
        SignIn = "session.sign_in",
        /// The code of the second factor.
        SecondFactor = "session.second_factor",
        /// Too many failures: sign-ins are refused for a while.
        SignInLimited = "session.limited",
        /// A sign-out.
        SignOut = "session.sign_out",
        /// A session was ended from the list of sessions.
        EndSession = "session.end",
        /// An account was added.
        AddUser = "user.add",
        /// Name, e-mail address or role of an account was changed.
        ChangeUser = "user.change",
        /// An account was disabled.
        DisableUser = "user.disable",
        /// An account was enabled again.
        EnableUser = "user.enable",
        /// A link to choose a password was made.
        ResetPassword = "user.reset_password",
        /// A password was chosen.
        ChangePassword = "user.change_password",
        /// A second factor was set up.
        EnableSecondFactor = "user.enable_second_factor",
        /// A second factor was taken away.
        DisableSecondFactor = "user.disable_second_factor",
        /// New recovery codes were made.
        RenewRecoveryCodes = "user.renew_recovery_codes",
        /// Somebody is known at a provider of single sign-on from now on.
        LinkIdentity = "user.link_identity",
        /// Everything that one person owned was handed over.
        HandOver = "user.hand_over",
        /// A group was made.
        AddGroup = "group.add",
        /// Name or members of a group were changed.
        ChangeGroup = "group.change",
        /// A group was deleted.
        DeleteGroup = "group.delete",
        /// A credential was added.
        AddCredential = "credential.add",
        /// Name, description or field values of a credential were changed.
        ChangeCredential = "credential.change",
        /// A credential was verified, before it was saved or again.
        VerifyCredential = "credential.verify",
        /// It was said who may use or manage a credential.
        ShareCredential = "credential.share",
        /// A credential was deleted.
        DeleteCredential = "credential.delete",
        /// A resource was created.
        CreateResource = "resource.create",
        /// A resource was given another credential.
        ChangeResource = "resource.change",
        /// A request was made to see what a resource answers.
        PreviewResource = "resource.preview",
        /// An access token of the service was handed to a program; recorded once a minute for each key and resource.
        IssueToken = "resource.issue_token",
        /// A resource was deleted.
        DeleteResource = "resource.delete",
        /// An API key was made.
        AddKey = "api_key.add",
        /// An API key was revoked.
        RevokeKey = "api_key.revoke",
        /// Something was presented as an API key that is none, or not any more.
        RejectKey = "api_key.reject",
        /// The audit trail was exported.
        ExportAudit = "audit.export",
        /// Keytile was started with other settings than before.
        ChangeSettings = "settings.change",
        /// Something was asked for that the role does not allow.
        Refused = "access.refused",
        /// A form that no page of this session can have sent.
        ForgedForm = "access.forged_form",
    }
);

words!(
    /// How it ended.
    AuditOutcome {
        /// It was done.
        Done = "done",
        /// It was tried, and did not work.
        Failed = "failed",
        /// It was not allowed.
        Refused = "refused",
    }
);

words!(
    /// What kind of thing it was done to.
    TargetKind {
        /// An account.
        User = "user",
        /// A group.
        Group = "group",
        /// A session.
        Session = "session",
        /// A credential.
        Credential = "credential",
        /// A resource.
        Resource = "resource",
        /// An API key.
        ApiKey = "api_key",
    }
);

words!(
    /// Which kind of actor did it.
    ActorKind {
        /// Somebody who is signed in, or who is signing in to this account.
        Person = "person",
        /// A program with an API key.
        ApiKey = "api_key",
        /// A command on the server, or Keytile by itself.
        Server = "server",
        /// Somebody who is not known.
        Nobody = "nobody",
    }
);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditActor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// The account; that of the key's owner for an API key.
    pub id: Option<Uuid>,
    /// The e-mail address, the name of the key, or the command.
    pub name: String,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTarget {
    /// What kind of thing.
    pub kind: TargetKind,
    /// Its id.
    pub id: Uuid,
    /// Its name at that time.
    pub name: String,
}

/// Something that happened, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: AuditActor,
    /// What.
    pub action: AuditAction,
    /// On what.
    pub target: Option<AuditTarget>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The address it came from; empty for a command on the server.
    pub address: String,
    /// The id of the request; empty for a command on the server.
    pub request: String,
    /// What else there is to know, in words; never a value of a field.
    pub detail: String,
}

/// An event as it stands in the chain. The order of its fields is what is hashed and exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Its place in the chain; the first is 1.
    pub seq: i64,
    /// Milliseconds since the Unix epoch; never earlier than that of the record before.
    pub at: i64,
    /// See [`ActorKind`].
    pub actor_kind: String,
    /// The account of the actor.
    pub actor: Option<Uuid>,
    /// The name of the actor.
    pub actor_name: String,
    /// See [`AuditAction`].
    pub action: String,
    /// See [`TargetKind`].
    pub target_kind: Option<String>,
    /// What it was done to.
    pub target: Option<Uuid>,
    /// The name of what it was done to.
    pub target_name: String,
    /// See [`AuditOutcome`].
    pub outcome: String,
    /// The address it came from.
    pub address: String,
    /// The id of the request.
    pub request: String,
    /// What else there is to know.
    pub detail: String,
}

impl AuditRecord {
    /// The record of an event at a place in the chain. Texts are cut at [`TEXT_MAX`] and lose their control
    /// characters.
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

    /// The bytes that are hashed: the record as JSON, in the order of its fields.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and ids always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}

/// Makes the hash of a record from its bytes and the hash before it.
pub trait AuditChain: Send + Sync {
    /// The hash. The one before the first record is 32 zeros.
    fn link(&self, before: &[u8; 32], record: &[u8]) -> [u8; 32];
}

/// An event and the chain that it goes into. Every change of the store takes one and records it in the same
/// transaction, so that an action that cannot be recorded does not happen.
#[derive(Clone)]
pub struct Audit<'a> {
    /// The event.
    pub event: AuditEvent,
    /// The chain.
    pub chain: &'a dyn AuditChain,
}

impl Audit<'_> {
    /// The same, with what else there is to know. Words of Keytile's own, never a value of a field.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.event.detail = detail.into();
        self
    }
}

/// A credential that has a name which was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCredential {
    /// Its id.
    pub id: CredentialId,
    /// Its connector.
    pub connector: ConnectorId,
    /// Its name.
    pub name: String,
    /// The e-mail address of its owner.
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
