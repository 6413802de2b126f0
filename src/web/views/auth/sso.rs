//! The button that leads to the provider of single sign-on. It is a link: the content security policy lets no
//! form lead to another site, not even by a redirect.

use crate::web::{session::with_next, state::WebState};

/// Where a sign-in begins.
pub(crate) const BEGIN: &str = "/sign-in/sso";

/// The button of `parts/single_sign_on.html`.
#[derive(Debug, Clone)]
pub(crate) struct SingleSignOnView {
    /// What it is called.
    pub(crate) name: String,
    /// Where it leads, with the page to go on to afterwards.
    pub(crate) href: String,
}

impl SingleSignOnView {
    /// The button, if there is single sign-on here. `next` is the page to go on to; another site's is passed over.
    pub(crate) fn new(state: &WebState, next: &str) -> Option<Self> {
        let settings = state.service.single_sign_on()?;
        Some(Self { name: settings.name.clone(), href: with_next(BEGIN, next) })
    }
}
