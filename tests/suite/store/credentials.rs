//! Credentials: what is stored is found again, pages are complete, names are unique, deletion is safe.

use keytile::domain::resources::ResourceDelete;
use std::collections::BTreeSet;

use keytile::{
    domain::{
        credentials::{CredentialStatus, CredentialSummary},
        naming::name_key,
    },
    store::{CredentialDelete, CredentialInsert, CredentialQuery},
};

use super::{
    on_both_databases,
    samples::{
        NOW, OWNER, Sample, SampleResource, access_token, audit, connector, count, draft, later, name, names, new_id, new_user,
        sealed, verification,
    },
};
use crate::support::database::TestDatabase;

const ALL: CredentialQuery<'static> = CredentialQuery { viewer: OWNER, connector: None, search: None, after: None, limit: 100 };

on_both_databases!(
    a_credential_comes_back_as_it_was_stored,
    a_name_is_unique_for_its_connector,
    a_taken_name_leaves_nothing_behind,
    who_was_stopped_meanwhile_stores_nothing,
    a_draft_that_is_gone_does_not_stop_a_save,
    pages_are_complete_while_others_add,
    a_search_finds_text_and_not_patterns,
    credentials_that_do_not_work_are_listed,
    a_fingerprint_finds_likely_duplicates,
    a_credential_in_use_stays,
    a_deleted_credential_takes_everything_with_it,
    there_is_one_active_secret,
    only_known_words_are_stored,
);

async fn a_credential_comes_back_as_it_was_stored(database: TestDatabase) {
    let store = database.open().await;
    let sample = Sample::new("Support EU – Łódź 🙂").described("First line\nsecond ' line");
    let id = sample.insert(&store).await;
    let row = store.credential_for(OWNER, id).await.unwrap().unwrap();
    assert_eq!(row.summary.id, id);
    assert_eq!(row.summary.connector, sample.connector);
    assert_eq!(row.summary.name, "Support EU – Łódź 🙂");
    assert_eq!(row.summary.description, "First line\nsecond ' line");
    assert_eq!(row.summary.status, CredentialStatus::Verified);
    assert_eq!((row.summary.verified_at, row.summary.created_at, row.summary.version), (NOW, NOW, 1));
    assert_eq!(row.secret, sealed("Support EU – Łódź 🙂"));
    assert_eq!(row.used_by, 0);
    assert_eq!(store.credentials_page(&ALL).await.unwrap(), [row]);
    assert_eq!(store.latest_verification(id).await.unwrap().unwrap().at, NOW);
    assert_eq!(store.credential(new_id()).await.unwrap(), None);
}

async fn a_name_is_unique_for_its_connector(database: TestDatabase) {
    let store = database.open().await;
    let first = Sample::new("Support ÉU").insert(&store).await;
    for same in ["Support ÉU", "SUPPORT éu", "Ｓupport ÉU"] {
        assert_eq!(Sample::new(same).try_insert(&store).await, CredentialInsert::NameTaken, "{same}");
        let key = name(same).key();
        assert_eq!(store.credential_named(&connector("talkdesk"), OWNER, &key).await.unwrap(), Some(first));
        assert_eq!(store.credential_named(&connector("other"), OWNER, &key).await.unwrap(), None);
    }
    Sample::new("Support ÉU").of("other").insert(&store).await;
    Sample::new("Support EU").insert(&store).await;
    assert_eq!(count(&store).await, 3);
}

async fn a_taken_name_leaves_nothing_behind(database: TestDatabase) {
    let store = database.open().await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let taken = Sample::new("Support EU").insert(&store).await;
    let refused = Sample::new("support eu").saving(&form);
    assert_eq!(refused.try_insert(&store).await, CredentialInsert::NameTaken);
    assert_eq!(store.credential(refused.id).await.unwrap(), None);
    assert_eq!(store.latest_verification(refused.id).await.unwrap(), None);
    // The draft waits for another name, with what was typed.
    assert_eq!(store.latest_open_draft(mine, &form.connector, NOW).await.unwrap().unwrap().id, form.id);
    let renamed = Sample::new("Support EU 2").saving(&form).insert(&store).await;
    assert_ne!(renamed, taken);
    assert_eq!(store.latest_open_draft(mine, &form.connector, NOW).await.unwrap(), None);
}

async fn who_was_stopped_meanwhile_stores_nothing(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("Before").insert(&store).await;
    for (stopped, allowed) in
        [("state = 'disabled'", false), ("state = 'active', role = 'operator'", false), ("role = 'administrator'", true)]
    {
        database.execute(&format!("UPDATE users SET {stopped}")).await.unwrap();
        let inserted = Sample::new(stopped).try_insert(&store).await;
        let expected = if allowed { CredentialInsert::Inserted } else { CredentialInsert::NotAllowed };
        assert_eq!(inserted, expected, "{stopped}");
    }
    assert_eq!(names(&store, &ALL).await.len(), 2);
}

