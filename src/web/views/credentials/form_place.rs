//! The page that a credential's form belongs to: the tiles for a new one, its own page for a stored one.

use uuid::Uuid;

use crate::web::{http::extract::Flow, views::resources::flow::base};

/// The page that a form belongs to.
pub(crate) struct FormPlace {
    /// The URL that it is sent to.
    pub(crate) action: String,
    /// The URL that discards its draft.
    pub(crate) discard: String,
    /// The URL for leaving without sending it.
    pub(crate) cancel: String,
    /// The revision that it was made from, if a stored credential is edited.
    pub(crate) revision: Option<String>,
}

impl FormPlace {
    pub(crate) fn new_credential(flow: &Flow) -> Self {
        let base = base(flow);
        Self {
            action: format!("{base}/credentials/new"),
            discard: format!("{base}/credentials/discard"),
            cancel: format!("{base}/authenticate"),
            revision: None,
        }
    }

    pub(crate) fn edit(id: Uuid, revision: String) -> Self {
        let page = format!("/credentials/{id}");
        Self { action: format!("{page}/edit"), discard: format!("{page}/edit?discard=1"), cancel: page, revision: Some(revision) }
    }
}
