//! Data sources and destinations in the database.

pub(in crate::store) mod resource;

pub use self::resource::{NewResource, ResourceChange, ResourceInsert, ResourceRow, ResourceUpdate};
