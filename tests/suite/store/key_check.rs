//! Checking API keys, by one or two instances over one database.

use std::time::Duration;

use keytile::{
    crypto::{hash::api_key_hash, keyring::Keyring, random},
    domain::{
        access::permission::Permission,
        api_keys::{ApiKeyId, ApiKeyText},
        audit::event::{ActorKind, AuditAction},
        time::Clock,
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Origin, Who},
        api_keys::{
            KeyCreation, KeyState, RawApiKey,
            authenticate::{KeyCheck, KeyRejection},
        },
        auth::sessions::SessionState,
        users::setup::{RawSetUp, SetUpOutcome},
    },
};
use secrecy::ExposeSecret;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    on_both_databases,
    samples::{OWNER, Sample, SampleResource, user},
};
use crate::support::{
    clock::HOLDS_WITHIN,
    database::TestDatabase,
    server::{ADMINISTRATOR, PASSWORD, Setup},
};

/// How instances over a database are started.
fn setup(database: &TestDatabase) -> Setup {
    let setup = Setup::new();
    let keyring = setup.folder.path().join("shared-keyring");
    Keyring::create(&keyring).unwrap();
    setup.with(format!("--database-url={}", database.url())).with(format!("--keyring={}", keyring.display()))
}

fn origin() -> Origin {
    Origin { address: "192.0.2.7".into(), request: "r1".into() }
}

async fn administrator(service: &Service) -> Caller {
    let token = service.setup_token().await.unwrap().unwrap();
    let raw = RawSetUp { email: ADMINISTRATOR.into(), name: "Ana".into(), password: PASSWORD.to_owned().into() };
    let nobody = Caller::nobody("", origin());
    let SetUpOutcome::Done(cookies) = service.set_up(&nobody, token.expose_secret(), &raw, "").await.unwrap() else {
        panic!("no administrator was made");
    };
    let SessionState::Live(session) = service.resume_session(cookies.session.expose_secret()).await.unwrap() else {
        panic!("nobody is signed in");
    };
    Caller::person(session.person, origin())
}

fn raw(scopes: &[&str]) -> RawApiKey {
    RawApiKey {
        owner: ADMINISTRATOR.into(),
        name: "Exports".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires: "never".into(),
        ..RawApiKey::default()
    }
}

async fn make(service: &Service, caller: &Caller, raw: &RawApiKey) -> (ApiKeyId, String) {
    match service.create_api_key(caller, service.new_form(), raw).await.unwrap() {
        KeyCreation::Created { id, key } => (id, key.expose().to_owned()),
        KeyCreation::AlreadyMade(id) => panic!("made before: {id}"),
        KeyCreation::Invalid(errors) => panic!("{errors:?}"),
    }
}

async fn check(service: &Service, key: &str) -> KeyCheck {
    service.authenticate_key(key, origin()).await.unwrap()
}

#[track_caller]
fn accepted(check: KeyCheck) -> Caller {
    match check {
        KeyCheck::Accepted(caller) => caller,
        KeyCheck::Rejected(reason) => panic!("{reason:?}"),
    }
}

/// What the answer is once a change has to be known everywhere; `None` where the key is accepted.
async fn later(setup: &Setup, service: &Service, key: &str) -> Option<KeyRejection> {
    setup.clock.pass(HOLDS_WITHIN);
    match check(service, key).await {
        KeyCheck::Accepted(_) => None,
        KeyCheck::Rejected(reason) => Some(reason),
    }
}

async fn number(database: &TestDatabase, select: &str) -> i64 {
    let select = AssertSqlSafe(select.to_owned());
    if database.is_postgres() {
        sqlx::query_scalar(select).fetch_one(&mut database.postgres_connection().await).await.unwrap()
    } else {
        sqlx::query_scalar(select).fetch_one(&mut database.sqlite_connection().await).await.unwrap()
    }
}

