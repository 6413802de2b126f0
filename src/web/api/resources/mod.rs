//! Resources, that is sources and destinations, in the API.

pub(in crate::web::api) mod bodies;
pub(in crate::web::api) mod read;
pub(in crate::web::api) mod write;
