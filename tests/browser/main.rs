//! The tests that need a browser: headless Chromium, driven over WebDriver.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod account_flows;
mod account_pages;
mod edit;
mod every_page;
mod harness;
mod harness_works;
mod main_job;
mod overlay;
mod person;
mod single_sign_on;
mod support;
mod tiles;
mod without_script;
