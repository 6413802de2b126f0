//! What happens to every request before its handler and to every answer after it.

pub(crate) mod forgery;
pub(crate) mod guard;
pub(crate) mod headers;
pub(crate) mod in_flight;
pub(crate) mod measured;
pub(crate) mod passwords;
pub(crate) mod receiving;
pub(crate) mod request_id;
