//! Middleware: what happens to every request before its handler, and to every response after it.

pub(crate) mod body_limit;
pub(crate) mod concurrency_limit;
pub(crate) mod csrf;
pub(crate) mod error_pages;
pub(crate) mod host_guard;
pub(crate) mod metrics;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub(crate) mod sso_only;
