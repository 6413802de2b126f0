//! How the databases run the statements of each page, with 20,000 credentials: none reads a whole table.

use keytile::store::queries;
use sqlx::{AssertSqlSafe, Row};

use crate::support::database::TestDatabase;

/// Fills every table with rows that are spread as they would be. `ID(n)` stands for the id of row n.
const ROWS: &[&str] = &[
    "INSERT INTO audit_events SELECT n, n, 'person', ID(n % 100 + 1), 'ana@example.com',
        CASE WHEN n % 3 = 0 THEN 'session.sign_in' WHEN n % 1000 = 1 THEN 'audit.export' ELSE 'resource.preview' END,
        'resource', ID(n % 500 + 1), 'Name', 'done', '', '', '', HASH(n) FROM series",
    "INSERT INTO sign_in_limits SELECT HASH(n), 1, n, n FROM series",
    "INSERT INTO users (id, email, email_key, name, search_key, role, state, second_factor_step, created_at, version)
        SELECT ID(n), 'a@b.c', 'key ' || n, 'Ana', 'key ' || n, CASE WHEN n % 500 = 0 THEN 'administrator' ELSE 'editor' END,
        CASE WHEN n % 20 = 0 THEN 'disabled' ELSE 'active' END, 0, n, 1 FROM series",
    "INSERT INTO identities SELECT 'https://id.example', 'subject ' || n, ID(n) FROM series",
    "INSERT INTO recovery_codes SELECT ID(n), HASH(n) FROM series",
    "INSERT INTO sessions SELECT HASH(n), ID(n), ID(n), 'signed_in', 'password', '', '', n, n, 1000000 + n FROM series",
    "INSERT INTO credentials (id, connector, owner, name, name_key, description, search_key, fingerprint, status, verified_at,
        created_at, version, sharing)
        SELECT ID(n), CASE WHEN n % 10 = 0 THEN 'other' ELSE 'talkdesk' END, ID(n % 100 + 1), 'Name ' || n, 'name ' || n,
        'About ' || n, 'name ' || n, HASH(n), CASE WHEN n % 200 = 0 THEN 'rejected' ELSE 'verified' END, n, n, 1,
        CASE WHEN n % 50 = 0 THEN 'everyone' ELSE 'private' END FROM series",
    "INSERT INTO credential_secrets SELECT ID(n), 1, 'active', n, 'k1', HASH(n), HASH(n) FROM series",
    "INSERT INTO verifications SELECT ID(n), ID(n), n, 'token', 'verified', 100, HASH(n) FROM series",
    "INSERT INTO access_tokens SELECT ID(n), 1, HASH(n), 1000000 + n, n, n FROM series",
    "INSERT INTO token_fetches SELECT ID(n), 1, NULL, 0, NULL, 0, 0, 0, NULL FROM series",
    "INSERT INTO drafts SELECT ID(n), ID(n), 'talkdesk', NULL, HASH(n), 1, n, 1000000 + n FROM series",
    "INSERT INTO resources (id, owner, kind, name, name_key, description, connector, credential, endpoint, endpoint_version,
        created_at, version, form_id)
        SELECT ID(n), ID(n % 100 + 1), CASE WHEN n % 2 = 0 THEN 'source' ELSE 'destination' END, 'Name ' || n, 'name ' || n, '',
        'talkdesk', ID(n - n % 10 + 1), HASH(n), 1, n, 1, ID(n) FROM series WHERE n < 19990",
    "INSERT INTO password_links SELECT ID(n), HASH(n), n FROM series",
    "INSERT INTO user_groups SELECT ID(n), 'Group ' || n, 'group ' || n, n FROM series",
    "INSERT INTO group_members SELECT ID(n % 100 + 1), ID(n) FROM series",
    "INSERT INTO api_keys (id, owner, name, hint, hash, scopes, restricted, created_at, form_id)
        SELECT ID(n), ID(n % 100 + 1), 'Key', 'kt_', HASH(n), 'proxy', 1, n, ID(n) FROM series",
    "INSERT INTO api_key_resources SELECT ID(n), ID(n) FROM series WHERE n < 19990",
    "INSERT INTO group_members SELECT ID(n), ID(n % 500 + 1) FROM series",
    "INSERT INTO history SELECT ID(n % 500 + 1), n * 60, ID(n % 700 + 1), 'key', ID(n % 900 + 1), 'request', 'memory', '200',
        CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'done' END, 1, 1, 1, n FROM series",
    "INSERT INTO history_hours SELECT ID(n % 500 + 1), n * 60, ID(n % 700 + 1), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
        FROM series",
    "INSERT INTO credential_shares (id, credential, connector, person, group_id, access)
        SELECT ID(n), ID(n), CASE WHEN n % 10 = 0 THEN 'other' ELSE 'talkdesk' END,
        CASE WHEN n % 2 = 0 THEN ID(n % 300 + 1) ELSE NULL END, CASE WHEN n % 2 = 1 THEN ID(n) ELSE NULL END, 'use' FROM series",
];

