//! Single sign-on, against a provider that nobody here wrote and against one that lies.

mod answers;
mod discovery;
mod liar;
mod real;
mod tokens;

use keytile::upstream::{CallbackAnswer, ExternalIdentity, PendingSignIn, SingleSignOnError, SingleSignOnSettings, TokenFault};
use url::Url;

use self::liar::Liar;
use super::*;

/// Where the browser comes back to.
fn redirect() -> Url {
    "https://keytile.example.test/sign-in/answer".parse().unwrap()
}

/// A parameter of an address.
fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
