//! Sources and destinations: authenticate, configure, list, one resource, egress policy.

pub(crate) mod authenticate;
pub(crate) mod configure;
pub(crate) mod egress_policy;
pub(crate) mod list;
pub(crate) mod show;