async fn a_draft_that_is_gone_does_not_stop_a_save(database: TestDatabase) {
    let store = database.open().await;
    let (mine, other) = (new_user(&store).await, new_user(&store).await);
    Sample::new("Expired").saving(&draft(mine)).insert(&store).await;
    // Nor does the draft of another session count as this one's.
    let theirs = draft(other);
    assert!(store.put_draft(&theirs).await.unwrap());
    let mut guessed = Sample::new("Guessed").saving(&theirs);
    guessed.draft.as_mut().unwrap().owner = mine;
    guessed.insert(&store).await;
    assert!(store.latest_open_draft(other, &theirs.connector, NOW).await.unwrap().is_some());
}

async fn pages_are_complete_while_others_add(database: TestDatabase) {
    let store = database.open().await;
    let talkdesk = connector("talkdesk");
    let mut there_before = BTreeSet::new();
    for number in 0..23 {
        there_before.insert(Sample::new(&format!("Before {number}")).insert(&store).await);
        Sample::new(&format!("Other {number}")).of("other").insert(&store).await;
    }
    for connector in [Some(&talkdesk), None] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.credentials_page(&CredentialQuery { connector, after, limit: 5, ..ALL }).await.unwrap();
            assert!(page.len() <= 5);
            let Some(last) = page.last() else { break };
            after = Some(last.summary.id);
            seen.extend(page.iter().map(|row| row.summary.id));
            assert!(connector.is_none() || page.iter().all(|row| row.summary.connector == talkdesk));
            Sample::new(&format!("Meanwhile {} {}", seen.len(), connector.is_some())).insert(&store).await;
        }
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, and nothing twice");
        assert!(there_before.is_subset(&seen.iter().copied().collect()));
    }
}

async fn a_search_finds_text_and_not_patterns(database: TestDatabase) {
    let store = database.open().await;
    let talkdesk = connector("talkdesk");
    Sample::new("Support EU").described("Contact centre in KRAKÓW").insert(&store).await;
    Sample::new("Sales 100%").described("a_b \\ c").insert(&store).await;
    Sample::new("Sales 1000").described("axb").insert(&store).await;
    Sample::new("Support EU").of("other").insert(&store).await;
    for (typed, expected) in [
        ("support", &["Support EU"][..]),
        ("UPPORT e", &["Support EU"]),
        ("kraków", &["Support EU"]),
        ("sales", &["Sales 1000", "Sales 100%"]),
        ("100%", &["Sales 100%"]),
        ("a_b", &["Sales 100%"]),
        ("\\", &["Sales 100%"]),
        ("%", &["Sales 100%"]),
        ("' OR 1=1 --", &[]),
        ("nothing", &[]),
        ("", &["Sales 1000", "Sales 100%", "Support EU"]),
        ("a\0b", &[]),
    ] {
        let key = name_key(typed);
        let query = CredentialQuery { connector: Some(&talkdesk), search: Some(&key), ..ALL };
        assert_eq!(names(&store, &query).await, expected, "{typed:?}");
    }
    let everywhere = CredentialQuery { search: Some("support"), ..ALL };
    assert_eq!(names(&store, &everywhere).await, ["Support EU", "Support EU"]);
    let endless = "x".repeat(100_000);
    assert!(names(&store, &CredentialQuery { search: Some(&endless), ..ALL }).await.is_empty());
    // A search is cut into pages by the same key.
    let first = store.credentials_page(&CredentialQuery { search: Some("sales"), limit: 1, ..ALL }).await.unwrap();
    let rest = CredentialQuery { search: Some("sales"), after: Some(first[0].summary.id), ..ALL };
    assert_eq!(names(&store, &rest).await, ["Sales 100%"]);
}

async fn credentials_that_do_not_work_are_listed(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("Works").insert(&store).await;
    Sample::new("Rejected").status(CredentialStatus::Rejected).insert(&store).await;
    let unreachable = Sample::new("Unreachable").status(CredentialStatus::Unreachable).insert(&store).await;
    let listed = async |limit| -> Vec<String> {
        store.credentials_needing_attention(OWNER, limit).await.unwrap().into_iter().map(|row| row.summary.name).collect()
    };
    assert_eq!(listed(10).await, ["Unreachable", "Rejected"]);
    assert_eq!(listed(1).await, ["Unreachable"]);
    assert!(store.record_verification(unreachable, &verification(CredentialStatus::Verified, later(1)), None).await.unwrap());
    assert_eq!(listed(10).await, ["Rejected"]);
}

