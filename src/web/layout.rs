//! What every page has around its content, and how a template becomes an answer.

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

/// The part of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Sources and destinations.
    Flows,
    /// Credentials.
    Credentials,
    /// The catalogue.
    Connectors,
    /// The audit trail.
    Audit,
    /// Settings.
    Settings,
    /// None of them.
    Elsewhere,
}

impl Section {
    /// What `aria-current` says about the navigation's entry for a section.
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

/// Somebody who is signed in, as the head of a page names them.
#[derive(Debug, Clone)]
pub(crate) struct PersonView {
    /// The name.
    pub(crate) name: String,
    /// The e-mail address.
    pub(crate) email: String,
    /// True when the audit trail may be read.
    pub(crate) reads_audit: bool,
}

impl PersonView {
    fn new(person: &Person) -> Self {
        let reads_audit = person.role.may(Permission::ReadAudit);
        Self { name: person.name.clone(), email: person.email.clone(), reads_audit }
    }
}

/// The frame of a page.
pub(crate) struct Layout {
    /// What the page is, from the particular to the general; `· Keytile` follows.
    pub(crate) title: String,
    /// Where it belongs.
    pub(crate) section: Section,
    /// True when the sandbox stands in for the services.
    pub(crate) sandbox: bool,
    /// True when the page says that something is wrong with what was sent.
    pub(crate) error: bool,
    /// True when an overlay lies over the page, so that the rest of it does nothing.
    pub(crate) covered: bool,
    /// Who is signed in.
    pub(crate) person: Option<PersonView>,
    /// What the forms of the page bring with them, so that nobody else can send them.
    pub(crate) form_token: Arc<str>,
    /// Addresses of style sheet and scripts.
    pub(crate) assets: &'static Assets,
}

impl Layout {
    /// The frame of an ordinary page.
    pub(crate) fn new(state: &WebState, signed: &SignedIn, section: Section, title: impl Into<String>) -> Self {
        Self::of(state, Some(&signed.person), Arc::clone(&signed.form_token), section, title.into())
    }

    /// The frame of a page for somebody who need not be signed in.
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

    /// The same, with “Error:” before its title, for screen readers that read the title first.
    pub(crate) fn with_error(mut self, error: bool) -> Self {
        self.error = error;
        self
    }

    /// The same, below an overlay.
    pub(crate) fn covered(mut self) -> Self {
        self.covered = true;
        self
    }
}

/// Renders a page with its status.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let html = template.render().map_err(PageError::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// Renders a page with status 200.
pub(crate) fn ok(template: &impl Template) -> Result<Response, PageError> {
    page(StatusCode::OK, template)
}
