//! The statements that read. They stand together and are public so that the tests can ask both
//! databases how they would run them: none may read a whole table.
//!
//! Pages are cut by key: `id < $n`, newest first, so that a page is as quick at the end of the list
//! as at its beginning, and nothing is shown twice when something is added meanwhile.

/// The check value. No parameters.
pub const INSTALLATION: &str = "SELECT sealed FROM installation WHERE singleton = 1";

/// How many of the tables that hold something sealed have a row, at most 1. No parameters.
///
/// Verifications, resources and access tokens belong to a credential, which has a secret.
pub const ANY_SEALED_ROW: &str = "SELECT COUNT(*) FROM (
    SELECT singleton AS found FROM installation
    UNION ALL SELECT version FROM credential_secrets
    UNION ALL SELECT version FROM drafts WHERE sealed IS NOT NULL
    UNION ALL SELECT version FROM users WHERE second_factor IS NOT NULL
    LIMIT 1) AS rows";

/// The first account. The parameter: the least of all ids, so that an index is asked and no table is read.
pub const ANY_USER: &str = "SELECT id FROM users WHERE id >= $1 ORDER BY id LIMIT 1";

macro_rules! user_rows {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, name, role, state, CAST(CASE WHEN password IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_password,
            CAST(CASE WHEN second_factor IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_second_factor, created_at, signed_in_at, version
            FROM users ",
            $rest
        )
    };
}

/// One account: its id.
pub const USER: &str = user_rows!("WHERE id = $1");

/// The account of an e-mail address: the key of the address.
pub const USER_OF_EMAIL: &str = user_rows!("WHERE email_key = $1");

/// The account of somebody at a provider of single sign-on: issuer, subject.
pub const USER_OF_IDENTITY: &str = user_rows!("WHERE id = (SELECT owner FROM identities WHERE issuer = $1 AND subject = $2)");

/// Accounts: id to go on below, limit.
pub const USERS: &str = user_rows!("WHERE id < $1 ORDER BY id DESC LIMIT $2");

/// Accounts that match a search: id to go on below, limit, LIKE pattern.
pub const USERS_FOUND: &str = user_rows!("WHERE id < $1 AND search_key LIKE $3 ESCAPE '\\' ORDER BY id DESC LIMIT $2");

/// How many credentials did not pass and have this status: the status. The first condition is that of the index.
pub const FAILING_CREDENTIALS: &str = "SELECT COUNT(*) FROM credentials WHERE status <> 'verified' AND status = $1";

/// How many active administrators there are. No parameters.
pub const ADMINISTRATORS: &str = "SELECT COUNT(*) FROM users WHERE role = 'administrator' AND state = 'active'";

/// Whose link to choose a password this is: the hash of the link, the time.
pub const PASSWORD_LINK: &str = "SELECT owner FROM password_links WHERE hash = $1 AND expires_at > $2";

/// Until when the link of an account can be used: the account, the time.
pub const PASSWORD_LINK_OF_USER: &str = "SELECT expires_at FROM password_links WHERE owner = $1 AND expires_at > $2";

/// What an account owns, as counts of credentials, resources and API keys that are not revoked: the account.
pub const OWNED: &str = "SELECT (SELECT COUNT(*) FROM credentials WHERE owner = $1) AS credentials,
    (SELECT COUNT(*) FROM resources WHERE owner = $1) AS resources,
    (SELECT COUNT(*) FROM api_keys WHERE owner = $1 AND revoked_at IS NULL) AS api_keys";

/// The credentials of an account, to be handed over: the account.
pub const CREDENTIALS_OF_OWNER: &str =
    "SELECT id, connector AS kind, name, name_key, description FROM credentials WHERE owner = $1 ORDER BY id";

/// The resources of an account, to be handed over: the account.
pub const RESOURCES_OF_OWNER: &str = "SELECT id, kind, name, name_key, description FROM resources WHERE owner = $1 ORDER BY id";

/// The API keys of an account that are not revoked: the account.
pub const KEYS_OF_OWNER: &str = "SELECT id, name FROM api_keys WHERE owner = $1 AND revoked_at IS NULL ORDER BY id";

macro_rules! group_rows {
    ($rest:literal) => {
        concat!(
            "SELECT g.id, g.name, (SELECT COUNT(*) FROM group_members m WHERE m.group_id = g.id) AS members,
            (SELECT COUNT(*) FROM credential_shares s WHERE s.group_id = g.id) AS shares FROM user_groups g ",
            $rest
        )
    };
}

