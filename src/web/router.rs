//! Which handler answers which address, and what lies around the handlers.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    api, assets, error,
    middleware::{
        forgery::forgery,
        guard::{Guard, guard},
        headers::{Https, headers},
        in_flight::in_flight,
        measured::measured,
        passwords::passwords,
        receiving::{Receiving, receiving},
        request_id::request_id,
    },
    pages::{
        api_docs, audit, authenticate, code, configure, connectors, contract, credential, credentials, delete, edit, groups,
        hand_over, health, history, home, key_new, keys, overlay, own_account, own_second_factor, own_sessions, password_link,
        people, person, resource, resources, save, setup, sharing, sign_in, single_sign_on,
    },
    session::{identify, is_secure, signed_in},
    state::WebState,
};

/// The largest body of a request, in bytes: some ten times what the longest form can hold.
const BODY_MAX: usize = 256 * 1024;

/// Everything that Keytile answers.
pub fn router(state: WebState) -> Router {
    let own = Arc::new(Guard::new(&state.settings.public_url, state.settings.loopback));
    let room = Arc::new(Semaphore::new(state.settings.limits.in_flight));
    let bodies = Arc::new(Receiving::new(&state.settings.limits));
    // What lies around a handler is stacked at once: each `layer` of a router would put what is inside it into one more
    // box, which is made anew for each request.
    let signed = Router::new()
        .route("/", get(home::show))
        .route("/connectors", get(connectors::catalogue))
        .route("/credentials", get(credentials::show))
        .route("/credentials/{id}", get(credential::show))
        .route("/credentials/{id}/edit", get(edit::show).post(edit::save))
        .route("/credentials/{id}/history", get(history::of_credential))
        .route("/credentials/{id}/sharing", get(sharing::show).post(sharing::change))
        .route("/credentials/{id}/test", post(credential::test))
        .route("/credentials/{id}/delete", get(delete::ask_credential).post(delete::credential))
        .route("/settings/people", get(people::show).post(people::add))
        .route("/settings/people/{id}", get(person::show).post(person::change))
        .route("/settings/people/{id}/disable", post(person::disable))
        .route("/settings/people/{id}/enable", post(person::enable))
        .route("/settings/people/{id}/reset-password", post(person::reset_password))
        .route("/settings/people/{id}/remove-second-factor", post(person::remove_second_factor))
        .route("/settings/people/{id}/end-sessions", post(person::end_sessions))
        .route("/settings/people/{id}/hand-over", get(hand_over::ask).post(hand_over::hand_over))
        .route("/settings/groups", get(groups::show).post(groups::add))
        .route("/settings/groups/{id}", get(groups::show_one).post(groups::rename))
        .route("/settings/groups/{id}/members", post(groups::add_member))
        .route("/settings/groups/{id}/members/remove", post(groups::remove_member))
        .route("/settings/groups/{id}/delete", get(groups::ask_delete).post(groups::delete))
        .route("/settings", get(own_account::show))
        .route("/settings/name", post(own_account::change_name))
        .route("/settings/password", post(own_account::change_password))
        .route("/settings/second-factor", get(own_second_factor::show).post(own_second_factor::enable))
        .route("/settings/second-factor/change", post(own_second_factor::change))
        .route("/settings/sessions", get(own_sessions::show))
        .route("/settings/sessions/end-others", post(own_sessions::end_others))
        .route("/settings/sessions/{id}/end", post(own_sessions::end))
        .route("/settings/keys", get(keys::list))
        .route("/settings/keys/new", get(key_new::show).post(key_new::create))
        .route("/settings/keys/{id}", get(keys::show))
        .route("/settings/keys/{id}/revoke", post(keys::revoke))
        .route("/audit", get(audit::show))
        .route("/audit/export", post(audit::export))
        .route("/{kind}", get(resources::show))
        .route("/{kind}/new", get(connectors::choose))
        .route("/{kind}/new/{connector}/authenticate", get(authenticate::show))
        .route("/{kind}/new/{connector}/credentials/new", get(overlay::show).post(save::save))
        .route("/{kind}/new/{connector}/credentials/discard", post(overlay::discard))
        .route("/{kind}/new/{connector}/configure", get(configure::show).post(configure::act))
        .route("/{kind}/{id}", get(resource::show))
        .route("/{kind}/{id}/preview", post(resource::preview))
        .route("/{kind}/{id}/contract", get(contract::show).post(contract::change))
        .route("/{kind}/{id}/history", get(history::of_resource))
        .route("/{kind}/{id}/credential", post(resource::change_credential))
        .route("/{kind}/{id}/delete", get(delete::ask_resource).post(delete::resource))
        .layer(from_fn_with_state(state.clone(), signed_in));
    let open = Router::new()
        .route("/api/docs", get(api_docs::show))
        .route("/password", get(password_link::show).post(password_link::choose))
        .route("/setup", get(setup::show).post(setup::set_up))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-in/code", get(code::show).post(code::sign_in))
        .route("/sign-in/sso", get(single_sign_on::begin))
        .route("/sign-in/sso/callback", get(single_sign_on::finish))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/static/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .layer(from_fn_with_state(state.clone(), passwords));
    let pages = signed
        .merge(open)
        // Named, so that the layers below lie around it too: without it an unknown address is an empty answer.
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), error::error_pages))
                .layer(from_fn_with_state(room.clone(), in_flight))
                .layer(from_fn_with_state(own.clone(), guard))
                .layer(from_fn_with_state(state.clone(), identify))
                .layer(from_fn_with_state(bodies.clone(), receiving))
                .layer(DefaultBodyLimit::max(BODY_MAX))
                .layer(from_fn_with_state(state.clone(), forgery))
                .layer(CatchPanicLayer::custom(error::panicked)),
        );
    // Programs send no forms and have no sessions: each request has its key with it, so that no other site can have
    // caused it. All limits are the same.
    let api = api::routes().layer(
        ServiceBuilder::new()
            .layer(from_fn(api::problems))
            .layer(from_fn_with_state(room, in_flight))
            .layer(from_fn_with_state(own, guard))
            .layer(from_fn_with_state(bodies, receiving))
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .layer(CatchPanicLayer::custom(error::panicked)),
    );
    // Whoever watches over the process asks under whatever name it knows; there is nothing to protect here.
    let health = Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready));
    pages
        .merge(api)
        .merge(health)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn(request_id))
                .layer(from_fn_with_state(state.clone(), measured))
                .layer(from_fn_with_state(Https(is_secure(&state)), headers)),
        )
        .with_state(state)
}
