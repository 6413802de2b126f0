//! How the databases run the statements of each page, with 20,000 credentials: none reads a whole table.

use keytile::store::lookups;
use sqlx::{AssertSqlSafe, Row};

use crate::support::database::TestDatabase;

/// Fills every table with rows that are spread as they would be. `ID(n)` stands for the id of row n.
const ROWS: &[&str] = &[
    "INSERT INTO sign_in_limits SELECT HASH(n), 1, n, n FROM series",
    "INSERT INTO users (id, email, email_key, name, search_key, role, state, second_factor_step, created_at, version)
        SELECT ID(n), 'a@b.c', 'key ' || n, 'Ana', 'key ' || n, CASE WHEN n % 500 = 0 THEN 'administrator' ELSE 'editor' END,
        CASE WHEN n % 20 = 0 THEN 'disabled' ELSE 'active' END, 0, n, 1 FROM series",
    "INSERT INTO recovery_codes SELECT ID(n), HASH(n) FROM series",
    "INSERT INTO sessions SELECT HASH(n), ID(n), ID(n), 'signed_in', 'password', '', '', n, n, 1000000 + n FROM series",
    "INSERT INTO credentials (id, connector, owner, name, name_key, description, search_key, fingerprint, status, verified_at,
        created_at, version, sharing)
        SELECT ID(n), CASE WHEN n % 10 = 0 THEN 'other' ELSE 'talkdesk' END, ID(n % 100 + 1), 'Name ' || n, 'name ' || n,
        'About ' || n, 'name ' || n, HASH(n), CASE WHEN n % 200 = 0 THEN 'rejected' ELSE 'verified' END, n, n, 1,
        CASE WHEN n % 50 = 0 THEN 'everyone' ELSE 'private' END FROM series",
    "INSERT INTO credential_secrets SELECT ID(n), 1, 'active', n, 'k1', HASH(n), HASH(n) FROM series",
    "INSERT INTO verifications SELECT ID(n), ID(n), n, 'token', 'verified', 100, HASH(n) FROM series",
    "INSERT INTO access_tokens SELECT ID(n), 1, HASH(n), 1000000 + n FROM series",
    "INSERT INTO drafts SELECT ID(n), ID(n), 'talkdesk', NULL, HASH(n), 1, n, 1000000 + n FROM series",
    "INSERT INTO resources (id, owner, kind, name, name_key, description, connector, credential, endpoint, endpoint_version,
        created_at, version, form_id)
        SELECT ID(n), ID(n % 100 + 1), CASE WHEN n % 2 = 0 THEN 'source' ELSE 'destination' END, 'Name ' || n, 'name ' || n, '',
        'talkdesk', ID(n - n % 10 + 1), HASH(n), 1, n, 1, ID(n) FROM series WHERE n < 19990",
    "INSERT INTO password_links SELECT ID(n), HASH(n), n FROM series",
    "INSERT INTO user_groups SELECT ID(n), 'Group ' || n, 'group ' || n, n FROM series",
    "INSERT INTO group_members SELECT ID(n % 100 + 1), ID(n) FROM series",
    "INSERT INTO credential_shares SELECT ID(n), ID(n), CASE WHEN n % 10 = 0 THEN 'other' ELSE 'talkdesk' END, NULL,
        ID(n % 100 + 1), 'use' FROM series",
    "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, form_id)
        SELECT ID(n), ID(n % 100 + 1), 'Key', 'kt_', HASH(n), 'proxy', 1, n, ID(n) FROM series",
    "INSERT INTO api_key_resources SELECT ID(n), ID(n) FROM series WHERE n < 19990",
];

