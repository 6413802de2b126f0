//! API keys in Settings: the list, and the page of one key. Creating one is in [`super::create`].

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::api_keys::{ApiKeyId, ApiKeyText},
    service::api_keys::KeyDetail,
    web::{
        http::{
            error::PageError,
            extract::{Id, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{api_keys::KeyView, users::settings_nav::SettingsNav},
    },
};

pub(in crate::web::pages) const ADDRESS: &str = "/settings/keys";

/// The query of the list.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/keys.html")]
struct Keys<'a> {
    layout: Layout,
    nav: SettingsNav,
    keys: Vec<KeyView<'a>>,
    is_first_page: bool,
    next: Option<Uuid>,
}

/// `GET /settings/keys`.
pub(crate) async fn list(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(place): Query<Place>,
) -> Result<Response, PageError> {
    let after = id_of(place.after.as_deref());
    let page = state.service.api_keys(&signed.caller, after).await?;
    let now = state.service.now();
    layout::ok(&Keys {
        layout: Layout::new(&state, &signed, Section::Settings, "API keys · Settings"),
        nav: SettingsNav::new(&signed, ADDRESS),
        keys: page.keys.iter().map(|key| KeyView::new(key, now)).collect(),
        is_first_page: after.is_none(),
        next: page.next,
    })
}

/// What the page of a key says about the key itself.
pub(in crate::web::pages) enum Shown<'a> {
    No,
    /// The key, which is shown this once.
    Once(&'a ApiKeyText),
    /// That it was shown once and can't be shown again.
    Before,
}

#[derive(Template)]
#[template(path = "settings/key.html")]
struct Key<'a> {
    layout: Layout,
    nav: SettingsNav,
    view: KeyView<'a>,
    detail: &'a KeyDetail,
    once: Option<&'a str>,
    shown_before: bool,
    revoked: bool,
}

/// The query: what has just happened.
#[derive(Debug, Deserialize)]
pub(crate) struct Happened {
    revoked: Option<String>,
}

/// `GET /settings/keys/{id}`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(happened): Query<Happened>,
) -> Result<Response, PageError> {
    respond(&state, &signed, id, &Shown::No, happened.revoked.is_some()).await
}

/// `POST /settings/keys/{id}/revoke`.
pub(crate) async fn revoke(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    if !state.service.revoke_api_key(&signed.caller, id).await? {
        return Err(PageError::NotFound);
    }
    Ok(Redirect::to(&format!("{ADDRESS}/{id}?revoked=1")).into_response())
}

pub(in crate::web::pages) async fn respond(
    state: &WebState,
    signed: &SignedIn,
    id: ApiKeyId,
    shown: &Shown<'_>,
    revoked: bool,
) -> Result<Response, PageError> {
    let detail = state.service.api_key(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    let view = KeyView::new(&detail.summary, state.service.now());
    let title = format!("{} · API keys", detail.summary.name);
    let page = Key {
        layout: Layout::new(state, signed, Section::Settings, title),
        nav: SettingsNav::new(signed, ADDRESS),
        revoked: revoked && !view.is_revocable(),
        view,
        detail: &detail,
        once: match shown {
            Shown::Once(key) => Some(key.expose()),
            Shown::No | Shown::Before => None,
        },
        shown_before: matches!(shown, Shown::Before),
    };
    layout::page(StatusCode::OK, &page)
}
