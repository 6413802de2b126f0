//! The query of a list request: page size and cursor.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::problems::invalid_members;
use crate::{
    service::pagination::{PAGE, PAGE_MAX},
    web::{
        http::problem::{MemberError, Problem},
        state::WebState,
    },
};

/// The parameters of a query. Unknown and repeated parameters are refused.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<WebState> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut members = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if members.insert(name.clone().into_owned(), value.into_owned().into()).is_some() {
                return Err(wrong(&name, "This parameter is included more than once.", "duplicate"));
            }
        }
        serde_json::from_value(members.into()).map(Self).map_err(|error| {
            let said = error.to_string();
            match said.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
                Some(name) => wrong(name, "Unknown parameter.", "unknown"),
                None => wrong("", "A parameter has an invalid value.", "invalid"),
            }
        })
    }
}

/// The size of a page.
pub(crate) fn limit(typed: Option<&str>) -> Result<i64, Problem> {
    let Some(typed) = typed else { return Ok(PAGE) };
    let limit = typed.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| wrong("limit", &format!("Send a number from 1 to {PAGE_MAX}."), "invalid"))
}

/// The start of a page.
pub(crate) fn cursor(typed: Option<&str>) -> Result<Option<Uuid>, Problem> {
    typed.map(|typed| Uuid::try_parse(typed).map_err(|_| wrong_cursor())).transpose()
}

/// The problem for a cursor that no list has returned.
pub(crate) fn wrong_cursor() -> Problem {
    wrong("cursor", "Send the next_cursor of a response, unchanged.", "invalid")
}

/// The problem for an invalid parameter.
pub(crate) fn wrong(name: &str, message: &str, code: &'static str) -> Problem {
    invalid_members(vec![MemberError { field: name.to_owned(), message: message.to_owned(), code }])
}

/// The id in a path. Anything that isn't an id gets 404.
pub(crate) struct ApiId(pub(crate) Uuid);

impl FromRequestParts<WebState> for ApiId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let id = crate::web::http::extract::Id::from_request_parts(parts, state).await;
        id.map(|id| Self(id.0)).map_err(|_| super::problems::no_such("item"))
    }
}
