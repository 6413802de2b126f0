//! The description of the API (OpenAPI 3.1), generated from the handlers and their types.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Content, Ref, RefOr, ResponseBuilder,
        path::{HttpMethod, Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{audit, connectors, credentials, problems::ProblemBody, resources, tokens};

/// What utoipa generates.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keytile",
        version = "1",
        description = "Credentials for data connectors, and the data sources and destinations that use them. Send an API key with each request. No response ever contains a credential's secrets.",
    ),
    paths(
        connectors::read::list, connectors::read::read,
        credentials::read::list, credentials::write::create, credentials::read::read, credentials::write::update, credentials::write::delete,
        credentials::verifications::test, credentials::verifications::list, credentials::verify::verify,
        resources::read::list, resources::write::create, resources::read::read, resources::write::update, resources::write::delete,
        tokens::issue, audit::list,
    ),
    components(schemas(ProblemBody)),
    security(("api_key" = [])),
    modifiers(&Key, &Problems),
    tags(
        (name = "connectors", description = "The services that Keytile supports."),
        (name = "credentials", description = "Saved, verified values. Secrets can't be read."),
        (name = "resources", description = "Data sources and data destinations."),
        (name = "audit", description = "Who did what, and when."),
    ),
)]
struct Api;

/// The security scheme: an API key in a header.
struct Key;

impl Modify for Key {
    fn modify(&self, api: &mut openapi::OpenApi) {
        api.info.license = None;
        let description = "A Keytile API key. Each operation lists the scopes that allow it; `admin` includes all of them.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("kt_…").description(Some(description));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme.build()));
    }
}

/// Adds the problems that every operation of a kind can return.
struct Problems;

impl Modify for Problems {
    fn modify(&self, api: &mut openapi::OpenApi) {
        for (path, item) in &mut api.paths.paths {
            for (method, operation) in operations(item) {
                let (has_id, has_body) = (path.contains('{'), operation.request_body.is_some());
                let has_query = operation.parameters.as_ref().is_some_and(|all| !all.is_empty());
                let conditional = matches!(method, HttpMethod::Patch | HttpMethod::Delete);
                let all = [
                    ("400", has_body || conditional, "The request is malformed."),
                    ("401", true, "The API key is missing or rejected."),
                    ("403", true, "The key or its account isn't allowed to do this."),
                    ("404", has_id, "Not found, or not available to this key."),
                    ("408", has_body, "The request body took too long to arrive."),
                    ("412", conditional, "The item has changed since the revision in `If-Match`."),
                    ("413", has_body, "The body is larger than 256 KiB."),
                    ("415", has_body, "The body is not JSON."),
                    ("422", has_body || has_query, "`errors` lists the members or parameters that are wrong, and why."),
                    ("428", method == HttpMethod::Patch, "`If-Match` is missing."),
                    ("429", has_body || path.ends_with("/test"), "The account has too many requests to services in progress."),
                    ("500", true, "Keytile had an internal error."),
                    ("503", true, "Keytile is too busy, or a service isn't issuing tokens at the moment."),
                ];
                for (status, _, description) in all.into_iter().filter(|(_, applies, _)| *applies) {
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description));
                }
                operation.responses.responses.insert("default".to_owned(), problem("Any other error."));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn problem(description: &str) -> RefOr<openapi::Response> {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    RefOr::T(ResponseBuilder::new().description(description).content("application/problem+json", body).build())
}

/// The description as a value, for the page that shows it.
pub(crate) fn described() -> openapi::OpenApi {
    Api::openapi()
}

/// `GET /api/openapi.json`. Available to everyone, because it contains nothing that isn't in the documentation.
pub(crate) async fn description() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        // Strings and maps always serialize.
        let mut text = described().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text.into()
    });
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response()
}
