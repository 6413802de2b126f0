//! Data sources and destinations: create, change, show, preview, egress policy.

pub mod egress_policy;
pub mod preview;
pub mod read;
pub mod update;

pub use self::read::{PARAMETER_MAX, PARAMETERS_MAX, RawResource, ResourceCreation, ResourceDetail, ResourcePage, ResourceSummary};