async fn a_fingerprint_finds_likely_duplicates(database: TestDatabase) {
    let store = database.open().await;
    let talkdesk = connector("talkdesk");
    let with = |sample: Sample| Sample { fingerprint: vec![7; 32], ..sample };
    let first = with(Sample::new("Zurich")).insert(&store).await;
    with(Sample::new("Athens")).insert(&store).await;
    with(Sample::new("Elsewhere")).of("other").insert(&store).await;
    Sample::new("Different").insert(&store).await;
    let found = async |except| store.credentials_with_fingerprint(OWNER, &talkdesk, &[7; 32], except).await.unwrap();
    assert_eq!(found(None).await, ["Athens", "Zurich"]);
    assert_eq!(found(Some(first)).await, ["Athens"]);
    assert!(store.credentials_with_fingerprint(OWNER, &talkdesk, &[8; 32], None).await.unwrap().is_empty());
}

async fn a_credential_in_use_stays(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("Used").insert(&store).await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(SampleResource::new(&format!("Resource {number}"), id).insert(&store).await);
    }
    assert_eq!(store.credential(id).await.unwrap().unwrap().used_by, 3);
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::InUse(3));
    let kept = store.credential(id).await.unwrap().unwrap();
    assert_eq!(kept.secret, sealed("Used"));
    assert!(store.latest_verification(id).await.unwrap().is_some());
    for resource in made {
        assert_eq!(
            store.delete_resource(OWNER, resource, keytile::domain::resources::ResourceKind::Source, None, &audit()).await.unwrap(),
            ResourceDelete::Deleted
        );
    }
    let other = CredentialSummary { description: "Changed".into(), ..kept.summary.clone() };
    assert_eq!(store.delete_credential(OWNER, id, Some(&other), &audit()).await.unwrap(), CredentialDelete::Outdated);
    let other = CredentialSummary { version: 2, ..kept.summary.clone() };
    assert_eq!(store.delete_credential(OWNER, id, Some(&other), &audit()).await.unwrap(), CredentialDelete::Outdated);
    let stranger = new_user(&store).await;
    let seen = Some(&kept.summary);
    assert_eq!(store.delete_credential(stranger, id, seen, &audit()).await.unwrap(), CredentialDelete::NotFound);
    assert_eq!(store.delete_credential(OWNER, id, seen, &audit()).await.unwrap(), CredentialDelete::Deleted);
    assert_eq!(store.delete_credential(OWNER, id, seen, &audit()).await.unwrap(), CredentialDelete::NotFound);
}

async fn a_deleted_credential_takes_everything_with_it(database: TestDatabase) {
    let store = database.open().await;
    let mine = new_user(&store).await;
    let form = draft(mine);
    assert!(store.put_draft(&form).await.unwrap());
    let id = Sample::new("Gone").saving(&form).insert(&store).await;
    let stays = Sample::new("Stays").insert(&store).await;
    assert!(store.put_access_token(id, 1, &access_token(b"token", later(1))).await.unwrap());
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::Deleted);
    assert_eq!(store.delete_credential(OWNER, id, None, &audit()).await.unwrap(), CredentialDelete::NotFound);
    assert_eq!(store.credential(id).await.unwrap(), None);
    assert_eq!(store.access_token(id).await.unwrap(), None);
    assert!(store.verifications_of(id, 10).await.unwrap().is_empty());
    assert_eq!(store.draft(form.id, mine, NOW).await.unwrap(), None);
    assert!(store.credential(stays).await.unwrap().is_some());
    // Its name is free again.
    Sample::new("Gone").insert(&store).await;
}

async fn there_is_one_active_secret(database: TestDatabase) {
    let store = database.open().await;
    Sample::new("One").insert(&store).await;
    let another = "INSERT INTO credential_secrets (credential, version, state, created_at, key_id, wrapped_key, ciphertext)
        SELECT credential, 2, 'STATE', created_at, key_id, wrapped_key, ciphertext FROM credential_secrets WHERE version = 1";
    assert!(database.execute(&another.replace("STATE", "active")).await.is_err());
    database.execute(&another.replace("STATE", "staged")).await.unwrap();
    assert_eq!(store.credentials_page(&ALL).await.unwrap().len(), 1, "only the active secret makes a tile");
}

async fn only_known_words_are_stored(database: TestDatabase) {
    let store = database.open().await;
    let id = Sample::new("One").insert(&store).await;
    SampleResource::new("Source", id).insert(&store).await;
    for statement in [
        "UPDATE credentials SET status = 'fine'",
        "UPDATE credential_secrets SET state = 'lost'",
        "UPDATE verifications SET outcome = 'perhaps'",
        "UPDATE verifications SET stage = 'somewhere'",
        "UPDATE resources SET kind = 'sink'",
        "UPDATE resources SET connector = 'other'",
    ] {
        assert!(database.execute(statement).await.is_err(), "{statement}");
    }
}
