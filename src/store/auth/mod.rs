//! Sign-in in the database: sessions, second factors, and the throttle that slows down guessing.

pub(in crate::store) mod second_factor;
pub(in crate::store) mod sessions;
pub(in crate::store) mod throttle;
