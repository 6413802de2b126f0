//! What every page has around its content, and how a template becomes an answer.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{assets::Assets, error::PageError, state::WebState};

/// The part of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Sources and destinations.
    Flows,
    /// Credentials.
    Credentials,
    /// The catalogue.
    Connectors,
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
            Self::Elsewhere => false,
        }
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
    /// Addresses of style sheet and scripts.
    pub(crate) assets: &'static Assets,
}

impl Layout {
    /// The frame of an ordinary page.
    pub(crate) fn new(state: &WebState, section: Section, title: impl Into<String>) -> Self {
        let sandbox = state.settings.sandbox;
        Self { title: title.into(), section, sandbox, error: false, covered: false, assets: Assets::get() }
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
