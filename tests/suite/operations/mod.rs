//! What whoever runs Keytile watches: whether it is ready, its figures, its traces.

mod dashboard;
mod metrics;
mod readiness;
mod scrape;
mod traces;