/// The statements of pages, with an example of each parameter.
const STATEMENTS: &[(&str, &[&str])] = &[
    (queries::ANY_USER, &["ID(0)"]),
    (queries::USER, &["ID(7)"]),
    (queries::USER_OF_EMAIL, &["'key 7'"]),
    (queries::USER_OF_IDENTITY, &["'https://id.example'", "'subject 7'"]),
    (queries::USER_TO_SIGN_IN, &["'key 7'"]),
    (queries::PASSWORD, &["ID(7)"]),
    (queries::SECOND_FACTOR, &["ID(7)"]),
    (queries::RECOVERY_CODES_LEFT, &["ID(7)"]),
    (queries::SIGN_IN_LIMIT, &["HASH(7)"]),
    (queries::SESSION, &["HASH(7)"]),
    (queries::SESSIONS_OF_USER, &["ID(7)", "5", "5"]),
    (queries::DRAFT, &["ID(7)", "ID(7)", "5"]),
    (queries::LATEST_OPEN_DRAFT, &["ID(7)", "'talkdesk'", "5"]),
    (queries::TILES, &["ID(7)", "'talkdesk'", "ID(15000)", "50"]),
    (queries::TILES_FOUND, &["ID(7)", "'talkdesk'", "ID(15000)", "50", "'%name%'"]),
    (queries::CREDENTIALS, &["ID(7)", "ID(15000)", "50"]),
    (queries::CREDENTIALS_FOUND, &["ID(7)", "ID(15000)", "50", "'%name%'"]),
    (queries::ATTENTION, &["ID(7)", "10"]),
    (queries::FAILING_CREDENTIALS, &["'rejected'"]),
    (queries::CREDENTIAL, &["ID(7)", "ID(7)"]),
    (queries::CREDENTIAL_NAMED, &["'talkdesk'", "ID(8)", "'name 7'"]),
    (queries::FINGERPRINT, &["ID(7)", "'talkdesk'", "HASH(7)", "ID(7)"]),
    (queries::VERIFICATIONS, &["ID(7)", "5"]),
    (queries::TOKEN, &["ID(7)"]),
    (queries::RESOURCE, &["ID(7)", "ID(7)"]),
    (queries::RESOURCES, &["ID(7)", "'source'", "ID(15000)", "50"]),
];

/// More of them.
const RESOURCE_STATEMENTS: &[(&str, &[&str])] = &[
    (queries::RESOURCES_OF_CREDENTIAL, &["ID(7)", "ID(11)", "50"]),
    (queries::RESOURCE_COUNT, &["ID(11)"]),
    (queries::RESOURCE_NAMED, &["'source'", "ID(8)", "'name 7'"]),
    (queries::RESOURCES_OF_FEW, &["ID(7)", "'source'", "ID(15000)", "50", "100"]),
    (queries::VISIBLE_COUNT, &["ID(7)", "101"]),
    (queries::SHARES, &["ID(7)"]),
    (queries::PEOPLE_TO_SHARE_WITH, &["''", "500"]),
    (queries::GROUPS_TO_SHARE_WITH, &["''", "500"]),
    (queries::PERSON_TO_SHARE_WITH, &["'key 7'"]),
    (queries::GROUP_TO_SHARE_WITH, &["'group 7'"]),
    (queries::RESOURCE_OF_FORM, &["ID(7)", "ID(8)"]),
    (queries::RESOURCE_OF_FORMS, &["ID(7)", "ID(7)"]),
];

