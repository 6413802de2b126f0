//! The tests of Keytile as a whole, one module a part. Nothing has to be started by hand for them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod architecture;
mod oidc_provider;
mod sandbox;
mod support {
    //! What several tests need: clocks, clients and servers of their own.
    pub(crate) mod clock;
    pub(crate) mod https;
//! Tests of Keytile as a library: databases, calling out, pages.

#![expect(clippy::unwrap_used, reason = "a test fails where something unexpected happens")]

mod store;
mod support {
    //! What tests stand on.

    pub(crate) mod database;
    pub(crate) mod oidc_provider;
}
//! Tests of Keytile from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod support;
mod upstream;
