//! Signing in and out.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Redirect, Response},
};

use crate::web::{
    error::PageError,
    session::{Visitor, no_cookie},
    state::WebState,
};

/// `GET /sign-in`.
pub(crate) async fn show(State(_): State<WebState>, _: Visitor) -> Result<Response, PageError> {
    Err(PageError::NotFound)
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(State(_): State<WebState>, _: Visitor) -> Result<Response, PageError> {
    Err(PageError::NotFound)
}

/// `POST /sign-out`: ends the session.
pub(crate) async fn sign_out(State(state): State<WebState>, visitor: Visitor) -> Result<Response, PageError> {
    if let Some(session) = visitor.session() {
        state.service.sign_out(session, &visitor.origin).await?;
    }
    Ok(([(header::SET_COOKIE, no_cookie(&state)?)], Redirect::to("/sign-in")).into_response())
}