/// Those of people and groups.
const PEOPLE_STATEMENTS: &[(&str, &[&str])] = &[
    (queries::USER_OF_EMAIL, &["'key 7'"]),
    (queries::USERS, &["ID(15000)", "50"]),
    (queries::USERS_FOUND, &["ID(15000)", "50", "'%key%'"]),
    (queries::ADMINISTRATORS, &[]),
    (queries::PASSWORD_LINK, &["HASH(7)", "5"]),
    (queries::PASSWORD_LINK_OF_USER, &["ID(7)", "5"]),
    (queries::OWNED, &["ID(7)"]),
    (queries::CREDENTIALS_OF_OWNER, &["ID(7)"]),
    (queries::RESOURCES_OF_OWNER, &["ID(7)"]),
    (queries::KEYS_OF_OWNER, &["ID(7)"]),
    (queries::GROUPS, &["ID(15000)", "50"]),
    (queries::GROUP, &["ID(7)"]),
    (queries::GROUP_MEMBERS, &["ID(7)", "ID(15000)", "50"]),
    (queries::GROUPS_OF_MEMBER, &["ID(7)", "50"]),
    (queries::SHARES_OF_GROUP, &["ID(7)", "50"]),
];

/// Those of API keys.
const KEY_STATEMENTS: &[(&str, &[&str])] = &[
    (queries::API_KEY_BY_HASH, &["HASH(7)"]),
    (queries::API_KEY, &["ID(7)"]),
    (queries::API_KEYS, &["ID(15000)", "50"]),
    (queries::API_KEY_OF_FORM, &["ID(7)"]),
    (queries::RESOURCES_OF_API_KEY, &["ID(7)"]),
    (queries::API_KEY_OWNER, &["'key 7'"]),
    (queries::API_KEY_OWNERS, &["''", "500"]),
];

/// Those of the audit trail but for its searches.
const AUDIT_STATEMENTS: &[(&str, &[&str])] = &[
    (queries::AUDIT_PLACE_AT, &["15000"]),
    (queries::AUDIT_PERSON, &["'key 7'"]),
    (queries::AUDIT_PEOPLE, &["''", "200"]),
    (queries::AUDIT_CREDENTIALS, &["'name 7'", "20"]),
];

/// Those of the history.
const HISTORY_STATEMENTS: &[(&str, &[&str])] = &[
    (queries::HISTORY_OF_CREDENTIAL, &["ID(7)", "9000000000", "101"]),
    (queries::PROBLEMS_OF_CREDENTIAL, &["ID(7)", "9000000000", "101"]),
    (queries::HISTORY_OF_RESOURCE, &["ID(7)", "9000000000", "101"]),
    (queries::PROBLEMS_OF_RESOURCE, &["ID(7)", "9000000000", "101"]),
    (queries::HOURS_OF_CREDENTIAL, &["ID(7)", "5"]),
    (queries::HOURS_OF_RESOURCE, &["ID(7)", "5"]),
];

/// The statements that clear away and that other statements cause.
const CLEARING: &[&str] = &[
    "DELETE FROM sessions WHERE used_at <= 10",
    "DELETE FROM sign_in_limits WHERE updated_at <= 10",
    "DELETE FROM sessions WHERE expires_at <= 1000010",
    "DELETE FROM drafts WHERE expires_at <= 1000010",
    "DELETE FROM access_tokens WHERE expires_at <= 1000010",
    "SELECT 1 FROM drafts WHERE credential = ID(7)",
    "DELETE FROM history WHERE minute < 10",
    "DELETE FROM history_hours WHERE hour < 10",
];

/// Every statement, its parameters filled in.
fn statements() -> Vec<String> {
    let groups = [STATEMENTS, RESOURCE_STATEMENTS, PEOPLE_STATEMENTS, KEY_STATEMENTS, AUDIT_STATEMENTS, HISTORY_STATEMENTS];
    let filled = groups.into_iter().flatten().map(|(statement, parameters)| fill(statement, parameters));
    filled.chain(audit_statements()).chain(CLEARING.iter().copied().map(str::to_owned)).collect()
}

