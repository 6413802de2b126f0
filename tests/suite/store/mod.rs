//! Tests of the store. Each body runs on SQLite and on PostgreSQL, on a database of its own.

mod concurrency;
mod credentials;
mod drafts;
mod faults;
mod first_start;
mod identities;
mod nul_bytes;
mod opening;
mod plans;
mod resources;
mod samples;
mod sealing;
mod second_factor;
mod sign_in_limits;
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
