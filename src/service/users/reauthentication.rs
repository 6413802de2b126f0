//! Proof that the person at the browser is still the one who signed in, asked for before an account changes.

use std::time::Duration;

use crate::domain::{credentials::form::FieldError, form_errors::FormError};

/// What is said of a code that does not do.
pub(in crate::service) const WRONG_CODE: &str = FormError::CodeWrong.sentence();

/// The result of a change to a user's own account.
pub enum OwnChange<T> {
    Done(T),
    Invalid(Vec<FieldError>),
    /// Too many failures; no attempt is allowed for this long.
    Limited(Duration),
    /// Too many passwords are being hashed; trying again helps.
    Busy,
    /// The page with the form is out of date.
    Void,
}

/// Whether a user has confirmed their identity.
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