async fn a_key_is_accepted_at_once_and_acts_as_its_owner_within_its_scopes(database: TestDatabase) {
    let setup = setup(&database);
    let (here, elsewhere) = (setup.service().await, setup.service().await);
    let ana = administrator(&here).await;
    let (id, key) = make(&here, &ana, &raw(&["resources:read", "proxy"])).await;
    for service in [&here, &elsewhere, &here] {
        let caller = accepted(check(service, &key).await);
        assert_eq!(caller.user(), ana.user());
        assert!(caller.may(Permission::Look) && !caller.may(Permission::MakeCredentials) && !caller.may(Permission::ManageKeys));
        let Who::Key(identity) = &caller.who else { panic!("{caller:?}") };
        assert_eq!((identity.id, identity.name.as_str(), identity.owner.email.as_str()), (id, "Exports", ADMINISTRATOR));
        assert_eq!(caller.origin, origin());
    }
    let detail = here.api_key(&ana, id).await.unwrap().unwrap();
    assert_eq!((detail.summary.state, detail.summary.hint.as_str()), (KeyState::Active, &*format!("{}…", &key[..7])));
    for service in [here, elsewhere] {
        service.close().await;
    }
}

async fn a_revocation_holds_at_once_here_and_within_a_second_elsewhere(database: TestDatabase) {
    let setup = setup(&database);
    let (here, elsewhere) = (setup.service().await, setup.service().await);
    let ana = administrator(&here).await;
    let (id, key) = make(&here, &ana, &raw(&["proxy"])).await;
    for service in [&here, &elsewhere] {
        accepted(check(service, &key).await);
    }
    assert!(here.revoke_api_key(&ana, id).await.unwrap());
    assert_eq!(check(&here, &key).await, KeyCheck::Rejected(KeyRejection::Revoked));
    assert_eq!(later(&setup, &elsewhere, &key).await, Some(KeyRejection::Revoked));
    assert!(matches!(here.api_key(&ana, id).await.unwrap().unwrap().summary.state, KeyState::Revoked(_)));
    assert!(here.revoke_api_key(&ana, id).await.unwrap(), "it stays revoked");
    assert!(!here.revoke_api_key(&ana, Uuid::nil()).await.unwrap());
    assert_eq!(number(&database, "SELECT COUNT(*) FROM audit_events WHERE action = 'api_key.revoke'").await, 1);
    for service in [here, elsewhere] {
        service.close().await;
    }
}

async fn a_disabled_owner_voids_the_key_until_enabled_again(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (_, key) = make(&service, &ana, &raw(&["proxy"])).await;
    accepted(check(&service, &key).await);
    let bump = "UPDATE access_epoch SET value = value + 1";
    database.execute(&format!("UPDATE users SET state = 'disabled'; {bump}")).await.unwrap();
    assert_eq!(later(&setup, &service, &key).await, Some(KeyRejection::OwnerDisabled));
    // A smaller role is a smaller right, as quickly.
    database.execute(&format!("UPDATE users SET state = 'active', role = 'viewer'; {bump}")).await.unwrap();
    assert_eq!(later(&setup, &service, &key).await, None);
    let errors = service.create_api_key(&ana, service.new_form(), &raw(&["admin"])).await.unwrap();
    let KeyCreation::Created { key, .. } = errors else { panic!("no key") };
    assert!(!accepted(check(&service, key.expose()).await).may(Permission::MakeResources));
    service.close().await;
}

async fn a_key_ends_when_it_was_said_to(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (id, key) = make(&service, &ana, &RawApiKey { expires: "30".into(), ..raw(&["proxy"]) }).await;
    let day = Duration::from_secs(24 * 3_600);
    setup.clock.advance(day * 30 - Duration::from_millis(1));
    accepted(check(&service, &key).await);
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(check(&service, &key).await, KeyCheck::Rejected(KeyRejection::Expired));
    assert_eq!(service.api_key(&ana, id).await.unwrap().unwrap().summary.state, KeyState::Expired);
    service.close().await;
}