/// Groups: id to go on below, limit.
pub const GROUPS: &str = group_rows!("WHERE g.id < $1 ORDER BY g.id DESC LIMIT $2");

/// One group: its id.
pub const GROUP: &str = group_rows!("WHERE g.id = $1");

/// The members of a group: the group, id to go on below, limit.
pub const GROUP_MEMBERS: &str = "SELECT u.id, u.email, u.name, u.state FROM group_members m CROSS JOIN users u
    WHERE u.id = m.member AND m.group_id = $1 AND m.member < $2 ORDER BY m.member DESC LIMIT $3";

/// The groups that somebody is a member of: the account, limit.
pub const GROUPS_OF_MEMBER: &str = "SELECT g.id, g.name FROM group_members m CROSS JOIN user_groups g
    WHERE g.id = m.group_id AND m.member = $1 ORDER BY m.group_id LIMIT $2";

/// What is shared with a group: the group, limit.
pub const SHARES_OF_GROUP: &str = "SELECT c.connector, c.name, s.access, u.email AS owner
    FROM credential_shares s CROSS JOIN credentials c LEFT JOIN users u ON u.id = c.owner
    WHERE c.id = s.credential AND s.group_id = $1 ORDER BY s.connector, s.credential LIMIT $2";

/// The account that somebody signs in to: the key of its e-mail address.
pub const USER_TO_SIGN_IN: &str = "SELECT id, email, name, role, state, password, version,
    CAST(CASE WHEN second_factor IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_second_factor FROM users WHERE email_key = $1";

/// The hash of the password of an account: its id.
pub const PASSWORD: &str = "SELECT password FROM users WHERE id = $1 AND password IS NOT NULL";

/// The second factor of an account: its id.
pub const SECOND_FACTOR: &str =
    "SELECT second_factor AS sealed, second_factor_step AS step FROM users WHERE id = $1 AND second_factor IS NOT NULL";

/// How many recovery codes an account has left: its id.
pub const RECOVERY_CODES_LEFT: &str = "SELECT COUNT(*) FROM recovery_codes WHERE owner = $1";

/// The failed sign-ins of a bucket: the bucket.
pub const SIGN_IN_LIMIT: &str = "SELECT failures, blocked_until, updated_at FROM sign_in_limits WHERE bucket = $1";

/// The access epoch. No parameters.
pub const ACCESS_EPOCH: &str = "SELECT value FROM access_epoch WHERE singleton = 1";

/// A session with its account: its hash.
pub const SESSION: &str = "SELECT s.id, s.stage, s.method, s.used_at, s.expires_at, s.owner, u.email, u.name, u.role, u.state,
    u.second_factor IS NOT NULL AS has_second_factor FROM sessions s JOIN users u ON u.id = s.owner WHERE s.hash = $1";

/// The live sessions of an account: the account, the time, the time since which they must have been used.
pub const SESSIONS_OF_USER: &str = "SELECT id, hash, method, address, agent, created_at, used_at, expires_at FROM sessions
    WHERE owner = $1 AND expires_at > $2 AND used_at > $3 AND stage = 'signed_in' ORDER BY created_at DESC LIMIT 100";

/// A draft: its id, its owner, the time.
pub const DRAFT: &str = "SELECT id, owner, connector, credential, sealed, version, updated_at, expires_at
    FROM drafts WHERE id = $1 AND owner = $2 AND expires_at > $3";

/// The newest open draft: its owner, its connector, the time.
pub const LATEST_OPEN_DRAFT: &str = "SELECT id, owner, connector, credential, sealed, version, updated_at, expires_at
    FROM drafts WHERE owner = $1 AND connector = $2 AND expires_at > $3 AND credential IS NULL
    ORDER BY updated_at DESC LIMIT 1";

/// What the viewer, `$1`, may do with the credential `c`: `manage`, `use`, or NULL where there is no such credential
/// for them. `manage` is the lesser of the two words.
macro_rules! access {
    () => {
        "COALESCE(CASE WHEN c.owner = $1 THEN 'manage' END,
            (SELECT MIN(a.access) FROM credential_shares a WHERE a.credential = c.id AND (a.person = $1
                OR EXISTS (SELECT 1 FROM group_members m WHERE m.group_id = a.group_id AND m.member = $1))),
            CASE WHEN c.sharing = 'everyone' THEN 'use' END)"
    };
}
pub(in crate::store) use access;