/// The statements of pages, with an example of each parameter.
const STATEMENTS: &[(&str, &[&str])] = &[
    (lookups::ANY_USER, &["ID(0)"]),
    (lookups::USER, &["ID(7)"]),
    (lookups::USER_TO_SIGN_IN, &["'key 7'"]),
    (lookups::PASSWORD, &["ID(7)"]),
    (lookups::SECOND_FACTOR, &["ID(7)"]),
    (lookups::RECOVERY_CODES_LEFT, &["ID(7)"]),
    (lookups::SIGN_IN_LIMIT, &["HASH(7)"]),
    (lookups::SESSION, &["HASH(7)"]),
    (lookups::SESSIONS_OF_USER, &["ID(7)", "5", "5"]),
    (lookups::DRAFT, &["ID(7)", "ID(7)", "5"]),
    (lookups::LATEST_OPEN_DRAFT, &["ID(7)", "'talkdesk'", "5"]),
    (lookups::TILES, &["'talkdesk'", "ID(15000)", "50"]),
    (lookups::TILES_FOUND, &["'talkdesk'", "ID(15000)", "50", "'%name%'"]),
    (lookups::CREDENTIALS, &["ID(15000)", "50"]),
    (lookups::CREDENTIALS_FOUND, &["ID(15000)", "50", "'%name%'"]),
    (lookups::ATTENTION, &["10"]),
    (lookups::CREDENTIAL, &["ID(7)"]),
    (lookups::CREDENTIAL_NAMED, &["'talkdesk'", "ID(8)", "'name 7'"]),
    (lookups::FINGERPRINT, &["'talkdesk'", "HASH(7)", "ID(7)"]),
    (lookups::VERIFICATIONS, &["ID(7)", "5"]),
    (lookups::ACCESS_TOKEN, &["ID(7)"]),
    (lookups::RESOURCE, &["ID(7)"]),
    (lookups::RESOURCES, &["'source'", "ID(15000)", "50"]),
];

/// More of them.
const RESOURCE_STATEMENTS: &[(&str, &[&str])] = &[
    (lookups::RESOURCES_OF_CREDENTIAL, &["ID(11)", "50"]),
    (lookups::RESOURCE_COUNT, &["ID(11)"]),
    (lookups::RESOURCE_OF_FORM, &["ID(7)", "ID(8)"]),
];

/// Those of people and groups.
const PEOPLE_STATEMENTS: &[(&str, &[&str])] = &[
    (lookups::USER_OF_EMAIL, &["'key 7'"]),
    (lookups::USERS, &["ID(15000)", "50"]),
    (lookups::USERS_FOUND, &["ID(15000)", "50", "'%key%'"]),
    (lookups::ADMINISTRATORS, &[]),
    (lookups::PASSWORD_LINK, &["HASH(7)", "5"]),
    (lookups::PASSWORD_LINK_OF_USER, &["ID(7)", "5"]),
    (lookups::OWNED, &["ID(7)"]),
    (lookups::CREDENTIALS_OF_OWNER, &["ID(7)"]),
    (lookups::RESOURCES_OF_OWNER, &["ID(7)"]),
    (lookups::KEYS_OF_OWNER, &["ID(7)"]),
    (lookups::GROUPS, &["ID(15000)", "50"]),
    (lookups::GROUP, &["ID(7)"]),
    (lookups::GROUP_MEMBERS, &["ID(7)", "ID(15000)", "50"]),
    (lookups::GROUPS_OF_MEMBER, &["ID(7)", "50"]),
    (lookups::SHARES_OF_GROUP, &["ID(7)", "50"]),
];

/// Those of API keys.
const KEY_STATEMENTS: &[(&str, &[&str])] = &[
    (lookups::API_KEY_BY_HASH, &["HASH(7)"]),
    (lookups::API_KEY, &["ID(7)"]),
    (lookups::API_KEYS, &["ID(15000)", "50"]),
    (lookups::API_KEY_OF_FORM, &["ID(7)"]),
    (lookups::RESOURCES_OF_API_KEY, &["ID(7)"]),
    (lookups::API_KEY_OWNER, &["'key 7'"]),
    (lookups::API_KEY_OWNERS, &["''", "500"]),
];

/// The statements that clear away and that other statements cause.
const CLEARING: &[&str] = &[
    "DELETE FROM sessions WHERE used_at <= 10",
    "DELETE FROM sign_in_limits WHERE updated_at <= 10",
    "DELETE FROM sessions WHERE expires_at <= 1000010",
    "DELETE FROM drafts WHERE expires_at <= 1000010",
    "DELETE FROM access_tokens WHERE expires_at <= 1000010",
    "SELECT 1 FROM drafts WHERE credential = ID(7)",
];