async fn a_key_that_there_is_not_is_remembered_as_unknown(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let unknown = ApiKeyText::from_bytes(&random::bytes());
    // A new epoch, so that it is not read anew between the two checks of this test.
    let (id, _) = make(&service, &ana, &raw(&["proxy"])).await;
    assert_eq!(check(&service, unknown.expose()).await, KeyCheck::Rejected(KeyRejection::Unknown));
    // Behind Keytile's back another key gets the hash of this one: without a new epoch nobody looks.
    let hash: String = api_key_hash(&unknown).iter().map(|byte| format!("{byte:02x}")).collect();
    let literal = if database.is_postgres() { format!("'\\x{hash}'::bytea") } else { format!("x'{hash}'") };
    database.execute(&format!("UPDATE api_keys SET hash = {literal}")).await.unwrap();
    assert_eq!(check(&service, unknown.expose()).await, KeyCheck::Rejected(KeyRejection::Unknown));
    database.execute("UPDATE access_epoch SET value = value + 1").await.unwrap();
    assert_eq!(later(&setup, &service, unknown.expose()).await, None);
    assert!(service.revoke_api_key(&ana, id).await.unwrap());
    service.close().await;
}

async fn what_is_not_a_key_is_refused_without_the_database(database: TestDatabase) {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (_, key) = make(&service, &ana, &raw(&["proxy"])).await;
    // The first is recorded; those within the next minute are not.
    assert_eq!(check(&service, "").await, KeyCheck::Rejected(KeyRejection::Malformed));
    service.close().await;
    for at in 0..key.len() {
        for letter in LETTERS.iter().copied().filter(|letter| *letter != key.as_bytes()[at]) {
            let mut changed = key.clone();
            changed.replace_range(at..=at, char::from(letter).encode_utf8(&mut [0; 4]));
            assert_eq!(check(&service, &changed).await, KeyCheck::Rejected(KeyRejection::Malformed), "{changed}");
        }
    }
    let other = ApiKeyText::from_bytes(&random::bytes());
    assert!(service.authenticate_key(other.expose(), origin()).await.is_err(), "the database was still there");
}

async fn the_last_use_is_noted_to_the_minute_and_once_in_each(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (id, key) = make(&service, &ana, &raw(&["proxy"])).await;
    let minute = setup.clock.now();
    setup.clock.advance(Duration::from_secs(30));
    accepted(check(&service, &key).await);
    // Closing waits for what is written behind the back of requests.
    service.close().await;
    let service = setup.service().await;
    let used = async |service: &Service| service.api_key(&ana, id).await.unwrap().unwrap().summary.last_used_at;
    assert_eq!(used(&service).await, Some(minute));
    accepted(check(&service, &key).await);
    // Nothing is written within the same minute, or this would not stay.
    database.execute("UPDATE api_keys SET last_used_at = NULL").await.unwrap();
    setup.clock.advance(Duration::from_secs(29));
    accepted(check(&service, &key).await);
    service.close().await;
    let service = setup.service().await;
    assert_eq!(used(&service).await, None);
    setup.clock.advance(Duration::from_secs(1));
    accepted(check(&service, &key).await);
    service.close().await;
    let service = setup.service().await;
    assert_eq!(used(&service).await, Some(minute.plus(Duration::from_secs(60))));
    service.close().await;
}

async fn a_refusal_is_recorded_once_a_minute(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (id, key) = make(&service, &ana, &raw(&["proxy"])).await;
    service.revoke_api_key(&ana, id).await.unwrap();
    let action = AuditAction::RejectKey.as_str();
    let recorded = async |reason: &str| {
        let select =
            format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND outcome = 'refused' AND detail = '{reason}'");
        number(&database, &select).await
    };
    for _ in 0..5 {
        check(&service, "nonsense").await;
        check(&service, ApiKeyText::from_bytes(&random::bytes()).expose()).await;
        check(&service, &key).await;
    }
    assert_eq!([recorded("malformed").await, recorded("unknown").await, recorded("revoked").await], [1, 1, 1]);
    let named = format!(
        "SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND actor_kind = '{}' AND actor_name = 'Exports'
         AND target_kind = 'api_key' AND address = '192.0.2.7' AND request = 'r1'",
        ActorKind::ApiKey.as_str()
    );
    assert_eq!(number(&database, &named).await, 1);
    setup.clock.advance(Duration::from_secs(60));
    check(&service, &key).await;
    assert_eq!(recorded("revoked").await, 2);
    service.close().await;
}

