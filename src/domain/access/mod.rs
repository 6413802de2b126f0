//! Who may do what: permissions, the roles of groups, and the transfer of ownership.

pub mod group;
pub mod group_role;
pub mod permission;
pub mod transfer;
