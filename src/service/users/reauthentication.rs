//! Proof that the person at the browser is still the one who signed in, asked for before an account changes.

use std::time::Duration;

use crate::domain::credentials::form::FieldError;

/// What is said of a code that does not do.
pub(in crate::service) const WRONG_CODE: &str = "This code is incorrect or has already been used.";

/// What came of a change of one's own account.
pub enum OwnChange<T> {
    /// It is done.
    Done(T),
    /// Fields are wrong.
    Invalid(Vec<FieldError>),
    /// Nothing is tried for so long, after too many failures.
    Limited(Duration),
    /// Too many passwords are being hashed; in a moment it works.
    Busy,
    /// The page that asked for it is out of date.
    Void,
}

/// Whether somebody proved who they are.
pub(in crate::service) enum Proof {
    Given,
    Wrong(FieldError),
    Limited(Duration),
    Busy,
    Void,
}

impl Proof {
    /// What a change comes to for which the proof was not given.
    pub(in crate::service) fn into_change<T>(self) -> OwnChange<T> {
        match self {
            Self::Wrong(error) => OwnChange::Invalid(vec![error]),
            Self::Limited(wait) => OwnChange::Limited(wait),
            Self::Busy => OwnChange::Busy,
            Self::Given | Self::Void => OwnChange::Void,
        }
    }
}
