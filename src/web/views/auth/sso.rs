//! The button for single sign-on. It is a link, because the content security policy lets no form lead to another
//! site, not even by a redirect.

use crate::web::{session::with_next, state::WebState};

/// Where a sign-in begins.
pub(crate) const BEGIN: &str = "/sign-in/sso";

/// The button in `parts/single_sign_on.html`.
#[derive(Debug, Clone)]
pub(crate) struct SingleSignOnView {
    /// The name of the provider.
    pub(crate) name: String,
    /// The path, with the page to go to afterwards.
    pub(crate) href: String,
}

impl SingleSignOnView {
    /// The button, if single sign-on is enabled. `next` is the page to go to; other sites are ignored.
    pub(crate) fn new(state: &WebState, next: &str) -> Option<Self> {
        let settings = state.service.single_sign_on()?;
        Some(Self { name: settings.name.clone(), href: with_next(BEGIN, next) })
    }
}