/// The searches of the audit trail, and the index whose beginning and end each of them is. First those for values that
/// are frequent, then those for rare ones.
fn audit_searches() -> [Vec<(String, &'static str)>; 2] {
    let (actor, target) = (["ID(7)", "ID(7000)"], ["ID(8)", "ID(9000)"]);
    let action = ["'session.sign_in'", "'audit.export'"];
    [0, 1].map(|which| {
        let searches: [(queries::AuditLookup, &[&str], &str); 7] = [
            (queries::AUDIT_OF_ACTOR, &[actor[which]], "audit_by_actor "),
            (queries::AUDIT_OF_TARGET, &[target[which]], "audit_by_target "),
            (queries::AUDIT_OF_ACTION, &[action[which]], "audit_by_action "),
            (queries::AUDIT_OF_ACTOR_AND_ACTION, &[actor[which], action[which]], "audit_by_actor_and_action "),
            (queries::AUDIT_OF_TARGET_AND_ACTION, &[target[which], action[which]], "audit_by_target_and_action "),
            (queries::AUDIT_OF_ACTOR_AND_TARGET, &[actor[which], target[which]], "audit_by_actor_and_target "),
            (queries::AUDIT_OF_ALL_THREE, &[actor[which], target[which], action[which]], "_and_"),
        ];
        let both = searches.iter().flat_map(|(lookup, wanted, index)| {
            let values: Vec<&str> = ["-2", "-15000", "51"].iter().chain(*wanted).copied().collect();
            [lookup.newest_first, lookup.oldest_first].map(|statement| (fill(statement, &values), *index))
        });
        both.collect()
    })
}

fn audit_statements() -> Vec<String> {
    let mut filled: Vec<String> = audit_searches().into_iter().flatten().map(|(statement, _)| statement).collect();
    for statement in [queries::AUDIT.newest_first, queries::AUDIT.oldest_first] {
        filled.push(fill(statement, &["2", "15000", "51"]));
    }
    filled.push(fill(queries::AUDIT_PAGES, &["ID(7)"; queries::AUDIT_PAGES_OF]));
    filled
}

/// A statement with its parameters filled in.
fn fill(statement: &str, parameters: &[&str]) -> String {
    let mut text = statement.to_owned();
    for (index, value) in parameters.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    assert!(!text.contains('$'), "{text}");
    text
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
            // A scan of the index of credentials that need attention, or that are open to all, is what it is for.
            // What is scanned beside it are the branches of a page, each cut at the limit.
            let cut = ["CONSTANT", "few", "page", "visible", "own", "open_to_all", "personal", "of_groups", "w", "walk"];
            let is_cut = |line: &str| line.split_whitespace().nth(1).is_some_and(|name| cut.contains(&name));
            let partial = ["credentials_needing_attention", "credentials_for_everyone_by_age"];
            let is_partial = |line: &str| partial.iter().any(|index| line.contains(index));
            let scans = |line: &&String| line.starts_with("SCAN") && !is_partial(line) && !is_cut(line);
            assert!(!plan.iter().any(|line| scans(&line)), "{statement}\n{plan:#?}");
            // Branches that are cut at the limit are few rows, which may be sorted.
            let few = statement.contains("name_key LIMIT") || statement.contains(" UNION ");
            assert!(few || !plan.iter().any(|line| line.contains("TEMP B-TREE")), "{statement}\n{plan:#?}");
        }
        // As Keytile leaves it: it analyses nothing, and SQLite takes the index that answers the most.
        let searches = if analysed { Vec::new() } else { audit_searches().concat() };
        for (statement, index) in searches {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", in_sqlite(&statement)));
            let lines = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = lines.iter().map(|line| line.get::<String, _>("detail")).collect();
            assert!(
                plan.len() == 1 && plan[0].contains(index) && plan[0].contains("<expr>>? AND <expr><?"),
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
    // What is rare may be found in another way; what is frequent must not be looked for along the whole trail.
    let [frequent, _] = audit_searches();
    for (statement, index) in frequent {
        let explain = AssertSqlSafe(format!("EXPLAIN {}", in_postgres(&statement)));
        let lines = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
        let plan: String = lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect();
        assert!(plan.contains(index), "{statement}\n{plan}");
    }
}
