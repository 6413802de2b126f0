//! Connectors in the API.

pub(in crate::web::api) mod fields_schema;
pub(in crate::web::api) mod read;