async fn a_key_for_some_resources_reaches_no_others(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let store = database.open().await;
    user(&store, OWNER).await;
    let credential = Sample::new("Desk").insert(&store).await;
    let one = SampleResource::new("One", credential).insert(&store).await;
    let other = SampleResource::new("Other", credential).insert(&store).await;
    let owner = format!("{OWNER}@example.com");
    let offered = service.key_resources(&ana, &owner).await.unwrap();
    assert_eq!(offered.iter().map(|resource| resource.id).collect::<Vec<_>>(), [other, one]);
    let limited = |resources: &[String]| RawApiKey {
        owner: owner.clone(),
        restricted: true,
        resources: resources.to_vec(),
        ..raw(&["proxy", "admin"])
    };
    for wrong in [vec![], vec![Uuid::nil().to_string()], vec!["1".into()], vec![one.to_string(); 101]] {
        let made = service.create_api_key(&ana, service.new_form(), &limited(&wrong)).await.unwrap();
        let KeyCreation::Invalid(errors) = made else { panic!("made with {wrong:?}") };
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), ["resources"], "{wrong:?}");
    }
    let (id, key) = make(&service, &ana, &limited(&[one.to_string(), one.to_string()])).await;
    let caller = accepted(check(&service, &key).await);
    assert_eq!(caller.user(), Some(OWNER));
    assert!(caller.reaches(one) && !caller.reaches(other));
    let detail = service.api_key(&ana, id).await.unwrap().unwrap();
    assert_eq!(detail.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["One"]);
    store.close().await;
    service.close().await;
}

async fn only_administrators_and_keys_that_may_all_of_it_manage_keys(database: TestDatabase) {
    let setup = setup(&database);
    let service = setup.service().await;
    let ana = administrator(&service).await;
    let (id, of_admin) = make(&service, &ana, &raw(&["admin"])).await;
    let (_, of_less) = make(&service, &ana, &raw(&["resources:read", "tokens:issue", "proxy", "credentials:manage"])).await;
    let of_less = accepted(check(&service, &of_less).await);
    for caller in [&of_less, &Caller::nobody("", origin())] {
        let made = service.create_api_key(caller, service.new_form(), &raw(&["proxy"])).await;
        assert!(matches!(made, Err(ServiceError::Refused(Permission::ManageKeys))));
        assert!(matches!(service.api_keys(caller, None).await, Err(ServiceError::Refused(_))));
        assert!(matches!(service.api_key(caller, id).await, Err(ServiceError::Refused(_))));
        assert!(matches!(service.revoke_api_key(caller, id).await, Err(ServiceError::Refused(_))));
        assert!(matches!(service.key_owners(caller).await, Err(ServiceError::Refused(_))));
        assert!(matches!(service.key_resources(caller, ADMINISTRATOR).await, Err(ServiceError::Refused(_))));
    }
    let of_key = "SELECT COUNT(*) FROM audit_events WHERE action = 'access.refused' AND actor_kind = 'api_key'
        AND detail LIKE '%: not for this API key'";
    assert_eq!(number(&database, of_key).await, 6);
    let of_admin = accepted(check(&service, &of_admin).await);
    make(&service, &of_admin, &raw(&["proxy"])).await;
    assert_eq!(service.api_keys(&of_admin, None).await.unwrap().keys.len(), 3);
    service.close().await;
}

on_both_databases!(
    a_key_is_accepted_at_once_and_acts_as_its_owner_within_its_scopes,
    a_revocation_holds_at_once_here_and_within_a_second_elsewhere,
    a_disabled_owner_voids_the_key_until_enabled_again,
    a_key_ends_when_it_was_said_to,
    a_key_that_there_is_not_is_remembered_as_unknown,
    what_is_not_a_key_is_refused_without_the_database,
    the_last_use_is_noted_to_the_minute_and_once_in_each,
    a_refusal_is_recorded_once_a_minute,
    a_key_for_some_resources_reaches_no_others,
    only_administrators_and_keys_that_may_all_of_it_manage_keys,
);
