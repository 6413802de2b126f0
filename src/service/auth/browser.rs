//! What a browser is given that is no session: random cookies, form tokens and the ids of requests.

use secrecy::SecretString;
use uuid::Uuid;

use crate::crypto::{hash, random};

/// A cookie or password of 256 random bits (base64url).
pub fn new_secret() -> SecretString {
    random::url_token()
}

/// An id for a request that comes without one: a UUID version 4, which is no secret.
pub fn new_request_id() -> Uuid {
    random::request_id()
}

/// What a form must bring with it, for the browser with this cookie.
pub fn form_token(cookie: &str) -> String {
    hash::form_token(cookie)
}

/// Whether a form brought the token of its browser. How long that takes depends only on the lengths.
pub fn is_form_token(sent: &str, expected: &str) -> bool {
    hash::equal_in_constant_time(sent, expected)
}
