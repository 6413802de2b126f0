//! Groups of people, and what is shared with them.

use uuid::Uuid;

use super::permission::Access;
use crate::domain::users::{UserId, UserState};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: Uuid,
    /// Unique, ignoring case.
    pub name: String,
    /// The number of members.
    pub members: i64,
    /// The number of credentials shared with it.
    pub shares: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub state: UserState,
}

/// A credential that is shared with a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShare {
    /// The connector's id.
    pub connector: String,
    pub name: String,
    pub access: Access,
    /// The owner's email address.
    pub owner: Option<String>,
}
