//! The error responses of the API: one mapping of errors to problems.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};

use crate::{
    domain::{
        access::permission::Permission,
        api_keys::Scope,
        credentials::{
            form::FieldError,
            verification::{Blame, Verification},
        },
        users::Role,
    },
    service::ServiceError,
    web::{
        http::{
            error::PageError,
            problem::{MemberError, Problem},
        },
        middleware::request_id::RequestId,
    },
};

pub(crate) use crate::web::http::problem::ProblemBody;

/// The middleware that writes the problem of a response, and adds one to errors from outside the handlers.
pub(crate) async fn problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let id = id.as_ref().map(RequestId::as_str).unwrap_or_default();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.write(id);
    }
    let (code, detail) = words(status);
    let mut written = Problem::new(status, code, detail).write(id);
    // 405 says what is allowed, 429 and 503 when to retry.
    for kept in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&kept) {
            written.headers_mut().insert(kept, value.clone());
        }
    }
    written
}

/// Code and message for an error that no handler has returned.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => ("not_found", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "This address doesn't accept this method. The Allow header lists those it accepts.")
        }
        StatusCode::FORBIDDEN => ("other_site", "This request came from a page on another site."),
        StatusCode::MISDIRECTED_REQUEST => {
            ("other_host", "Keytile doesn't use this host name. Use the address it was set up with.")
        }
        StatusCode::REQUEST_TIMEOUT => ("body_too_slow", "The request body took too long to arrive. Nothing was done."),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The body is larger than 256 KiB. Nothing was done."),
        StatusCode::SERVICE_UNAVAILABLE => ("busy", "Keytile has too many requests at the moment. Try again in a second."),
        status if status.is_server_error() => {
            ("internal", "Keytile had an internal error. Look for the request id in Keytile's log.")
        }
        _ => ("bad_request", "This request is malformed."),
    }
}

/// The problem for a use case that failed.
pub(crate) fn failed(error: ServiceError) -> Problem {
    match error {
        ServiceError::Refused(permission) => not_allowed(permission),
        ServiceError::TooMany => {
            let detail = "This account has several requests to services in progress. Try again when they have finished.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", detail).retry_after(5)
        }
        error => {
            // Logs the error with its causes.
            PageError::internal(error);
            let (code, detail) = words(StatusCode::INTERNAL_SERVER_ERROR);
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail)
        }
    }
}

/// The problem for a key, or its owner, without the permission.
fn not_allowed(permission: Permission) -> Problem {
    let scopes: Vec<&str> = Scope::ALL.into_iter().filter(|scope| scope.permits(permission)).map(Scope::as_str).collect();
    let role = permission.least_role();
    let role = if role == Role::Viewer { String::new() } else { format!(", an account with the role {} or higher", role.as_str()) };
    let scopes = scopes.join(" or ");
    let detail = format!(
        "This API key isn't allowed to do this. You need a key with the scope {scopes}{role}. The key must not be limited to \
         other resources. For a credential, its account must be able to manage it."
    );
    Problem::new(StatusCode::FORBIDDEN, "not_allowed", detail)
}

/// The problem for an object that doesn't exist for the caller.
pub(crate) fn no_such(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what} for this API key."))
}

/// The problem for invalid members. `member` maps a form field to its path in the body.
pub(crate) fn invalid(errors: Vec<FieldError>, member: impl Fn(&str) -> String) -> Problem {
    let errors = errors.into_iter().map(|error| MemberError {
        field: member(&error.field),
        message: error.message,
        code: error.code.as_str(),
    });
    invalid_members(errors.collect())
}

/// The same for errors that name their member.
pub(crate) fn invalid_members(errors: Vec<MemberError>) -> Problem {
    let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    let detail = match names.as_slice() {
        [] => "Part of the request is wrong.".to_owned(),
        names => format!("These parts are wrong: {}. Nothing was done.", names.join(", ")),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(errors)
}

/// The problem for values that the service rejected, or with which it couldn't be reached.
pub(crate) fn rejected(found: &Verification, body: serde_json::Value) -> Problem {
    let Some(failure) = &found.failure else {
        return Problem::new(StatusCode::BAD_GATEWAY, "verification_failed", "The verification failed. Nothing was saved.");
    };
    let detail = format!("{} Nothing was saved. {}", failure.summary, failure.remedy);
    let (status, code) = match failure.blame {
        Blame::Input => (StatusCode::UNPROCESSABLE_ENTITY, "verification_rejected"),
        Blame::Service | Blame::ThisServer => (StatusCode::BAD_GATEWAY, "verification_failed"),
    };
    let errors = failure.fields.iter().map(|field| MemberError {
        field: format!("fields.{field}"),
        message: failure.summary.clone(),
        code: "rejected",
    });
    let problem = Problem::new(status, code, detail).with_errors(errors.collect()).with_verification(body);
    match failure.retry_after {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}

/// The problem for an object that was changed after the revision in `If-Match`.
pub(crate) fn outdated() -> Problem {
    let detail = "This has changed since you read it. Read it again and check the changes before you retry. Nothing was done.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "outdated", detail)
}
