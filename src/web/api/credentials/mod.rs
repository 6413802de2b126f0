//! Credentials in the API.

pub(in crate::web::api) mod bodies;
pub(in crate::web::api) mod read;
pub(in crate::web::api) mod verifications;
pub(in crate::web::api) mod verify;
pub(in crate::web::api) mod write;
