//! Verifications of a stored credential: testing it, and listing earlier ones.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::bodies::{VerificationBody, VerificationList};
use crate::web::{
    api::{
        caller::ApiCaller,
        problems::{failed, no_such},
        query::{ApiId, ApiQuery, cursor, limit},
    },
    http::problem::Problem,
    state::WebState,
};

/// Tests a credential
///
/// Verifies the stored values with the service. The result is stored and sets the credential's status.
#[utoipa::path(
    post, path = "/api/v1/credentials/{id}/test", operation_id = "test_credential", tag = "credentials",
    params(("id" = uuid::Uuid, Path, description = "The credential.")),
    security(("api_key" = ["credentials:manage"])),
    responses((status = 200, description = "The result, passed or not.", body = VerificationBody)),
)]
pub(crate) async fn test(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
) -> Result<Response, Problem> {
    let found = state.service.test_credential(&caller, id).await.map_err(failed)?;
    Ok(Json(VerificationBody::from(found.ok_or_else(|| no_such("credential"))?)).into_response())
}

/// Which verifications are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerificationsQuery {
    /// The maximum number of items, from 1 to 100; 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<uuid::Uuid>)]
    cursor: Option<String>,
}

/// Lists the verifications of a credential
///
/// Keytile keeps the newest hundred.
#[utoipa::path(
    get, path = "/api/v1/credentials/{id}/verifications", operation_id = "list_verifications", tag = "credentials",
    params(("id" = uuid::Uuid, Path, description = "The credential."), VerificationsQuery),
    security(("api_key" = ["credentials:manage"])),
    responses((status = 200, description = "A page of verifications.", body = VerificationList)),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    ApiQuery(query): ApiQuery<VerificationsQuery>,
) -> Result<Response, Problem> {
    let (after, limit) = (cursor(query.cursor.as_deref())?, limit(query.limit.as_deref())?);
    let page = state.service.verifications(&caller, id, after, limit).await.map_err(failed)?;
    let page = page.ok_or_else(|| no_such("credential"))?;
    let items = page.verifications.into_iter().map(|(id, past)| VerificationBody::stored(id, past)).collect();
    Ok(Json(VerificationList { items, next_cursor: page.next.map(|id| id.to_string()) }).into_response())
}