/// The ids of the newest credentials that exist for the viewer, `$1`: one's own, those that are open to all, those
/// that are shared with the person, those that are shared with a group. Each branch is read by an index that gives
/// it in the order of ids and is cut at the limit, so that it does not matter how many credentials there are.
///
/// What is shared with groups is walked through group by group, from one id down to the next. A join would leave it
/// to the database to guess how much is shared with a group, and PostgreSQL then reads all shares there are.
macro_rules! visible {
    ($of_credential:expr, $of_share:expr, $below:expr, $limit:expr) => {
        concat!(
            "SELECT id FROM (SELECT o.id FROM credentials o WHERE o.owner = $1",
            $of_credential,
            " ORDER BY o.id DESC LIMIT ",
            $limit,
            ") AS own UNION SELECT id FROM (SELECT o.id FROM credentials o WHERE o.sharing = 'everyone'",
            $of_credential,
            " ORDER BY o.id DESC LIMIT ",
            $limit,
            ") AS open_to_all UNION SELECT id FROM (SELECT s.credential AS id FROM credential_shares s",
            " WHERE s.person = $1",
            $of_share,
            $below,
            " ORDER BY s.credential DESC LIMIT ",
            $limit,
            ") AS personal UNION SELECT id FROM (WITH RECURSIVE walk (group_id, id, step) AS (
                SELECT m.group_id, (SELECT s.credential FROM credential_shares s",
            " WHERE s.group_id = m.group_id",
            $of_share,
            $below,
            " ORDER BY s.credential DESC LIMIT 1), CAST(1 AS BIGINT) FROM group_members m WHERE m.member = $1
                UNION ALL SELECT w.group_id, (SELECT s.credential FROM credential_shares s",
            " WHERE s.group_id = w.group_id AND s.credential < w.id",
            $of_share,
            " ORDER BY s.credential DESC LIMIT 1), w.step + 1 FROM walk w WHERE w.id IS NOT NULL AND w.step < ",
            $limit,
            ") SELECT id FROM walk WHERE id IS NOT NULL) AS of_groups"
        )
    };
}

// Each column of each row is copied twice on its way through sqlx: address and name of the owner are one.
macro_rules! credential_columns {
    () => {
        concat!(
            "SELECT c.id, c.connector, c.name, c.description, c.status, c.verified_at, c.created_at, c.version, c.sharing,
            s.key_id, s.wrapped_key, s.ciphertext,
            (SELECT COUNT(*) FROM resources r WHERE r.credential = c.id) AS used_by,
            c.owner, (SELECT u.email || ' ' || u.name FROM users u WHERE u.id = c.owner) AS owned_by, ",
            access!(),
            " AS access "
        )
    };
}

// CROSS JOIN, because SQLite then reads the tables in this order: it would sometimes begin with all
// secrets. To PostgreSQL it is a join like any other.
macro_rules! credential_rows {
    ($($rest:expr),+) => {
        concat!(
            credential_columns!(),
            "FROM credentials c CROSS JOIN credential_secrets s WHERE s.credential = c.id AND s.state = 'active' AND ",
            $($rest),+
        )
    };
}

macro_rules! credential_page {
    ($of_credential:expr, $of_share:expr, $below:expr, $limit:expr) => {
        concat!(
            credential_columns!(),
            "FROM (SELECT id FROM (",
            visible!($of_credential, $of_share, $below, $limit),
            ") AS visible ORDER BY id DESC LIMIT ",
            $limit,
            ") AS page CROSS JOIN credentials c CROSS JOIN credential_secrets s
            WHERE c.id = page.id AND s.credential = c.id AND s.state = 'active' ORDER BY c.id DESC"
        )
    };
}

/// The tiles of a connector: viewer, connector, id to go on below, limit.
pub const TILES: &str =
    credential_page!(" AND o.connector = $2 AND o.id < $3", " AND s.connector = $2", " AND s.credential < $3", "$4");

/// The tiles of a connector that match a search: viewer, connector, id to go on below, limit, LIKE pattern.
pub const TILES_FOUND: &str = credential_page!(
    " AND o.connector = $2 AND o.id < $3 AND o.search_key LIKE $5 ESCAPE '\\'",
    " AND s.connector = $2 AND (SELECT o.search_key FROM credentials o WHERE o.id = s.credential) LIKE $5 ESCAPE '\\'",
    " AND s.credential < $3",
    "$4"
);

/// All credentials: viewer, id to go on below, limit.
pub const CREDENTIALS: &str = credential_page!(" AND o.id < $2", "", " AND s.credential < $2", "$3");

/// All credentials that match a search: viewer, id to go on below, limit, LIKE pattern.
pub const CREDENTIALS_FOUND: &str = credential_page!(
    " AND o.id < $2 AND o.search_key LIKE $4 ESCAPE '\\'",
    " AND (SELECT o.search_key FROM credentials o WHERE o.id = s.credential) LIKE $4 ESCAPE '\\'",
    " AND s.credential < $2",
    "$3"
);

/// Credentials that somebody should look at: viewer, limit.
pub const ATTENTION: &str = credential_rows!("c.status <> 'verified' AND ", access!(), " IS NOT NULL ORDER BY c.id DESC LIMIT $2");

/// One credential, whether the viewer may use it or not: viewer, its id.
pub const CREDENTIAL: &str = credential_rows!("c.id = $2");

/// The credential of a name: connector, owner, key of the name.
pub const CREDENTIAL_NAMED: &str = "SELECT id FROM credentials WHERE connector = $1 AND owner = $2 AND name_key = $3";

/// Names of credentials with a fingerprint: viewer, connector, fingerprint, id of one to leave out.
pub const FINGERPRINT: &str = concat!(
    "SELECT c.name FROM credentials c WHERE c.connector = $2 AND c.fingerprint = $3 AND c.id <> $4 AND ",
    access!(),
    " IS NOT NULL ORDER BY c.name_key LIMIT 20"
);

/// How many credentials exist for the viewer, counted no further than the limit: viewer, limit.
pub const VISIBLE_COUNT: &str = concat!("SELECT COUNT(*) FROM (", visible!("", "", "", "$2"), ") AS visible");

/// The verifications of a credential, newest first: credential, limit.
pub const VERIFICATIONS: &str =
    "SELECT id, ended_at, sealed FROM verifications WHERE credential = $1 ORDER BY ended_at DESC, id DESC LIMIT $2";

/// What is known of the token of a credential: credential.
pub const TOKEN: &str = "SELECT c.version, c.status, t.version AS token_version, t.sealed AS token, t.fetched_at, t.refresh_at,
        t.expires_at, f.version AS fetch_version, f.holder, f.class, f.failures, f.retry_at, f.pause, f.sealed AS failure
    FROM credentials c
    LEFT JOIN access_tokens t ON t.credential = c.id
    LEFT JOIN token_fetches f ON f.credential = c.id
    WHERE c.id = $1";

macro_rules! resource_columns {
    () => {
        concat!(
            "SELECT r.id, r.owner, r.kind, r.name, r.description, r.connector, r.credential, r.endpoint, r.endpoint_version,
            r.created_at, r.version, c.name AS credential_name, c.status AS credential_status, ",
            access!(),
            " AS access FROM "
        )
    };
}

macro_rules! resource_rows {
    ($($rest:expr),+) => {
        concat!(resource_columns!(), "resources r CROSS JOIN credentials c WHERE c.id = r.credential AND ", $($rest),+)
    };
}

/// One resource, whether the viewer may use its credential or not: viewer, its id.
pub const RESOURCE: &str = resource_rows!("r.id = $2");

/// The resources of a kind, for a viewer who sees many credentials: viewer, kind, id to go on below, limit.
///
/// Walks through the resources until there are enough that the viewer may see.
pub const RESOURCES: &str = resource_rows!("r.kind = $2 AND r.id < $3 AND ", access!(), " IS NOT NULL ORDER BY r.id DESC LIMIT $4");

/// The same for a viewer who sees few credentials: viewer, kind, id to go on below, limit, how many credentials.
///
/// Begins with the credentials, so that it does not walk through the resources of everybody else.
pub const RESOURCES_OF_FEW: &str = concat!(
    resource_columns!(),
    "(SELECT id FROM (",
    visible!("", "", "", "$5"),
    ") AS few LIMIT $5) AS visible CROSS JOIN credentials c CROSS JOIN resources r
    WHERE c.id = visible.id AND r.credential = c.id AND r.kind = $2 AND r.id < $3 ORDER BY r.id DESC LIMIT $4"
);

/// The resources that use a credential: viewer, credential, limit.
pub const RESOURCES_OF_CREDENTIAL: &str = resource_rows!("r.credential = $2 ORDER BY r.id DESC LIMIT $3");

/// How many resources use a credential: credential.
pub const RESOURCE_COUNT: &str = "SELECT COUNT(*) FROM resources WHERE credential = $1";

/// The resource that a form made: the form's id, its owner.
pub const RESOURCE_OF_FORM: &str = "SELECT id FROM resources WHERE form_id = $1 AND owner = $2";

/// The resource of one of several forms, with the form: first form, last form.
pub const RESOURCE_OF_FORMS: &str =
    "SELECT form_id, id FROM resources WHERE form_id >= $1 AND form_id <= $2 ORDER BY form_id LIMIT 1";

// CROSS JOIN, so that SQLite begins with the keys and not with all accounts.
macro_rules! api_key_rows {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.name, k.hint, k.scopes, k.restricted, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
            k.owner, u.email, u.name AS owner_name, u.role, u.state FROM api_keys k CROSS JOIN users u WHERE u.id = k.owner AND ",
            $rest
        )
    };
}

