//! The pages, through the real router of a whole Keytile, as a browser without scripts uses them.

mod audit;
mod canary;
mod crowd;
pub(crate) mod damaged;
mod drafts;
mod edit;
mod framing;
mod groups;
mod guard;
mod hand_over;
mod history;
mod hosts;
mod keys;
mod limits;
mod lists;
mod password_link;
mod people;
mod postgres;
mod real_server;
mod resources;
pub(crate) mod rights;
mod save;
pub(crate) mod second_factor;
pub(crate) mod sessions;
mod sharing;
mod sign_in;
mod sign_in_limits;
mod single_sign_on;
mod tls;
mod trusted_proxy;
pub(crate) mod unrecorded;

use crate::support::{database::TestDatabase, server::Setup};
use keytile::crypto::keyring::Keyring;

/// Makes a test over SQLite and one over PostgreSQL of each `async fn(Setup, TestDatabase)`.
macro_rules! over_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::support::database::TestDatabase::sqlite();
                super::$test(crate::web::over(&database), database).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                let database = crate::support::database::TestDatabase::postgres().await;
                super::$test(crate::web::over(&database), database).await;
            })+
        }
    };
}
use over_both_databases;

/// A Keytile over this database, with the sandbox.
fn over(database: &TestDatabase) -> Setup {
    let setup = Setup::sandbox().with(format!("--database-url={}", database.url()));
    let keyring = setup.folder.path().join("keyring");
    Keyring::create(&keyring).unwrap();
    setup.with(format!("--keyring={}", keyring.display()))
}
