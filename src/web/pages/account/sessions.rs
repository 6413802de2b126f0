//! Settings, "Sessions": where a user is signed in, and ending sessions.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::users::session::SignInMethod,
    web::{
        http::{error::PageError, extract::Id},
        layout::{self, Layout, Section},
        session::{SignedIn, no_cookie},
        state::WebState,
        views::{
            relative_time::Age,
            users::{agent::agent_words, settings_nav::SettingsNav},
        },
    },
};

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "settings/sessions.html")]
struct Sessions {
    layout: Layout,
    nav: SettingsNav,
    sessions: Vec<SessionView>,
    done: Option<&'static str>,
}

/// A session as a row of the list.
struct SessionView {
    id: Uuid,
    browser: String,
    method: &'static str,
    address: String,
    created: Age,
    used: Age,
    present: bool,
}

/// `GET /settings/sessions`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let now = state.service.now();
    let sessions = state.service.sessions(signed.live()?).await?;
    let rows = sessions.into_iter().map(|(session, present)| SessionView {
        id: session.id,
        browser: agent_words(&session.agent),
        method: method_words(session.method),
        address: session.address,
        created: Age::of(session.created_at, now),
        used: Age::of(session.used_at, now),
        present,
    });
    let page = Sessions {
        layout: Layout::new(&state, &signed, Section::Settings, "Sessions · Settings"),
        nav: SettingsNav::new(&signed, "/settings/sessions"),
        sessions: rows.collect(),
        done: match wanted.done.as_str() {
            "one" => Some("Session ended."),
            "others" => Some("All your other sessions have ended."),
            _ => None,
        },
    };
    layout::ok(&page)
}

/// `POST /settings/sessions/{id}/end`. Responds to another user's session as to one that doesn't exist.
pub(crate) async fn end(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let session = signed.live()?;
    if !state.service.end_session(session, id, &signed.caller.origin).await? {
        return Err(PageError::NotFound);
    }
    if id == session.id {
        return Ok(([(header::SET_COOKIE, no_cookie(&state)?)], Redirect::to("/sign-in")).into_response());
    }
    Ok(Redirect::to("/settings/sessions?done=one").into_response())
}

/// `POST /settings/sessions/end-others`.
pub(crate) async fn end_others(State(state): State<WebState>, signed: SignedIn) -> Result<Response, PageError> {
    state.service.end_other_sessions(signed.live()?, &signed.caller.origin).await?;
    Ok(Redirect::to("/settings/sessions?done=others").into_response())
}

const fn method_words(method: SignInMethod) -> &'static str {
    match method {
        SignInMethod::Password => "Password",
        SignInMethod::SingleSignOn => "Single sign-on",
        SignInMethod::Link => "Link",
    }
}
