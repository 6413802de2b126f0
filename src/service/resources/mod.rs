//! Resources, that is data sources and destinations: creating, changing, reading, preview, egress policy.

pub mod egress_policy;
pub mod preview;
pub mod read;
pub mod update;

pub use self::read::{PARAMETER_MAX, PARAMETERS_MAX, RawResource, ResourceCreation, ResourceDetail, ResourcePage, ResourceSummary};
