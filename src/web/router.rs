//! The routes, and the middleware around their handlers.

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
    api, assets,
    http::error,
    middleware::{
        body_limit::{Receiving, receiving},
        concurrency_limit::in_flight,
        csrf::forgery,
        error_pages::error_pages,
        host_guard::{Guard, guard},
        metrics::measured,
        request_id::request_id,
        security_headers::{Https, headers},
        sso_only::passwords,
    },
    pages::{account, api_docs, api_keys, audit, auth, connectors, credentials, delete, health, home, resources, usage, users},
    session::{identify, is_secure, signed_in},
    state::WebState,
};

/// The largest request body, in bytes: about ten times what the longest form can contain.
const BODY_MAX: usize = 256 * 1024;

/// All routes, except those of the proxy.
pub fn router(state: WebState) -> Router {
    let own = Arc::new(Guard::new(&state.settings.public_url, state.settings.loopback));
    let room = Arc::new(Semaphore::new(state.settings.limits.in_flight));
    let bodies = Arc::new(Receiving::new(&state.settings.limits));
    // The layers of a handler are stacked in one call: each `layer` of a router would box everything inside it once
    // more, for each request.
    let signed = Router::new()
        .route("/", get(home::show))
        .route("/connectors", get(connectors::catalogue))
        .route("/credentials", get(credentials::list::show))
        .route("/credentials/{id}", get(credentials::show::show))
        .route("/credentials/{id}/edit", get(credentials::edit::show).post(credentials::edit::save))
        .route("/credentials/{id}/history", get(usage::of_credential))
        .route("/credentials/{id}/sharing", get(credentials::sharing::show).post(credentials::sharing::change))
        .route("/credentials/{id}/test", post(credentials::show::test))
        .route("/credentials/{id}/delete", get(delete::ask_credential).post(delete::credential))
        .route("/settings/people", get(users::list::show).post(users::list::add))
        .route("/settings/people/{id}", get(users::show::show).post(users::show::change))
        .route("/settings/people/{id}/disable", post(users::show::disable))
        .route("/settings/people/{id}/enable", post(users::show::enable))
        .route("/settings/people/{id}/reset-password", post(users::show::reset_password))
        .route("/settings/people/{id}/remove-second-factor", post(users::show::remove_second_factor))
        .route("/settings/people/{id}/end-sessions", post(users::show::end_sessions))
        .route("/settings/people/{id}/hand-over", get(users::transfer::ask).post(users::transfer::hand_over))
        .route("/settings/groups", get(users::groups::show).post(users::groups::add))
        .route("/settings/groups/{id}", get(users::groups::show_one).post(users::groups::rename))
        .route("/settings/groups/{id}/members", post(users::groups::add_member))
        .route("/settings/groups/{id}/members/remove", post(users::groups::remove_member))
        .route("/settings/groups/{id}/delete", get(users::groups::ask_delete).post(users::groups::delete))
        .route("/settings", get(account::profile::show))
        .route("/settings/name", post(account::profile::change_name))
        .route("/settings/password", post(account::profile::change_password))
        .route("/settings/second-factor", get(account::second_factor::show).post(account::second_factor::enable))
        .route("/settings/second-factor/change", post(account::second_factor::change))
        .route("/settings/sessions", get(account::sessions::show))
        .route("/settings/sessions/end-others", post(account::sessions::end_others))
        .route("/settings/sessions/{id}/end", post(account::sessions::end))
        .route("/settings/keys", get(api_keys::list::list))
        .route("/settings/keys/new", get(api_keys::create::show).post(api_keys::create::create))
        .route("/settings/keys/{id}", get(api_keys::list::show))
        .route("/settings/keys/{id}/revoke", post(api_keys::list::revoke))
        .route("/audit", get(audit::show))
        .route("/audit/export", post(audit::export))
        .route("/{kind}", get(resources::list::show))
        .route("/{kind}/new", get(connectors::choose))
        .route("/{kind}/new/{connector}/authenticate", get(resources::authenticate::show))
        .route("/{kind}/new/{connector}/credentials/new", get(credentials::overlay::show).post(credentials::create::save))
        .route("/{kind}/new/{connector}/credentials/discard", post(credentials::overlay::discard))
        .route("/{kind}/new/{connector}/configure", get(resources::configure::show).post(resources::configure::act))
        .route("/{kind}/{id}", get(resources::show::show))
        .route("/{kind}/{id}/preview", post(resources::show::preview))
        .route("/{kind}/{id}/policy", get(resources::egress_policy::show).post(resources::egress_policy::change))
        // The old address of the policy.
        .route("/{kind}/{id}/contract", get(resources::egress_policy::moved).post(resources::egress_policy::moved))
        .route("/{kind}/{id}/history", get(usage::of_resource))
        .route("/{kind}/{id}/credential", post(resources::show::change_credential))
        .route("/{kind}/{id}/delete", get(delete::ask_resource).post(delete::resource))
        .layer(from_fn_with_state(state.clone(), signed_in));
    let open = Router::new()
        .route("/api/docs", get(api_docs::show))
        .route("/password", get(auth::password_link::show).post(auth::password_link::choose))
        .route("/setup", get(auth::setup::show).post(auth::setup::set_up))
        .route("/sign-in", get(auth::sign_in::show).post(auth::sign_in::sign_in))
        .route("/sign-in/code", get(auth::code::show).post(auth::code::sign_in))
        .route("/sign-in/sso", get(auth::sso::begin))
        .route("/sign-in/sso/callback", get(auth::sso::finish))
        .route("/sign-out", post(auth::sign_in::sign_out))
        .route("/static/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .layer(from_fn_with_state(state.clone(), passwords));
    let pages = signed
        .merge(open)
        // A handler, so that the layers below apply to it: without one, an unknown path gets an empty response.
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(state.clone(), error_pages))
                .layer(from_fn_with_state(room.clone(), in_flight))
                .layer(from_fn_with_state(own.clone(), guard))
                .layer(from_fn_with_state(state.clone(), identify))
                .layer(from_fn_with_state(bodies.clone(), receiving))
                .layer(DefaultBodyLimit::max(BODY_MAX))
                .layer(from_fn_with_state(state.clone(), forgery))
                .layer(CatchPanicLayer::custom(error::panicked)),
        );
    // API clients send no forms and have no sessions: each request contains its key, so that no other site can have
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
    // Health checks may use any host name; there is nothing to protect here.
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
