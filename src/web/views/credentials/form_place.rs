//! Where the form of a credential belongs: over the tiles for a new one, on a page of its own for a stored one.

use uuid::Uuid;

use crate::web::{http::extract::Flow, views::resources::flow::base};

/// Where a form belongs.
pub(crate) struct FormPlace {
    /// Where it is sent to.
    pub(crate) action: String,
    /// Where what is kept of it is thrown away.
    pub(crate) discard: String,
    /// Where one goes who does not send it.
    pub(crate) cancel: String,
    /// What it was made from, where a stored credential is edited.
    pub(crate) revision: Option<String>,
}

impl FormPlace {
    /// The form of a new credential.
    pub(crate) fn new_credential(flow: &Flow) -> Self {
        let base = base(flow);
        Self {
            action: format!("{base}/credentials/new"),
            discard: format!("{base}/credentials/discard"),
            cancel: format!("{base}/authenticate"),
            revision: None,
        }
    }

    /// The form of a stored credential.
    pub(crate) fn edit(id: Uuid, revision: String) -> Self {
        let page = format!("/credentials/{id}");
        Self { action: format!("{page}/edit"), discard: format!("{page}/edit?discard=1"), cancel: page, revision: Some(revision) }
    }
}
