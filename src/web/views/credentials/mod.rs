//! Views of credentials.

pub(crate) mod form;
pub(crate) mod form_place;
pub(crate) mod tile;
pub(crate) mod verification;
