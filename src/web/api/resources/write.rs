//! Creating, changing and deleting sources and destinations.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    bodies::{NewResource, PolicyChange, ResourceBody, ResourceChange},
    read::shown,
};
use crate::{
    domain::resources::{ResourceDelete, ResourceId},
    service::{
        access::caller::Caller,
        resources::update::{PolicyPatch, ProgramCreation, ProgramResource, ResourcePatch, ResourcePatched},
    },
    web::{
        api::{
            body::JsonBody,
            caller::ApiCaller,
            etag::Expected,
            idempotency,
            problems::{failed, invalid, invalid_members, no_such, outdated},
            query::ApiId,
            version::VERSION,
        },
        http::problem::{MemberError, Problem},
        state::WebState,
    },
};

/// Creates a resource
#[utoipa::path(
    post, path = "/api/v1/resources", operation_id = "create_resource", tag = "resources", request_body = NewResource,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!#-~]+$", description = "If you send the same key and body again, nothing is created twice.")),
    security(("api_key" = ["admin"])),
    responses((
        status = 201, description = "The new resource.", body = ResourceBody,
        headers(("Location" = String, description = "The address of the new item."), ("ETag" = String, description = "The current revision.")),
    )),
)]
pub(crate) async fn create(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<NewResource>,
) -> Result<Response, Problem> {
    let once = idempotency::once(&state.service, &caller, "resources", &headers, &bytes)?;
    let wanted = ProgramResource {
        kind: value.kind.into(),
        name: value.name,
        description: value.description,
        credential: value.credential,
        endpoint: value.endpoint.into(),
        policy: policy(value.policy, value.contract)?,
    };
    match state.service.create_resource_once(&caller, once.as_ref(), wanted).await.map_err(failed)? {
        ProgramCreation::Created(id) => {
            let mut response = present(&state, &caller, id).await?;
            *response.status_mut() = StatusCode::CREATED;
            if let Ok(location) = HeaderValue::from_str(&format!("{VERSION}/resources/{id}")) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        ProgramCreation::Invalid(errors) => Err(invalid(errors, member)),
        ProgramCreation::KeyUsed => Err(idempotency::used()),
    }
}

/// Changes a resource
///
/// Changes everything you send in one step. Members you leave out stay the same. A new egress policy applies from the next request.
#[utoipa::path(
    patch, path = "/api/v1/resources/{id}", operation_id = "update_resource", tag = "resources", request_body = ResourceChange,
    params(
        ("id" = uuid::Uuid, Path, description = "The resource."),
        ("If-Match" = String, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "The `ETag` you read, or `*`."),
    ),
    security(("api_key" = ["admin"])),
    responses((
        status = 200, description = "The updated resource.", body = ResourceBody,
        headers(("ETag" = String, description = "The current revision.")),
    )),
)]
pub(crate) async fn update(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    headers: HeaderMap,
    JsonBody { value, .. }: JsonBody<ResourceChange>,
) -> Result<Response, Problem> {
    let seen = seen(&state, &caller, id, Expected::required(&headers)?).await?;
    let patch = ResourcePatch {
        name: value.name,
        description: value.description,
        credential: value.credential,
        endpoint: value.endpoint.map(Into::into),
        policy: policy(value.policy, value.contract)?,
    };
    match state.service.patch_resource(&caller, id, seen, &patch).await.map_err(failed)? {
        ResourcePatched::Updated => present(&state, &caller, id).await,
        ResourcePatched::Invalid(errors) => Err(invalid(errors, member)),
        ResourcePatched::Outdated => Err(outdated()),
        ResourcePatched::NotFound => Err(no_such("resource")),
    }
}

/// Deletes a resource
///
/// Its credential stays.
#[utoipa::path(
    delete, path = "/api/v1/resources/{id}", operation_id = "delete_resource", tag = "resources",
    params(
        ("id" = uuid::Uuid, Path, description = "The resource."),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "The `ETag` you read. The item is only deleted if it hasn't changed since."),
    ),
    security(("api_key" = ["admin"])),
    responses((status = 204, description = "Deleted.")),
)]
pub(crate) async fn delete(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = seen(&state, &caller, id, Expected::of(&headers)?).await?;
    state.service.may_delete_resources(&caller).await.map_err(failed)?;
    let kind = state.service.resource_kind(&caller, id).await.map_err(failed)?;
    let kind = kind.ok_or_else(|| no_such("resource"))?;
    match state.service.delete_resource(&caller, kind, id, seen).await.map_err(failed)? {
        ResourceDelete::Deleted => Ok(StatusCode::NO_CONTENT.into_response()),
        ResourceDelete::Outdated => Err(outdated()),
        ResourceDelete::NotFound => Err(no_such("resource")),
    }
}

/// The response with the current state of a resource.
async fn present(state: &WebState, caller: &Caller, id: ResourceId) -> Result<Response, Problem> {
    let record = state.service.resource_record(caller, id).await.map_err(failed)?;
    Ok(shown(record.ok_or_else(|| no_such("resource"))?))
}

async fn seen(state: &WebState, caller: &Caller, id: ResourceId, expected: Expected) -> Result<Option<i64>, Problem> {
    let present = match expected.is_choice() {
        true => state.service.resource_record(caller, id).await.map_err(failed)?.map(|record| record.version.to_string()),
        false => None,
    };
    // No resource has version 0, so that a tag that isn't a version matches none.
    Ok(expected.revision(present.as_deref()).map(|revision| revision.parse().unwrap_or_default()))
}

/// The policy that a body has by its name, or by `contract`, its old one.
fn policy(policy: Option<PolicyChange>, contract: Option<PolicyChange>) -> Result<Option<PolicyPatch>, Problem> {
    if policy.is_some() && contract.is_some() {
        let message = "Send only `policy`. `contract` is its old name.".to_owned();
        return Err(invalid_members(vec![MemberError { field: "policy".to_owned(), message, code: "duplicate" }]));
    }
    Ok(policy.or(contract).map(Into::into))
}

/// Where a field of the form stands in a body.
fn member(field: &str) -> String {
    match field {
        "endpoint" => "endpoint.offer".to_owned(),
        "method" | "path" | "query" => format!("endpoint.{field}"),
        "methods" | "prefixes" | "body_mib" | "per_minute" | "retries" => format!("policy.{field}"),
        field => field.to_owned(),
    }
}
