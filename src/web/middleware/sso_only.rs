//! If single sign-on is the only way to sign in, keeps passwords and password links from their handlers. Surrounds
//! all public pages, so that none of them can forget to check.

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};

use crate::web::{http::error::PageError, pages::auth::sso, session::Visitor, state::WebState};

pub(crate) async fn passwords(State(state): State<WebState>, request: Request, next: Next) -> Result<Response, PageError> {
    let path = request.uri().path();
    if state.service.takes_passwords() || !is_of_passwords(path) {
        return Ok(next.run(request).await);
    }
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else { return Err(PageError::NotFound) };
    if path == "/sign-in" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return sso::only_way(&state, &visitor, request.uri().query()).await;
    }
    state.service.record_refused_password(&visitor.caller()).await?;
    sso::no_passwords(&state, &visitor)
}

fn is_of_passwords(path: &str) -> bool {
    matches!(path, "/sign-in" | "/sign-in/code") || path == "/password" || path.starts_with("/password/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_sign_on_and_signing_out_are_let_through() {
        assert!(["/sign-in", "/sign-in/code", "/password/abc", "/password"].into_iter().all(is_of_passwords));
        assert!(
            !["/sign-in/sso", "/sign-in/sso/callback", "/sign-out", "/setup", "/static/a", "/"].into_iter().any(is_of_passwords)
        );
    }
}
