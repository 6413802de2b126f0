//! Keytile is attacked, on purpose: each attack is carried out against the real server. Where it is one on routes,
//! connectors or forms, it goes through all that there are at the time of the test, so that a new page is attacked
//! without anybody thinking of it; what is left out, such as the sign-out that ends the attacker's own session, each
//! test says. The routes of single sign-on do nothing without a provider: `hostile_provider.rs` has one.

mod bodies;
mod connector_texts;
mod egress;
mod flood;
mod forgery;
mod headers;
mod hostile_provider;
mod hostile_service;
mod logs;
mod mass_assignment;
mod paths;
mod requests_out;
mod script;
mod timing;

/// An id that nothing has.
const NOTHING: &str = "01890a5d-ac96-774b-bcce-0000000000ff";

/// What the router says of an address.
struct Route {
    /// The address, with ids of nothing in it.
    path: String,
    takes_get: bool,
    takes_post: bool,
}

/// Every route of the router's source.
fn routes() -> Vec<Route> {
    let source = include_str!("../../../src/web/router.rs");
    let routes: Vec<Route> = source
        .split(".route(\"")
        .skip(1)
        .map(|part| {
            let (path, rest) = part.split_once('"').unwrap();
            let handlers = rest.lines().next().unwrap();
            let path = path.replace("{kind}", "sources").replace("{connector}", "talkdesk");
            let path = path.replace("{id}", NOTHING).replace("{name}", "nothing.css");
            Route { path, takes_get: handlers.contains("get("), takes_post: handlers.contains("post(") }
        })
        .collect();
    assert!(routes.len() > 40, "the routes were not found");
    routes
}

/// The addresses that take a form.
fn form_paths() -> Vec<String> {
    routes().into_iter().filter(|route| route.takes_post).map(|route| route.path).collect()
}
