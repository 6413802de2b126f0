//! Views of data sources and destinations.

pub(crate) mod flow;
pub(crate) mod preview;
