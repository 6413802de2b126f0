//! Access in the database: groups, shares, transfers of ownership, and the access epoch.

pub(in crate::store) mod epoch;
pub(in crate::store) mod groups;
pub(in crate::store) mod shares;
pub(in crate::store) mod transfer;
