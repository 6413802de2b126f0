//! Tests of the store. Each body runs on SQLite and on PostgreSQL, on a database of its own.

mod api_keys;
mod audit;
mod audit_chain;
mod concurrency;
mod credential_change;
mod credentials;
mod drafts;
mod faults;
mod first_start;
mod groups;
mod hand_over;
mod history;
mod identities;
mod key_check;
mod nul_bytes;
mod opening;
mod people;
mod plans;
mod recorded;
mod resources;
mod samples;
mod sealing;
mod second_factor;
mod shares;
mod sign_in_limits;
mod token_fetches;
mod verifications;

/// Makes a test on SQLite and one on PostgreSQL of each `async fn(TestDatabase)`.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::support::database::TestDatabase::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::support::database::TestDatabase::postgres().await).await;
            })+
        }
    };
}
use on_both_databases;
