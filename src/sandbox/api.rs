//! The API of a region: the account, its users and its contacts, as paged HAL like TalkDesk's.
//!
//! Contacts that are created stay until the sandbox stops, up to [`CREATED_MAX`](super::contacts::CREATED_MAX) for each account.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State as Shared},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{AUTHORIZATION, LOCATION},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    accounts::{self, Behaviour},
    api_error::{self, ApiError},
    contacts::NewContact,
    hosts::{Host, Region},
    people::{self, Contact, User},
    state::State,
    token::Claim,
};

/// How many entries a page has when the request does not say.
const PAGE_SIZE_DEFAULT: usize = 20;
/// The most entries on a page.
const PAGE_SIZE_MAX: usize = 100;

/// The routes of the API's host.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/users", get(list_users))
        .route("/users/{id}", get(one_user))
        .route("/contacts", get(list_contacts).post(create_contact))
        .route("/contacts/{id}", get(one_contact))
        .fallback(api_error::no_such_path)
        .method_not_allowed_fallback(api_error::no_such_method)
        .with_state(state)
}

/// A request's access token, checked: what it says, and the region it arrived in.
struct Caller {
    claim: Claim,
    region: Region,
}

impl Caller {
    /// Checks the token of a request, and that it allows `scope`.
    fn check(state: &State, host: &Host, headers: &HeaderMap, scope: &str) -> Result<Self, ApiError> {
        let Host::Api(region) = *host else {
            return Err(ApiError::new(StatusCode::NOT_FOUND, "Not found", "This host has no API."));
        };
        let (prefix, token) = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .ok_or_else(|| ApiError::unauthorized("The Authorization header is missing or has no access token."))?;
        let bearer = prefix.eq_ignore_ascii_case("bearer");
        if !bearer && !prefix.eq_ignore_ascii_case("basic") {
            return Err(ApiError::unauthorized("The Authorization header must begin with Basic or Bearer."));
        }
        let claim = state
            .tokens
            .check(token.trim())
            .filter(|claim| claim.region() == Some(region))
            .ok_or_else(|| ApiError::unauthorized("The access token is not valid here, or has expired."))?;
        if accounts::behaviour(&claim.account) == Some(Behaviour::BearerOnly) && !bearer {
            return Err(ApiError::unauthorized("This account only accepts access tokens with the prefix Bearer."));
        }
        if !claim.allows(scope) {
            let description = format!("The access token lacks the scope {scope}.");
            return Err(ApiError::new(StatusCode::FORBIDDEN, "Insufficient scope", description));
        }
        Ok(Self { claim, region })
    }

    fn link(&self, path_and_query: &str) -> Value {
        json!({ "href": format!("https://{}{path_and_query}", self.region.api_host()) })
    }

    fn user(&self, user: &User) -> Value {
        self.linked(json!(user), &format!("/users/{}", user.id))
    }

    fn contact(&self, contact: &Contact) -> Value {
        self.linked(json!(contact), &format!("/contacts/{}", contact.id))
    }

    fn linked(&self, mut entry: Value, path: &str) -> Value {
        entry["_links"] = json!({ "self": self.link(path) });
        entry
    }
}

type Answer = Result<Response, ApiError>;

async fn account(Shared(state): Shared<Arc<State>>, Extension(host): Extension<Host>, headers: HeaderMap) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "account:read")?;
    let account = &caller.claim.account;
    let body = json!({
        "name": account,
        "display_name": format!("{account} (sandbox)"),
        "region": caller.region.word(),
        "plan": "enterprise",
        "users": people::USERS,
        "_links": { "self": caller.link("/account"), "users": caller.link("/users"), "contacts": caller.link("/contacts") },
    });
    Ok(Json(body).into_response())
}

async fn list_users(Shared(state): Shared<Arc<State>>, Extension(host): Extension<Host>, headers: HeaderMap, uri: Uri) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "users:read")?;
    let page = Page::parse(&uri)?;
    let users: Vec<Value> = people::users(&caller.claim.account).iter().map(|user| caller.user(user)).collect();
    Ok(Json(page.of(users, "users", &caller)).into_response())
}

async fn one_user(
    Shared(state): Shared<Arc<State>>,
    Extension(host): Extension<Host>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "users:read")?;
    let users = people::users(&caller.claim.account);
    let user = users.iter().find(|user| user.id == id).ok_or_else(|| ApiError::no_such("user"))?;
    Ok(Json(caller.user(user)).into_response())
}

async fn list_contacts(
    Shared(state): Shared<Arc<State>>,
    Extension(host): Extension<Host>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "contacts:read")?;
    let page = Page::parse(&uri)?;
    let contacts = state.contacts.all(&caller.claim.account, caller.region);
    let contacts: Vec<Value> = contacts.iter().map(|contact| caller.contact(contact)).collect();
    Ok(Json(page.of(contacts, "contacts", &caller)).into_response())
}

async fn one_contact(
    Shared(state): Shared<Arc<State>>,
    Extension(host): Extension<Host>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "contacts:read")?;
    let contacts = state.contacts.all(&caller.claim.account, caller.region);
    let contact = contacts.iter().find(|contact| contact.id == id).ok_or_else(|| ApiError::no_such("contact"))?;
    Ok(Json(caller.contact(contact)).into_response())
}

async fn create_contact(
    Shared(state): Shared<Arc<State>>,
    Extension(host): Extension<Host>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let caller = Caller::check(&state, &host, &headers, "contacts:write")?;
    let new = NewContact::parse(&body).map_err(|reason| ApiError::new(StatusCode::BAD_REQUEST, "Invalid contact", reason))?;
    let contact = state.contacts.add(&caller.claim.account, caller.region, new, state.clock.now());
    let mut response = (StatusCode::CREATED, Json(caller.contact(&contact))).into_response();
    let location = format!("https://{}/contacts/{}", caller.region.api_host(), contact.id);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Which part of a list is requested.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Page {
    /// Counted from 1.
    page: usize,
    per_page: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { page: 1, per_page: PAGE_SIZE_DEFAULT }
    }
}

impl Page {
    fn parse(uri: &Uri) -> Result<Self, ApiError> {
        let wrong = |reason: String| ApiError::new(StatusCode::BAD_REQUEST, "Invalid page", reason);
        let Query(page) = Query::<Self>::try_from_uri(uri).map_err(|_| wrong("page and per_page must be numbers.".into()))?;
        if page.page == 0 || page.per_page == 0 || page.per_page > PAGE_SIZE_MAX {
            return Err(wrong(format!("page begins at 1, and per_page is at most {PAGE_SIZE_MAX}.")));
        }
        Ok(page)
    }

    /// The HAL response with this part of a list, under the list's name. A page beyond the end is empty.
    fn of(&self, entries: Vec<Value>, list: &str, caller: &Caller) -> Value {
        let total = entries.len();
        let skipped = (self.page - 1).saturating_mul(self.per_page);
        let entries: Vec<Value> = entries.into_iter().skip(skipped).take(self.per_page).collect();
        let link = |page: usize| caller.link(&format!("/{list}?page={page}&per_page={}", self.per_page));
        let mut links = json!({ "self": link(self.page) });
        if self.page > 1 {
            links["prev"] = link(self.page - 1);
        }
        if skipped.saturating_add(self.per_page) < total {
            links["next"] = link(self.page + 1);
        }
        json!({
            "total": total,
            "count": entries.len(),
            "page": self.page,
            "per_page": self.per_page,
            "_embedded": { list: entries },
            "_links": links,
        })
    }
}
