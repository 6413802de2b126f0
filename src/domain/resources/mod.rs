//! Data sources and destinations, the request path they allow, and their egress policy.

pub mod egress_policy;
pub mod request_path;
pub mod resource;

pub use self::resource::{ApiPath, Endpoint, Method, Resource, ResourceDelete, ResourceId, ResourceKind};