/// Every statement, its parameters filled in.
fn statements() -> Vec<String> {
    let groups = [STATEMENTS, RESOURCE_STATEMENTS, PEOPLE_STATEMENTS, KEY_STATEMENTS];
    let filled = groups.into_iter().flatten().map(|(statement, parameters)| {
        let mut text = (*statement).to_owned();
        for (index, value) in parameters.iter().enumerate().rev() {
            text = text.replace(&format!("${}", index + 1), value);
        }
        assert!(!text.contains('$'), "{text}");
        text
    });
    filled.chain(CLEARING.iter().copied().map(str::to_owned)).collect()
}

/// Replaces `NAME(argument)` by what `write` makes of the argument.
fn expand(text: &str, name: &str, write: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    let opening = format!("{name}(");
    while let Some(at) = rest.find(&opening) {
        let (before, from) = rest.split_at(at);
        let inside = &from[opening.len()..];
        let end = inside.find(')').unwrap();
        out.push_str(before);
        out.push_str(&write(&inside[..end]));
        rest = &inside[end + 1..];
    }
    out + rest
}

#[tokio::test]
async fn sqlite_reads_no_whole_table() {
    let database = TestDatabase::sqlite();
    database.open().await.close().await;
    let in_sqlite = |text: &str| {
        let text = expand(text, "HASH", |n| format!("CAST(printf('%032d', {n}) AS BLOB)"));
        expand(&text, "ID", |n| format!("CAST(printf('%016d', {n}) AS BLOB)"))
    };
    let series = "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000)";
    let rows: String = ROWS.iter().map(|insert| format!("{series} {};", in_sqlite(insert))).collect();
    database.execute(&rows).await.unwrap();
    for analysed in [false, true] {
        if analysed {
            database.execute("ANALYZE").await.unwrap();
        }
        let mut connection = database.sqlite_connection().await;
        for statement in statements() {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", in_sqlite(&statement)));
            let lines = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = lines.iter().map(|line| line.get::<String, _>("detail")).collect();
            assert!(plan.iter().any(|line| line.starts_with("SEARCH") || line.contains("USING INDEX")), "{statement}\n{plan:#?}");
            // A scan of the small index of credentials that need attention is what it is for, and a constant row is no table.
            let scans = |line: &&String| {
                line.starts_with("SCAN") && *line != "SCAN CONSTANT ROW" && !line.contains("credentials_needing_attention")
            };
            assert!(!plan.iter().any(|line| scans(&line)), "{statement}\n{plan:#?}");
            assert!(
                !plan.iter().any(|line| line.contains("TEMP B-TREE")) || statement.contains("ORDER BY name_key"),
                "{statement}\n{plan:#?}"
            );
        }
    }
}

#[tokio::test]
async fn postgres_reads_no_whole_table() {
    let database = TestDatabase::postgres().await;
    database.open().await.close().await;
    let in_postgres = |text: &str| {
        let text = expand(text, "HASH", |n| format!("convert_to(lpad(({n})::text, 32, '0'), 'UTF8')"));
        expand(&text, "ID", |n| format!("lpad(({n})::text, 32, '0')::uuid"))
    };
    let series = "(SELECT generate_series(1, 20000) AS n) AS series";
    let rows: String =
        ROWS.iter().map(|insert| format!("{};", in_postgres(insert).replace("FROM series", &format!("FROM {series}")))).collect();
    database.execute(&rows).await.unwrap();
    database.execute("ANALYZE").await.unwrap();
    let mut connection = database.postgres_connection().await;
    for statement in statements() {
        let explain = AssertSqlSafe(format!("EXPLAIN {}", in_postgres(&statement)));
        let lines = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
        let plan: String = lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect();
        assert!(plan.contains("Index"), "{statement}\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{statement}\n{plan}");
    }
}
