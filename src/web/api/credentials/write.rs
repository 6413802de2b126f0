//! Creating, changing and deleting credentials.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::SecretString;

use super::{
    bodies::{CredentialBody, CredentialChange, NewCredential, VerificationBody},
    read::shown,
};
use crate::{
    domain::{
        connectors::Connector,
        credentials::{CredentialId, verification::Unobserved},
    },
    service::{
        access::caller::Caller,
        credentials::{
            CredentialDeletion,
            api_form::{CredentialCreation, CredentialPatch, ProgramCredential},
            edit::CredentialUpdate,
        },
    },
    web::{
        api::{
            body::{Hidden, JsonBody, Members},
            caller::ApiCaller,
            etag::Expected,
            idempotency,
            problems::{failed, invalid, no_such, outdated, rejected},
            query::{ApiId, wrong},
            version::VERSION,
        },
        http::problem::Problem,
        state::WebState,
    },
};

/// Creates a credential
///
/// Verifies the values with the service first, and saves them only if they work.
#[utoipa::path(
    post, path = "/api/v1/credentials", operation_id = "create_credential", tag = "credentials", request_body = NewCredential,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!#-~]+$", description = "If you send the same key and body again, nothing is created twice.")),
    security(("api_key" = ["credentials:manage"])),
    responses(
        (
            status = 201, description = "The new credential.", body = CredentialBody,
            headers(("Location" = String, description = "The address of the new item."), ("ETag" = String, description = "The current revision.")),
        ),
        (status = 502, description = "The service failed or could not be reached; see `verification`. Nothing was saved.", body = crate::web::api::problems::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<NewCredential>,
) -> Result<Response, Problem> {
    let once = idempotency::once(&state.service, &caller, "credentials", &headers, &bytes)?;
    let connector = connector(&state, &value.connector)?;
    let wanted = ProgramCredential { name: value.name, description: value.description, fields: secrets(value.fields) };
    match state.service.create_credential(caller.clone(), connector, once, wanted).await.map_err(failed)? {
        CredentialCreation::Created(id) => {
            let mut response = present(&state, &caller, id).await?;
            *response.status_mut() = StatusCode::CREATED;
            if let Ok(location) = HeaderValue::from_str(&format!("{VERSION}/credentials/{id}")) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        CredentialCreation::Invalid(errors) => Err(invalid(errors, member)),
        CredentialCreation::Rejected(found) => Err(refused(*found)),
        CredentialCreation::KeyUsed => Err(idempotency::used()),
    }
}

/// Changes a credential
///
/// Members you leave out stay the same, including secrets. Placeholders for secrets (`••••`, `****`) are refused. New
/// values are verified with the service before they replace the old ones. A stored secret is only sent to hosts it was
/// verified with.
#[utoipa::path(
    patch, path = "/api/v1/credentials/{id}", operation_id = "update_credential", tag = "credentials",
    request_body = CredentialChange,
    params(
        ("id" = uuid::Uuid, Path, description = "The credential."),
        ("If-Match" = String, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "The `ETag` you read, or `*`."),
    ),
    security(("api_key" = ["credentials:manage"])),
    responses(
        (
            status = 200, description = "The updated credential.", body = CredentialBody,
            headers(("ETag" = String, description = "The current revision.")),
        ),
        (status = 409, description = "Its connector is missing, or its stored values can't be decrypted.", body = crate::web::api::problems::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The service failed or could not be reached; see `verification`. Nothing was changed.", body = crate::web::api::problems::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn update(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    headers: HeaderMap,
    JsonBody { value, .. }: JsonBody<CredentialChange>,
) -> Result<Response, Problem> {
    let expected = expected(&state, &caller, id, Expected::required(&headers)?).await?;
    let fields = value.fields.0.into_iter().map(|(field, value)| (field, value.map(|Hidden(value)| value)));
    let patch = CredentialPatch { name: value.name, description: value.description, fields: fields.collect() };
    let updated = state.service.patch_credential(caller.clone(), id, expected, patch, Arc::new(Unobserved)).await;
    match updated.map_err(failed)? {
        CredentialUpdate::Updated { .. } => present(&state, &caller, id).await,
        CredentialUpdate::Invalid(errors) => Err(invalid(errors, member)),
        CredentialUpdate::Rejected(found) => Err(refused(*found)),
        CredentialUpdate::Outdated => Err(outdated()),
        CredentialUpdate::Unusable => Err(unusable()),
        CredentialUpdate::NotFound => Err(no_such("credential")),
    }
}

/// Deletes a credential
///
/// Only if no resource uses it. Keytile erases its stored values, but doesn't revoke anything at the service.
#[utoipa::path(
    delete, path = "/api/v1/credentials/{id}", operation_id = "delete_credential", tag = "credentials",
    params(
        ("id" = uuid::Uuid, Path, description = "The credential."),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#, description = "The `ETag` you read. The item is only deleted if it hasn't changed since."),
    ),
    security(("api_key" = ["credentials:manage"])),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "Resources still use it.", body = crate::web::api::problems::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiId(id): ApiId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = expected(&state, &caller, id, Expected::of(&headers)?).await?;
    match state.service.delete_credential(&caller, id, expected.as_deref()).await.map_err(failed)? {
        CredentialDeletion::Deleted => Ok(StatusCode::NO_CONTENT.into_response()),
        CredentialDeletion::InUse(count) => {
            let detail =
                format!("{count} data sources or destinations use this credential. Choose another credential for them first.");
            Err(Problem::new(StatusCode::CONFLICT, "in_use", detail))
        }
        CredentialDeletion::Outdated => Err(outdated()),
        CredentialDeletion::NotFound => Err(no_such("credential")),
    }
}

/// The response with the current state of a credential.
async fn present(state: &WebState, caller: &Caller, id: CredentialId) -> Result<Response, Problem> {
    let record = state.service.credential_record(caller, id).await.map_err(failed)?;
    Ok(shown(record.ok_or_else(|| no_such("credential"))?))
}

async fn expected(state: &WebState, caller: &Caller, id: CredentialId, expected: Expected) -> Result<Option<String>, Problem> {
    let present = match expected.is_choice() {
        true => state.service.credential_record(caller, id).await.map_err(failed)?.map(|record| record.revision),
        false => None,
    };
    Ok(expected.revision(present.as_deref()))
}

/// The connector that a body names.
pub(in crate::web::api) fn connector(state: &WebState, id: &str) -> Result<Arc<Connector>, Problem> {
    let known = state.service.catalogue().get(id).cloned();
    known.ok_or_else(|| wrong("connector", "There is no connector with this id.", "unknown"))
}

pub(in crate::web::api) fn secrets(fields: Members<Hidden>) -> BTreeMap<String, SecretString> {
    fields.0.into_iter().map(|(field, Hidden(value))| (field, value)).collect()
}

/// The path in the body of a form field.
pub(in crate::web::api) fn member(field: &str) -> String {
    if matches!(field, "name" | "description") { field.to_owned() } else { format!("fields.{field}") }
}

/// The problem for a credential whose connector no longer exists, or whose values can't be opened.
pub(in crate::web::api) fn unusable() -> Problem {
    let detail = "This credential's connector is missing, or its stored values can't be decrypted. Ask your Keytile administrator to check it.";
    Problem::new(StatusCode::CONFLICT, "credential_unusable", detail)
}

fn refused(found: crate::domain::credentials::verification::Verification) -> Problem {
    let body = VerificationBody::from(found.clone()).into_value();
    rejected(&found, body)
}
