//! Logging to standard error, for people or as JSON.
//!
//! The configured level applies to Keytile itself. Events of its libraries are only logged from `warn` up, whatever
//! the level, because finer ones may contain parts of requests.

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
