//! API keys: creating and revoking them, checking them, and idempotency keys.

pub mod authenticate;
pub mod idempotency;
pub mod keys;

pub use self::keys::{KeyCreation, KeyDetail, KeyPage, KeyState, KeySummary, OFFERED_MAX, RESOURCES_MAX, RawApiKey};
