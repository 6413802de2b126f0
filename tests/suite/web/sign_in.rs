//! Signing in: where it leads, what it tells, and what it does not tell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use keytile::{
    crypto::password::PasswordCost,
    service::{
        access::caller::{Caller, Origin},
        auth::sign_in::{Browser as Device, RawSignIn, SignInOutcome},
    },
};

use crate::support::server::{ADMINISTRATOR, PASSWORD, SESSION, Setup};

const WRONG: &str = "Sign-in failed. Check your email address and password.";

#[tokio::test]
async fn a_page_that_was_asked_for_is_where_one_lands() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.visitor();
    let asked = browser.get("/credentials?q=a").await;
    assert_eq!((asked.status, asked.location.as_deref()), (303, Some("/sign-in?next=/credentials%3Fq%3Da")));
    let form = browser.get(&asked.location.unwrap()).await;
    assert_eq!(form.value("next"), "/credentials?q=a");
    let planted = browser.cookies[SESSION].clone();
    let typed = [("email", " ANA@example.com "), ("password", PASSWORD), ("next", "/credentials?q=a")];
    let landed = browser.post("/sign-in", &typed).await;
    assert_eq!((landed.status, landed.location.as_deref()), (303, Some("/credentials?q=a")));
    let cookies: Vec<_> = landed.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    for (cookie, begin) in cookies.iter().zip(["keytile_session=", "keytile_device="]) {
        assert!(cookie.starts_with(begin) && cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age="), "{cookie}");
    }
    assert_ne!(browser.cookies[SESSION], planted, "an id from before the sign-in is worth nothing");
    assert_eq!(browser.get("/credentials").await.status, 200);
    let mut other = server.visitor();
    other.cookies.insert(SESSION.into(), planted);
    assert_eq!(other.get("/credentials").await.status, 303);
    // Who is signed in need not do it again.
    for (address, to) in [("/sign-in?next=/connectors", "/connectors"), ("/sign-in?next=//evil.example", "/"), ("/sign-in", "/")] {
        assert_eq!(browser.get(address).await.location.as_deref(), Some(to), "{address}");
    }
}

#[tokio::test]
async fn a_new_id_takes_the_place_of_the_session_before() {
    let setup = Setup::new();
    let server = setup.start().await;
    setup.person("ben@example.com", Some("tulip gravel anchor 9")).await;
    let mut browser = server.signed_in().await;
    let mut old = browser.clone();
    let page = browser.post("/sign-in", &[("email", "ben@example.com"), ("password", "tulip gravel anchor 9")]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    browser.get("/settings").await.says("ben@example.com");
    assert_eq!(old.get("/settings").await.location.as_deref(), Some("/sign-in?next=/settings"));
}

#[tokio::test]
async fn it_leads_to_no_other_site() {
    let setup = Setup::new();
    let server = setup.start().await;
    for next in
        ["//evil.example", "https://evil.example/", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "/sign-out"]
    {
        let mut browser = server.visitor();
        let encoded: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        assert_eq!(browser.get(&format!("/sign-in?next={encoded}")).await.value("next"), "/", "{next}");
        let typed = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.post("/sign-in", &typed).await.location.as_deref(), Some("/"), "{next}");
    }
}

