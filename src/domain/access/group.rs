//! Groups of people, and what is shared with them.

use uuid::Uuid;

use super::permission::Access;
use crate::domain::users::{UserId, UserState};

/// A stored group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// How many people are in it.
    pub members: i64,
    /// How many credentials are shared with it.
    pub shares: i64,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The name of the person.
    pub name: String,
    /// Whether the account can be used.
    pub state: UserState,
}

/// A credential that is shared with a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShare {
    /// The id of its connector.
    pub connector: String,
    /// Its name.
    pub name: String,
    /// What the group may do with it.
    pub access: Access,
    /// The e-mail address of its owner.
    pub owner: Option<String>,
}