/// An API key with its account: its hash.
pub const API_KEY_BY_HASH: &str = api_key_rows!("k.hash = $1");

/// An API key with its account: its id.
pub const API_KEY: &str = api_key_rows!("k.id = $1");

/// All API keys: id to go on below, limit.
pub const API_KEYS: &str = api_key_rows!("k.id < $1 ORDER BY k.id DESC LIMIT $2");

/// The API key that a form made: the form's id.
pub const API_KEY_OF_FORM: &str = "SELECT id FROM api_keys WHERE form_id = $1";

/// The resources that an API key is for: its id.
pub const RESOURCES_OF_API_KEY: &str = "SELECT r.id, r.kind, r.name FROM api_key_resources k CROSS JOIN resources r
    WHERE k.api_key = $1 AND r.id = k.resource ORDER BY k.resource";

/// An active account: the key of its e-mail address.
pub const API_KEY_OWNER: &str = "SELECT id, email, name, role FROM users WHERE email_key = $1 AND state = 'active'";

/// Active accounts: key of the e-mail address to go on above, limit.
pub const API_KEY_OWNERS: &str =
    "SELECT id, email, name, role FROM users WHERE email_key > $1 AND state = 'active' ORDER BY email_key LIMIT $2";
/// The resource of a name: kind, owner, key of the name.
pub const RESOURCE_NAMED: &str = "SELECT id FROM resources WHERE kind = $1 AND owner = $2 AND name_key = $3";

