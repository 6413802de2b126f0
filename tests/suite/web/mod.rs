//! The pages, through the real router of a whole Keytile, as a browser without scripts uses them.

mod audit;
mod canary;
mod damaged;
mod drafts;
mod guard;
mod lists;
mod postgres;
mod real_server;
mod resources;
mod save;
mod unrecorded;
