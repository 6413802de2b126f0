//! Reading credentials.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::bodies::{CredentialBody, CredentialList};
use crate::{
    domain::connectors::ConnectorId,
    service::credentials::{TileQuery, record::CredentialRecord},
    web::{
        api::{
            caller::ApiCaller,
            etag::etag,
            problems::{failed, no_such},
            query::{ApiId, ApiQuery, cursor, limit, wrong},
        },
        http::problem::Problem,
        state::WebState,
    },
};

/// Which credentials are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CredentialsQuery {
    /// Only credentials of this connector.
    #[param(max_length = 64, pattern = "^[a-z][a-z0-9-]*$")]
    connector: Option<String>,
    /// Only credentials with this text in their name or description.
    search: Option<String>,
    /// The maximum number of items, from 1 to 100; 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<uuid::Uuid>)]
    cursor: Option<String>,
}

/// Lists credentials
///
/// Those that the key's account can use, newest first.
#[utoipa::path(
    get, path = "/api/v1/credentials", operation_id = "list_credentials", tag = "credentials", params(CredentialsQuery),
    security(("api_key" = ["credentials:manage"]), ("api_key" = ["resources:read"])),
    responses((status = 200, description = "A page of credentials.", body = CredentialList)),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiQuery(query): ApiQuery<CredentialsQuery>,
) -> Result<Response, Problem> {
    let connector =
        query.connector.map(|id| ConnectorId::new(&id).ok_or_else(|| wrong("connector", "Send a connector's id.", "invalid")));
    let query = TileQuery {
        connector: connector.transpose()?,
        search: query.search,
        after: cursor(query.cursor.as_deref())?,
        selected: None,
        limit: Some(limit(query.limit.as_deref())?),
    };
    let page = state.service.credential_records(&caller, &query).await.map_err(failed)?;
    let items = page.records.into_iter().map(CredentialBody::from).collect();
    Ok(Json(CredentialList { items, next_cursor: page.next.map(|id| id.to_string()) }).into_response())
}

/// Reads a credential
///
/// Everything except its secrets, which are never shown.
#[utoipa::path(
    get, path = "/api/v1/credentials/{id}", operation_id = "read_credential", tag = "credentials",
    params(("id" = uuid::Uuid, Path, description = "The credential.")),
    security(("api_key" = ["credentials:manage"]), ("api_key" = ["resources:read"])),
    responses((
        status = 200, description = "The credential.", body = CredentialBody,
        headers(("ETag" = String, description = "The revision, for `If-Match`.")),
    )),
)]
pub(crate) async fn read(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
) -> Result<Response, Problem> {
    let record = state.service.credential_record(&caller, id).await.map_err(failed)?;
    Ok(shown(record.ok_or_else(|| no_such("credential"))?))
}

/// The response with a credential and its revision as `ETag`.
pub(in crate::web::api) fn shown(record: CredentialRecord) -> Response {
    let etag = etag(&record.revision);
    ([(header::ETAG, etag)], Json(CredentialBody::from(record))).into_response()
}
