//! The layout around the content of every page, and rendering a template as a response.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    assets::Assets,
    http::error::PageError,
    session::{SignedIn, Visitor},
    state::WebState,
};
use crate::{domain::access::permission::Permission, service::access::caller::Person};

/// The entry of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Flows,
    Credentials,
    Connectors,
    Audit,
    Settings,
    Elsewhere,
}

impl Section {
    /// The value of `aria-current` for the navigation entry of a section.
    pub(crate) fn current(self, entry: &str) -> bool {
        match self {
            Self::Flows => entry == "flows",
            Self::Credentials => entry == "credentials",
            Self::Connectors => entry == "connectors",
            Self::Audit => entry == "audit",
            Self::Settings => entry == "settings",
            Self::Elsewhere => false,
        }
    }
}

/// The signed-in user, as shown in the header of a page.
#[derive(Debug, Clone)]
pub(crate) struct PersonView {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) reads_audit: bool,
}

impl PersonView {
    fn new(person: &Person) -> Self {
        let reads_audit = person.role.may(Permission::ReadAudit);
        Self { name: person.name.clone(), email: person.email.clone(), reads_audit }
    }
}

/// The layout of a page.
pub(crate) struct Layout {
    /// The title, from specific to general; `· Keytile` is appended.
    pub(crate) title: String,
    pub(crate) section: Section,
    /// True if the sandbox stands in for the services.
    pub(crate) sandbox: bool,
    /// True if the page shows an error in the submitted input.
    pub(crate) error: bool,
    /// True if an overlay covers the page, so that the rest of it is inactive.
    pub(crate) covered: bool,
    pub(crate) person: Option<PersonView>,
    /// The CSRF token of the page's forms.
    pub(crate) form_token: Arc<str>,
    pub(crate) assets: &'static Assets,
}

impl Layout {
    /// The layout of an ordinary page.
    pub(crate) fn new(state: &WebState, signed: &SignedIn, section: Section, title: impl Into<String>) -> Self {
        Self::of(state, Some(&signed.person), Arc::clone(&signed.form_token), section, title.into())
    }

    /// The layout of a page that doesn't require a sign-in.
    pub(crate) fn for_visitor(state: &WebState, visitor: Option<&Visitor>, title: impl Into<String>) -> Self {
        let person = visitor.and_then(Visitor::session).map(|session| &session.person);
        let form_token = visitor.map(|visitor| Arc::clone(&visitor.form_token)).unwrap_or_default();
        Self::of(state, person, form_token, Section::Elsewhere, title.into())
    }

    fn of(state: &WebState, person: Option<&Person>, form_token: Arc<str>, section: Section, title: String) -> Self {
        let sandbox = state.settings.sandbox;
        let person = person.map(PersonView::new);
        Self { title, section, sandbox, error: false, covered: false, person, form_token, assets: Assets::get() }
    }

    /// Adds "Error:" to the title, because screen readers read the title first.
    pub(crate) fn with_error(mut self, error: bool) -> Self {
        self.error = error;
        self
    }

    /// Makes the page inactive below an overlay.
    pub(crate) fn covered(mut self) -> Self {
        self.covered = true;
        self
    }
}

pub(crate) fn page(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let html = template.render().map_err(PageError::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

pub(crate) fn ok(template: &impl Template) -> Result<Response, PageError> {
    page(StatusCode::OK, template)
}
