//! Data sources and destinations, the paths of their requests, and their egress policies.

pub mod egress_policy;
pub mod request_path;
pub mod resource;

pub use self::resource::{ApiPath, Endpoint, Method, Resource, ResourceDelete, ResourceId, ResourceKind};
