//! Refuses forms that no page of the session can have sent (CSRF). Surrounds every page, so that no handler can be
//! reached without it: it reads the form and compares its token, and only a checked form is available to
//! [`Form`](crate::web::http::extract::Form).

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};

use crate::{
    service::auth::browser,
    web::{
        http::{
            error::PageError,
            extract::{CheckedForm, Fields},
        },
        session::{Visitor, look_again},
        state::WebState,
    },
};

/// The form field with the token. No connector may have a field with this name.
pub(crate) const FORM_TOKEN: &str = "form_token";

/// The middleware.
pub(crate) async fn forgery(State(state): State<WebState>, request: Request, next: Next) -> Result<Response, PageError> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let is_form = kind.is_some_and(|kind| {
        kind.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii) == Some(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(PageError::NotAForm);
    }
    let Some(mut visitor) = request.extensions().get::<Visitor>().cloned() else { return Err(PageError::NotFound) };
    let (parts, body) = request.into_parts();
    let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &state).await.map_err(|rejection| match rejection
        .status()
    {
        StatusCode::PAYLOAD_TOO_LARGE => PageError::TooLarge,
        StatusCode::REQUEST_TIMEOUT => PageError::TooSlow,
        _ => PageError::BadRequest,
    })?;
    // Reading the body can take half a minute, in which the session may end.
    look_again(&state, &parts.headers, &mut visitor).await?;
    let mut fields = Fields::read(&body);
    let token = fields.take(FORM_TOKEN);
    if !browser::is_form_token(&token, &visitor.form_token) {
        tracing::warn!("refused: the form isn't from a page of this session");
        if visitor.session().is_some() {
            state.service.record_forged_form(&visitor.caller(), parts.uri.path()).await?;
        }
        return Err(PageError::ForgedForm);
    }
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(visitor);
    request.extensions_mut().insert(CheckedForm::new(fields));
    Ok(next.run(request).await)
}
