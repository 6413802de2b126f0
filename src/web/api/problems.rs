//! What the API answers when it cannot do what it is asked: one mapping of errors to problems.

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

/// The middleware. Writes the problem of an answer, and gives one to an error of whatever lies around the handlers.
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
    // 405 says what is allowed, 429 and 503 when to come back.
    for kept in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&kept) {
            written.headers_mut().insert(kept, value.clone());
        }
    }
    written
}

/// What is said of an error that no handler has made.
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

/// A use case that could not be carried out.
pub(crate) fn failed(error: ServiceError) -> Problem {
    match error {
        ServiceError::Refused(permission) => not_allowed(permission),
        ServiceError::TooMany => {
            let detail = "This account has several requests to services in progress. Try again when they have finished.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", detail).retry_after(5)
        }
        error => {
            // Logs it, with its causes.
            PageError::internal(error);
            let (code, detail) = words(StatusCode::INTERNAL_SERVER_ERROR);
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail)
        }
    }
}

/// The key, or the account that it acts as, has not the right.
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

/// There is no such thing for the caller.
pub(crate) fn no_such(what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what} for this API key."))
}

/// Members are wrong. `member` says where a field of a form stands in the body.
pub(crate) fn invalid(errors: Vec<FieldError>, member: impl Fn(&str) -> String) -> Problem {
    let errors = errors.into_iter().map(|error| MemberError {
        field: member(&error.field),
        message: error.message,
        code: error.code.as_str(),
    });
    invalid_members(errors.collect())
}

/// The same of errors that name their member.
pub(crate) fn invalid_members(errors: Vec<MemberError>) -> Problem {
    let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    let detail = match names.as_slice() {
        [] => "Part of the request is wrong.".to_owned(),
        names => format!("These parts are wrong: {}. Nothing was done.", names.join(", ")),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(errors)
}

/// The service, or the way to it, did not accept the values.
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

/// Somebody has changed the thing since the revision that `If-Match` names.
pub(crate) fn outdated() -> Problem {
    let detail = "This has changed since you read it. Read it again and check the changes before you retry. Nothing was done.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "outdated", detail)
}
