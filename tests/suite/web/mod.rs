//! The pages, through the real router of a whole Keytile, as a browser without scripts uses them.

mod canary;
mod crowd;
mod damaged;
mod drafts;
mod framing;
mod guard;
mod hosts;
mod limits;
mod lists;
mod postgres;
mod real_server;
mod resources;
mod save;
mod tls;
mod trusted_proxy;
