//! The database: the only place with SQL. It sees ciphertext only; what is sealed is opened elsewhere.
//!
//! One set of statements serves SQLite and PostgreSQL. What was not found is `Ok(None)`, and what
//! another person did at the same time (a name taken, a credential gone) is a variant of the answer;
//! a [`StoreError`] means that the database did not do its work.

mod access_epoch;
mod access_tokens;
mod api_keys;
mod audit;
mod audit_trail;
mod credential_change;
mod credentials;
mod database;
mod drafts;
mod error;
mod groups;
mod hand_over;
mod history;
mod identities;
mod installation;
pub mod lookups;
pub mod migrations;
mod opening;
mod password_links;
mod people;
mod readers;
mod readiness;
mod resources;
mod second_factor;
mod sessions;
mod shares;
mod sign_in_limits;
mod token_fetches;
mod users;
mod verifications;

pub use self::access_tokens::{AccessTokenRow, NewAccessToken, TokenFailure, TokenRow};
pub use self::api_keys::{ApiKeyInsert, ApiKeyOwner, ApiKeyResource, ApiKeyRow, NewApiKey};
pub use self::audit_trail::{AuditCredential, AuditEnd, AuditOrder, AuditRow, AuditSelection};
pub use self::credential_change::{CredentialChange, CredentialChanged, NewValues};
pub use self::credentials::{CredentialDelete, CredentialInsert, CredentialQuery, CredentialRow, DraftKey, NewCredential, Owner};
pub use self::drafts::{DraftRow, DraftState, NewDraft};
pub use self::error::StoreError;
pub use self::groups::{GroupChange, GroupMember, GroupRow, GroupShare};
pub use self::hand_over::{HandOver, HandOverResult, HandedOver, Owned, Renamed};
pub use self::history::{HistoryOf, HistoryQuery, HistoryRow, NewHour};
pub use self::identities::{Identity, IdentityLink, IdentityUserInsert};
pub use self::password_links::NewPasswordLink;
pub use self::people::{StateChange, UserChange, UserChanged};
pub use self::readiness::Connections;
pub use self::resources::{NewResource, ResourceChange, ResourceDelete, ResourceInsert, ResourceRow, ResourceUpdate};
pub use self::second_factor::SecondFactorRow;
pub use self::sessions::{ExpiredSessions, ListedSession, NewSession, RestsOn, SessionRow};
pub use self::shares::{NewShare, ShareChange, ShareRow, ShareWith, Sharee};
pub use self::sign_in_limits::{CountedAttempt, Reservation, SignInBucket};
pub use self::token_fetches::{FetchStored, NewLease};
pub use self::users::{FIRST_VERSION, NewUser, UserInsert, UserRow, UserToSignIn};
pub use self::verifications::{NewVerification, VerificationRow};

/// The stored state of one Keytile. Cheap to clone; every clone uses the same connections.
#[derive(Clone)]
pub struct Store {
    database: database::Db,
}

#[cfg(test)]
mod tests;