/// With whom a credential is shared, at most 1,000: credential.
pub const SHARES: &str = "SELECT s.id, s.access, s.person, s.group_id,
    (SELECT u.name FROM users u WHERE u.id = s.person) AS person_name,
    (SELECT u.email FROM users u WHERE u.id = s.person) AS person_email,
    (SELECT g.name FROM user_groups g WHERE g.id = s.group_id) AS group_name
    FROM credential_shares s WHERE s.credential = $1 LIMIT 1000";

/// Whom a credential can be shared with, by e-mail address: the key to begin with, limit.
pub const PEOPLE_TO_SHARE_WITH: &str =
    "SELECT email, name FROM users WHERE email_key >= $1 AND state = 'active' ORDER BY email_key LIMIT $2";

/// The groups that a credential can be shared with, by name: the key to begin with, limit.
pub const GROUPS_TO_SHARE_WITH: &str = "SELECT name FROM user_groups WHERE name_key >= $1 ORDER BY name_key LIMIT $2";

/// The person of an e-mail address, whose account is in use: the key of the address.
pub const PERSON_TO_SHARE_WITH: &str = "SELECT id, email FROM users WHERE email_key = $1 AND state = 'active'";

/// The group of a name: the key of the name.
pub const GROUP_TO_SHARE_WITH: &str = "SELECT id, name FROM user_groups WHERE name_key = $1";

/// The end of the audit trail. No parameters.
pub const AUDIT_END: &str = "SELECT seq, at, hash FROM audit_head WHERE singleton = 1";

