//! The parts of HTTP that every handler needs: bodies, cookies, errors, extractors, problems.

pub(in crate::web) mod client_address;
pub(in crate::web) mod cookie;
pub(in crate::web) mod device;
pub(in crate::web) mod error;
pub(in crate::web) mod extract;
pub(in crate::web) mod guarded_body;
pub(in crate::web) mod problem;
pub(in crate::web) mod response_body;
pub(in crate::web) mod trace;
