//! Verifying values without storing them.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use super::{
    bodies::{UnsavedValues, VerificationBody},
    write::{connector, member, secrets},
};
use crate::web::{
    api::{
        body::JsonBody,
        caller::ApiCaller,
        problems::{failed, invalid},
    },
    http::problem::Problem,
    state::WebState,
};

/// Verifies unsaved values
///
/// Requests an access token from the service with these values. They are not saved.
#[utoipa::path(
    post, path = "/api/v1/verify", operation_id = "verify_values", tag = "credentials", request_body = UnsavedValues,
    security(("api_key" = ["credentials:manage"])),
    responses((status = 200, description = "The result, passed or not.", body = VerificationBody)),
)]
pub(crate) async fn verify(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    JsonBody { value, .. }: JsonBody<UnsavedValues>,
) -> Result<Response, Problem> {
    let connector = connector(&state, &value.connector)?;
    match state.service.verify_values(&caller, connector, secrets(value.fields)).await.map_err(failed)? {
        Ok(found) => Ok(Json(VerificationBody::from(found)).into_response()),
        Err(errors) => Err(invalid(errors, member)),
    }
}
