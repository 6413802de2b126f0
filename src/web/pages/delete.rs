//! Confirmation pages for deleting, which script shows as dialogs.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use crate::{
    service::credentials::{CredentialDeletion, CredentialDetail},
    web::{
        http::{
            error::PageError,
            extract::{Id, Kind},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{credentials::tile::ResourceView, resources::flow::noun},
    },
};

#[derive(Template)]
#[template(path = "delete.html")]
struct Delete<'a> {
    layout: Layout,
    /// `credential`, `data source` or `data destination`.
    noun: &'static str,
    name: &'a str,
    /// The page of the object to delete.
    address: String,
    consequence: &'static str,
    /// The number of resources that still use it; above 0 it can't be deleted.
    in_use: u64,
    used_by: Vec<ResourceView<'a>>,
}

/// `GET /{kind}/{id}/delete`.
pub(crate) async fn ask_resource(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
) -> Result<Response, PageError> {
    let resource = state.service.resource_to_delete(&signed.caller, kind, id).await?.ok_or(PageError::NotFound)?;
    let page = Delete {
        layout: Layout::new(&state, &signed, Section::Flows, format!("Delete {}?", resource.name)),
        noun: noun(kind),
        name: &resource.name,
        address: format!("/{}/{id}", kind.plural()),
        consequence: "Programs that use it stop working. Its credential isn't deleted.",
        in_use: 0,
        used_by: Vec::new(),
    };
    layout::ok(&page)
}

/// `POST /{kind}/{id}/delete`.
pub(crate) async fn resource(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
) -> Result<Response, PageError> {
    // Sending the form twice has the same result as sending it once.
    state.service.delete_resource(&signed.caller, kind, id, None).await?;
    Ok(Redirect::to(&format!("/?deleted={}", kind.as_str())).into_response())
}

/// `GET /credentials/{id}/delete`.
pub(crate) async fn ask_credential(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let detail = state.service.credential_to_delete(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    respond(&state, &signed, id, &detail, detail.tile.used_by, StatusCode::OK)
}

/// `POST /credentials/{id}/delete`.
pub(crate) async fn credential(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    match state.service.delete_credential(&signed.caller, id, None).await? {
        CredentialDeletion::Deleted | CredentialDeletion::NotFound | CredentialDeletion::Outdated => {
            Ok(Redirect::to("/credentials?deleted=1").into_response())
        }
        CredentialDeletion::InUse(count) => {
            let detail = state.service.credential_to_delete(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
            respond(&state, &signed, id, &detail, count, StatusCode::UNPROCESSABLE_ENTITY)
        }
    }
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    detail: &CredentialDetail,
    in_use: u64,
    status: StatusCode,
) -> Result<Response, PageError> {
    let (catalogue, now) = (state.service.catalogue(), state.service.now());
    let page = Delete {
        layout: Layout::new(state, signed, Section::Credentials, format!("Delete {}?", detail.tile.name))
            .with_error(!status.is_success()),
        noun: "credential",
        name: &detail.tile.name,
        address: format!("/credentials/{id}"),
        consequence: "Its values are erased from the database. Keytile doesn't tell the service, so revoke the secret there if you no longer need it.",
        in_use,
        used_by: detail.used_by.iter().map(|resource| ResourceView::new(resource, catalogue, now)).collect(),
    };
    layout::page(status, &page)
}
