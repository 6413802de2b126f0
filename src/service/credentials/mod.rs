//! Credentials: forms, drafts, creating, editing, verifying, reading and deleting.

pub mod api_form;
pub mod create;
pub mod drafts;
pub mod edit;
pub mod edit_form;
pub mod read;
pub mod record;
pub mod verify;
mod verify_values;

pub use self::read::{CredentialDeletion, CredentialDetail, Tile, TilePage, TileQuery};
