//! Token requests of OAuth2 client credentials, and their responses.

pub(in crate::upstream) mod encodings;
pub(in crate::upstream) mod fetch;
pub(in crate::upstream) mod token_request;
pub(in crate::upstream) mod token_response;
