//! What is asked by whoever watches over the process. Says which part fails, and nothing else: not why, and nothing
//! of what is stored.

use axum::{extract::State, http::StatusCode};

use crate::{
    service::operations::readiness::{PartState, Readiness},
    web::state::WebState,
};

/// `GET /healthz`: the process answers, and says how its parts were when somebody last looked. Always 200: whoever
/// starts a process again that does not answer this would put neither database nor keyring right.
pub(crate) async fn alive(State(state): State<WebState>) -> String {
    format!("ok\n{}", parts(state.service.known_readiness()))
}

/// `GET /readyz`: looks at database and keyring. 503 while one of them fails.
pub(crate) async fn ready(State(state): State<WebState>) -> (StatusCode, String) {
    let readiness = state.service.readiness().await;
    let (status, word) = match readiness.is_ready() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    (status, format!("{word}\n{}", parts(readiness)))
}

fn parts(Readiness { database, keyring }: Readiness) -> String {
    let line = |part: &str, state: PartState| format!("{part}: {}\n", state.as_str());
    line("database", database) + &line("keyring", keyring)
}
