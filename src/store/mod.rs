//! The database: the only place with SQL. It sees only ciphertext; sealed values are opened elsewhere.
//!
//! One set of statements serves SQLite and PostgreSQL. "Not found" is `Ok(None)`, and a conflict with another
//! user's change (a name taken, a credential deleted) is a variant of the result. A [`StoreError`] means that
//! the database failed.

mod access;
mod api_keys;
mod audit;
mod auth;
mod credentials;
mod database;
mod error;
pub mod migrations;
mod open;
mod operations;
pub mod queries;
mod resources;
mod sqlite_readers;
mod tokens;
mod usage;
mod users;

pub use self::access::groups::GroupChange;
pub use self::access::shares::{NewShare, ShareChange, ShareRow, ShareWith, Sharee};
pub use self::access::transfer::{HandOver, HandOverResult};
pub use self::api_keys::{ApiKeyInsert, ApiKeyOwner, ApiKeyResource, ApiKeyRow, NewApiKey};
pub use self::audit::trail::{AuditEnd, AuditOrder, AuditRow, AuditSelection};
pub use self::auth::second_factor::SecondFactorRow;
pub use self::auth::sessions::{ExpiredSessions, ListedSession, NewSession, RestsOn, SessionRow};
pub use self::auth::throttle::{CountedAttempt, Reservation, SignInBucket};
pub use self::credentials::change::{CredentialChange, CredentialChanged, NewValues};
pub use self::credentials::drafts::{DraftRow, DraftState, NewDraft};
pub use self::credentials::verifications::{NewVerification, VerificationRow};
pub use self::credentials::{CredentialDelete, CredentialInsert, CredentialQuery, CredentialRow, DraftKey, NewCredential, Owner};
pub use self::error::StoreError;
pub use self::operations::readiness::Connections;
pub use self::resources::{NewResource, ResourceChange, ResourceInsert, ResourceRow, ResourceUpdate};
pub use self::tokens::access_tokens::{AccessTokenRow, NewAccessToken, TokenFailure, TokenRow};
pub use self::tokens::fetch_leases::{FetchStored, NewLease};
pub use self::usage::{HistoryOf, HistoryQuery, NewHour};
pub use self::users::admin::{StateChange, UserChange, UserChanged};
pub use self::users::identities::{Identity, IdentityLink, IdentityUserInsert};
pub use self::users::password_links::NewPasswordLink;
pub use self::users::{FIRST_VERSION, NewUser, UserInsert, UserToSignIn};

/// The stored state of one Keytile installation. Cheap to clone; all clones share the same connections.
#[derive(Clone)]
pub struct Store {
    database: database::Db,
}

#[cfg(test)]
mod tests;
