//! The pages, through the real router of a whole Keytile, as a browser without scripts uses them.

mod canary;
mod damaged;
mod drafts;
mod guard;
mod lists;
mod postgres;
mod real_server;
mod resources;
mod save;
mod second_factor;
mod sessions;
mod sign_in;
mod sign_in_limits;
mod single_sign_on;