#[tokio::test]
async fn what_is_wrong_nobody_is_told_and_each_case_is_the_same_work() {
    let setup = Setup::new();
    let server = setup.start().await;
    setup.person("gone@example.com", Some(PASSWORD)).await;
    setup.execute("UPDATE users SET state = 'disabled' WHERE email = 'gone@example.com'").await;
    setup.person("none@example.com", None).await;
    let long = "x".repeat(100_000);
    let cases = [
        (ADMINISTRATOR, "wrong"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("none@example.com", PASSWORD),
        ("none@example.com", "too long"),
        (ADMINISTRATOR, long.as_str()),
        ("nobody@example.com", long.as_str()),
        ("not an address", PASSWORD),
        (&"a".repeat(5_000), PASSWORD),
    ];
    let mut browser = server.visitor();
    browser.get("/sign-in").await;
    let mut pages = Vec::new();
    for (email, password) in cases {
        let before = server.service.passwords_checked();
        let page = browser.post("/sign-in", &[("email", email), ("password", password)]).await;
        assert_eq!(page.status, 422, "{email}");
        page.says(WRONG);
        assert_eq!(server.service.passwords_checked() - before, 1, "{email}: one hash");
        assert_eq!(page.value("email"), email);
        assert_eq!(page.value("password"), "");
        pages.push(page.text.replace(email, "EMAIL"));
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
    // The audit trail tells whoever may read it; what was typed for no account it does not.
    let trail = setup.trail("session.sign_in").await;
    let failed: Vec<&str> =
        trail.iter().filter_map(|line| line.split_once(" session.sign_in failed ")).map(|(name, _)| name).collect();
    let unknown = "unknown account";
    let known = [ADMINISTRATOR, unknown, "gone@example.com", "none@example.com", "none@example.com", ADMINISTRATOR];
    assert_eq!(failed[..6], known);
    assert_eq!(failed[6..], [unknown; 3]);
    assert!(trail.contains(&"gone@example.com session.sign_in failed the account is disabled".to_owned()), "{trail:?}");
    assert!(trail.contains(&"none@example.com session.sign_in failed the account has no password".to_owned()), "{trail:?}");
}

#[tokio::test]
async fn a_password_in_the_wrong_field_is_kept_nowhere() {
    const CANARY: &str = "canary-in-the-wrong-field";
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.visitor();
    browser.sign_in(CANARY, CANARY).await.says(WRONG);
    server.stop().await;
    for entry in std::fs::read_dir(setup.data_dir()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}

#[tokio::test]
async fn what_was_not_typed_is_said_and_not_tried() {
    let setup = Setup::new();
    let server = setup.start().await;
    let mut browser = server.visitor();
    let checked = server.service.passwords_checked();
    let page = browser.sign_in(" ", "").await;
    assert_eq!(page.status, 422);
    page.says("Enter your email address.");
    page.says("Enter your password.");
    assert_eq!(server.service.passwords_checked(), checked);
    assert!(setup.texts("SELECT CAST(failures AS TEXT) FROM sign_in_limits").await.is_empty());
}

#[tokio::test]
async fn an_old_hash_is_made_anew_by_the_sign_in() {
    let mut setup = Setup::new();
    setup.start().await.stop().await;
    let hash = "SELECT password FROM users";
    let old = setup.texts(hash).await;
    assert!(old[0].contains("$m=8,t=1,p=1$"), "{old:?}");
    setup.overrides.password_cost = PasswordCost::new(16, 2, 1).unwrap();
    let server = setup.start().await;
    let mut browser = server.visitor();
    assert_eq!(browser.sign_in(ADMINISTRATOR, "wrong").await.status, 422);
    assert_eq!(setup.texts(hash).await, old);
    server.signed_in().await;
    let new = setup.texts(hash).await;
    assert!(new[0].contains("$m=16,t=2,p=1$"), "{new:?}");
    server.signed_in().await;
    assert_eq!(setup.texts(hash).await, new, "it is made anew once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sign_ins_is_told_to_come_back_and_not_counted() {
    let mut setup = Setup::new();
    setup.overrides.password_cost = PasswordCost::new(4 * 1024, 3, 1).unwrap();
    let server = setup.start().await;
    let (stop, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // More than run and wait on any machine, each for an account and an address of its own.
    let many = thread::available_parallelism().unwrap().get() + keytile::service::auth::password_hashing::WAITING + 8;
    let flood: Vec<_> = (0..many)
        .map(|_| {
            let (stop, number, service) = (Arc::clone(&stop), Arc::clone(&number), server.service.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let email = format!("n{}@example.com", number.fetch_add(1, Ordering::Relaxed));
                    let raw = RawSignIn { email, password: "wrong".into() };
                    let browser = Device { agent: "", device: None };
                    let outcome = service.sign_in(&Caller::nobody("", Origin::default()), &raw, browser, None).await.unwrap();
                    assert!(matches!(outcome, SignInOutcome::Wrong | SignInOutcome::Busy));
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut browser = server.visitor();
    browser.get("/sign-in").await;
    let mut busy = None;
    for _ in 0..200 {
        let page = browser.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).await;
        if page.status == 503 {
            busy = Some(page);
            break;
        }
        browser = server.visitor();
        browser.get("/sign-in").await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
    let busy = busy.expect("so many at once are too many");
    busy.says("Keytile is busy. Please try again.");
    assert_eq!(busy.headers["retry-after"], "1");
    assert_eq!(busy.value("email"), ADMINISTRATOR);
    let page = browser.post("/sign-in", &[("email", ADMINISTRATOR), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 303, "{}", page.text);
}