/// The first event that is not before a time: the time. Times never fall along the trail.
pub const AUDIT_PLACE_AT: &str = "SELECT seq FROM audit_events WHERE at >= $1 ORDER BY at, seq LIMIT 1";

/// One way to search the audit trail, in either direction. The parameters: the first place, the place to stop before, the
/// limit, then what is searched for. Where something is, places are counted backwards, as in the indexes: both are
/// negative.
#[derive(Debug, Clone, Copy)]
pub struct AuditLookup {
    /// From the newest event to the oldest.
    pub newest_first: &'static str,
    /// From the oldest event to the newest.
    pub oldest_first: &'static str,
}

macro_rules! audit_rows {
    ($rest:expr) => {
        concat!(
            "SELECT seq, at, actor_kind, actor, actor_name, action, target_kind, target, target_name, outcome, address, request,
            detail, hash FROM audit_events WHERE ",
            $rest,
            " LIMIT $3"
        )
    };
}

macro_rules! audit_lookup {
    ($wanted:literal) => {
        AuditLookup {
            newest_first: audit_rows!(concat!($wanted, " AND -seq <= $1 AND -seq > $2 ORDER BY -seq")),
            oldest_first: audit_rows!(concat!($wanted, " AND -seq <= $1 AND -seq > $2 ORDER BY -seq DESC")),
        }
    };
    // `~seq` is `-seq - 1`: the same places in the words of the indexes of two columns.
    (of two $wanted:literal) => {
        AuditLookup {
            newest_first: audit_rows!(concat!($wanted, " AND ~seq < $1 AND ~seq >= $2 ORDER BY ~seq")),
            oldest_first: audit_rows!(concat!($wanted, " AND ~seq < $1 AND ~seq >= $2 ORDER BY ~seq DESC")),
        }
    };
}

/// All events.
pub const AUDIT: AuditLookup = AuditLookup {
    newest_first: audit_rows!("seq >= $1 AND seq < $2 ORDER BY seq DESC"),
    oldest_first: audit_rows!("seq >= $1 AND seq < $2 ORDER BY seq"),
};

/// Those of a person.
pub const AUDIT_OF_ACTOR: AuditLookup = audit_lookup!("actor = $4");

/// Those on a thing.
pub const AUDIT_OF_TARGET: AuditLookup = audit_lookup!("target = $4");

/// Those of an action.
pub const AUDIT_OF_ACTION: AuditLookup = audit_lookup!("action = $4");

/// Those of a person and an action.
pub const AUDIT_OF_ACTOR_AND_ACTION: AuditLookup = audit_lookup!(of two "actor = $4 AND action = $5");

/// Those on a thing and of an action.
pub const AUDIT_OF_TARGET_AND_ACTION: AuditLookup = audit_lookup!(of two "target = $4 AND action = $5");

/// Those of a person on a thing.
pub const AUDIT_OF_ACTOR_AND_TARGET: AuditLookup = audit_lookup!(of two "actor = $4 AND target = $5");

/// Those of a person on a thing and of an action.
pub const AUDIT_OF_ALL_THREE: AuditLookup = audit_lookup!(of two "actor = $4 AND target = $5 AND action = $6");

/// The account of an e-mail address: the key of the address.
pub const AUDIT_PERSON: &str = "SELECT id, email FROM users WHERE email_key = $1";

/// E-mail addresses in the order of their keys: the key to begin behind, limit.
pub const AUDIT_PEOPLE: &str = "SELECT email FROM users WHERE email_key > $1 ORDER BY email_key LIMIT $2";

/// The credentials of a name, of all connectors and owners: key of the name, limit.
pub const AUDIT_CREDENTIALS: &str = "SELECT c.id, c.connector, c.name, u.email AS owner FROM credentials c
    LEFT JOIN users u ON u.id = c.owner WHERE c.name_key = $1 ORDER BY c.name_key DESC, c.id DESC LIMIT $2";

macro_rules! fifty {
    () => {
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
        $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48,
        $49, $50)"
    };
}

/// How many ids [`AUDIT_PAGES`] takes.
pub const AUDIT_PAGES_OF: usize = 50;

/// Which of these things have a page of their own: fifty ids.
pub const AUDIT_PAGES: &str = concat!(
    "SELECT id, 'credential' AS kind FROM credentials WHERE id IN ",
    fifty!(),
    " UNION ALL SELECT id, kind FROM resources WHERE id IN ",
    fifty!()
);
