//! Token requests of the OAuth 2.0 client credentials grant (RFC 6749 section 4.4), and their responses.

pub(in crate::upstream) mod encodings;
pub(in crate::upstream) mod fetch;
pub(in crate::upstream) mod token_request;
pub(in crate::upstream) mod token_response;
