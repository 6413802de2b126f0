//! The log: to standard error, for people or as JSON.
//!
//! The level is Keytile's own. Events of the libraries below it are logged from `warn` up only, whatever
//! the level, because their finer ones can hold parts of requests.

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat};

pub(super) fn start(config: &LogConfig) {
    let own = LevelFilter::from_level(config.log_level);
    let filter = Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("keytile", own);
    let lines = match config.log_format {
        LogFormat::Pretty => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
