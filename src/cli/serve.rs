//! `keytile serve`: runs the server until it is asked to stop.

use std::sync::Arc;

use super::{logging, signals::asked_to_stop};
use crate::{
    app::{App, Overrides},
    config::Config,
    domain::time::SystemClock,
};

pub(super) async fn run(config: &Config) -> Result<(), String> {
    logging::start(&config.log);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    // Before anything can be asked of Keytile, so that a stop finds it listening.
    let mut stop = Box::pin(asked_to_stop());
    let app = tokio::select! {
        app = App::build(config, Arc::new(SystemClock), Overrides::default()) => app.map_err(|error| error.to_string())?,
        () = &mut stop => return Ok(()),
    };
    if let Some(path) = app.made_keyring() {
        println!(
            "Created a keyring: {}. Back it up separately from the database. Without it, sealed values can't be opened.",
            path.display()
        );
    }
    let sandbox = if config.sandbox { " with the sandbox" } else { "" };
    match app.setup_address().await.map_err(|error| error.to_string())? {
        None => println!("Keytile is ready{sandbox}: {}", app.address()),
        Some(link) => {
            println!("Keytile is ready{sandbox}. Open this link to create the first administrator. It works once: {link}")
        }
    }
    app.serve(stop).await.map_err(|error| format!("the server stopped: {error}"))
}
