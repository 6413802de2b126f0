//! What whoever runs Keytile watches: whether it is ready, its figures, its traces.

mod readiness;
