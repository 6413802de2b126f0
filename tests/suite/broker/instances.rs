//! Several instances over one database, and an instance that is started again.

use std::time::Duration;

use super::{SECOND, Scene};
use crate::support::{database::TestDatabase, raw::PATIENCE, server::Setup};

/// A test over SQLite and over PostgreSQL.
macro_rules! over_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::TestDatabase::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::TestDatabase::postgres().await).await;
            })+
        }
    };
}

over_both_databases!(
    a_second_instance_and_a_restart_fetch_nothing,
    instances_that_are_cold_at_once_fetch_once,
    a_holder_that_died_is_replaced,
    a_lease_of_a_wrong_clock_ends_all_the_same,
);

async fn scene(database: TestDatabase) -> Scene {
    Scene::over(Some(database), |setup| setup).await
}

/// Somebody took the lease, and is heard of no more.
async fn die_holding(scene: &Scene, until: i64) {
    let id = scene.credential.simple();
    let nobody = "0123456789abcdef0123456789abcdef";
    let columns = "INSERT INTO token_fetches (credential, version, holder, lease_until, failures, retry_at, pause) VALUES";
    let database = scene._database.as_ref().unwrap();
    if database.is_postgres() {
        let id = scene.credential;
        let insert = format!("{columns} ('{id}', 1, '{nobody}', {until}, 0, 0, 0)");
        database.execute(&insert).await.unwrap();
    } else {
        scene.setup.execute(&format!("{columns} (x'{id}', 1, x'{nobody}', {until}, 0, 0, 0)")).await;
    }
}

fn now(setup: &Setup) -> i64 {
    use keytile::domain::time::Clock;
    setup.clock.now().as_millis()
}

async fn a_second_instance_and_a_restart_fetch_nothing(database: TestDatabase) {
    let scene = scene(database).await;
    assert_eq!(scene.token(&scene.server.service).await, "tok-1");
    for _ in 0..2 {
        let other = scene.setup.service().await;
        assert_eq!(scene.token(&other).await, "tok-1");
        other.close().await;
    }
    assert_eq!(scene.asked(), 1);
    scene.server.stop().await;
}

async fn instances_that_are_cold_at_once_fetch_once(database: TestDatabase) {
    let scene = scene(database).await;
    let others = [scene.setup.service().await, scene.setup.service().await];
    for round in 2..5 {
        scene.let_it_end();
        scene.keeps_waiting();
        let answers = async {
            scene.is_asked(round).await;
            scene.answers();
        };
        let (one, two, three, ()) =
            tokio::join!(scene.token(&scene.server.service), scene.token(&others[0]), scene.token(&others[1]), answers);
        let expected = format!("tok-{round}");
        assert_eq!([&one, &two, &three], [&expected; 3]);
        assert_eq!(scene.asked(), round);
    }
    for other in others {
        other.close().await;
    }
    scene.server.stop().await;
}

async fn a_holder_that_died_is_replaced(database: TestDatabase) {
    let scene = scene(database).await;
    scene.let_it_end();
    die_holding(&scene, now(&scene.setup) + 30_000).await;
    let service = scene.server.service.clone();
    let waiting = async {
        assert!(tokio::time::timeout(Duration::from_millis(300), scene.ask(&service)).await.is_err(), "it is waited for");
        assert_eq!(scene.asked(), 1);
        scene.setup.clock.advance(SECOND * 31);
        scene.token(&service).await
    };
    assert_eq!(waiting.await, "tok-2");
    scene.server.stop().await;
}

async fn a_lease_of_a_wrong_clock_ends_all_the_same(database: TestDatabase) {
    // Requests take at most a second here, so that a lease lasts two.
    let scene = Scene::over(Some(database), Setup::impatient).await;
    scene.let_it_end();
    die_holding(&scene, now(&scene.setup) + 600_000).await;
    let begun = std::time::Instant::now();
    // By the clock, which stands, it would never end.
    let token = tokio::time::timeout(PATIENCE, scene.token(&scene.server.service)).await.expect("it ends");
    assert!(token == "tok-2" && begun.elapsed() >= SECOND * 2, "{token} {:?}", begun.elapsed());
    scene.server.stop().await;
}
