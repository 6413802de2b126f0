//! Listing and reading sources and destinations.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::bodies::{KindWord, ResourceBody, ResourceList};
use crate::{
    domain::resources::ResourceKind,
    service::resources::update::ResourceRecord,
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

/// Which resources are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResourcesQuery {
    /// Only resources of this kind.
    #[param(value_type = Option<KindWord>)]
    kind: Option<String>,
    /// The maximum number of items, from 1 to 100; 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<uuid::Uuid>)]
    cursor: Option<String>,
}

/// Lists resources
///
/// Those that the key works for and whose credential its account can use, newest first.
#[utoipa::path(
    get, path = "/api/v1/resources", operation_id = "list_resources", tag = "resources", params(ResourcesQuery),
    security(("api_key" = ["resources:read"])),
    responses((status = 200, description = "A page of resources.", body = ResourceList)),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiQuery(query): ApiQuery<ResourcesQuery>,
) -> Result<Response, Problem> {
    let parse = |word: &str| ResourceKind::parse(word).ok_or_else(|| wrong("kind", "Send source or destination.", "invalid"));
    let kind = query.kind.as_deref().map(parse).transpose()?;
    let (after, limit) = (cursor(query.cursor.as_deref())?, limit(query.limit.as_deref())?);
    let page = state.service.resource_records(&caller, kind, after, limit).await.map_err(failed)?;
    let items = page.records.into_iter().map(ResourceBody::from).collect();
    Ok(Json(ResourceList { items, next_cursor: page.next.map(|id| id.to_string()) }).into_response())
}

/// Reads a resource
///
/// Includes its endpoint and egress policy.
#[utoipa::path(
    get, path = "/api/v1/resources/{id}", operation_id = "read_resource", tag = "resources",
    params(("id" = uuid::Uuid, Path, description = "The resource.")),
    security(("api_key" = ["resources:read"])),
    responses((
        status = 200, description = "The resource.", body = ResourceBody,
        headers(("ETag" = String, description = "The revision, for `If-Match`.")),
    )),
)]
pub(crate) async fn read(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
) -> Result<Response, Problem> {
    let record = state.service.resource_record(&caller, id).await.map_err(failed)?;
    Ok(shown(record.ok_or_else(|| no_such("resource"))?))
}

/// The response with a resource and its revision as `ETag`.
pub(in crate::web::api) fn shown(record: ResourceRecord) -> Response {
    let etag = etag(&record.version.to_string());
    ([(header::ETAG, etag)], Json(ResourceBody::from(record))).into_response()
}
