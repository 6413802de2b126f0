//! Health checks for process supervisors and load balancers. They say which part fails, but not why, and nothing
//! about stored data.

use axum::{extract::State, http::StatusCode};

use crate::{
    service::operations::readiness::{PartState, Readiness},
    web::state::WebState,
};

/// `GET /healthz`: the process responds, and reports the last known state of its parts. Always 200, because
/// restarting the process would repair neither the database nor the keyring.
pub(crate) async fn alive(State(state): State<WebState>) -> String {
    format!("ok\n{}", parts(state.service.known_readiness()))
}

/// `GET /readyz`: checks database and keyring. 503 while one of them fails.
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
