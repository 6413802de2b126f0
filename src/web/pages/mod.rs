//! The pages, a file a page. Each handler makes one call of the service and shows its answer; each
//! template has the name of its page.

pub(crate) mod api_docs;
pub(crate) mod audit;
pub(crate) mod authenticate;
pub(crate) mod code;
pub(crate) mod configure;
pub(crate) mod connectors;
pub(crate) mod contract;
pub(crate) mod credential;
pub(crate) mod credentials;
pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod groups;
pub(crate) mod hand_over;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod home;
pub(crate) mod key_new;
pub(crate) mod keys;
pub(crate) mod overlay;
pub(crate) mod own_account;
pub(crate) mod own_second_factor;
pub(crate) mod own_sessions;
pub(crate) mod password_link;
pub(crate) mod people;
pub(crate) mod person;
pub(crate) mod resource;
pub(crate) mod resources;
pub(crate) mod save;
pub(crate) mod setup;
pub(crate) mod sharing;
pub(crate) mod sign_in;
pub(crate) mod single_sign_on;
