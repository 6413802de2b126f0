//! The statements that read. They are public so that tests can ask both databases for their query plans: none
//! may read a whole table.
//!
//! Pages are cut by key: `id < $n`, newest first. A page at the end of the list is as fast as one at its
//! beginning, and nothing is shown twice if something is added meanwhile. Comments list the parameters in
//! order.

/// The check value. No parameters.
pub const INSTALLATION: &str = "SELECT sealed FROM installation WHERE singleton = 1";

/// The number of tables with a row that holds a sealed value, at most 1. No parameters.
///
/// Verifications, resources and access tokens belong to a credential, which has a secret.
pub const ANY_SEALED_ROW: &str = "SELECT COUNT(*) FROM (
    SELECT singleton AS found FROM installation
    UNION ALL SELECT version FROM credential_secrets
    UNION ALL SELECT version FROM drafts WHERE sealed IS NOT NULL
    UNION ALL SELECT version FROM users WHERE second_factor IS NOT NULL
    LIMIT 1) AS rows";

/// Any user. Parameter: the lowest possible id, so that the query uses an index and doesn't read the table.
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

/// Parameter: id.
pub const USER: &str = user_rows!("WHERE id = $1");

/// Parameter: key of the email address.
pub const USER_OF_EMAIL: &str = user_rows!("WHERE email_key = $1");

/// The user with an identity at a single sign-on provider. Parameters: issuer, subject.
pub const USER_OF_IDENTITY: &str = user_rows!("WHERE id = (SELECT owner FROM identities WHERE issuer = $1 AND subject = $2)");

/// Parameters: id to continue below, limit.
pub const USERS: &str = user_rows!("WHERE id < $1 ORDER BY id DESC LIMIT $2");

/// Parameters: id to continue below, limit, LIKE pattern.
pub const USERS_FOUND: &str = user_rows!("WHERE id < $1 AND search_key LIKE $3 ESCAPE '\\' ORDER BY id DESC LIMIT $2");

/// The number of credentials that aren't verified and have this status. Parameter: status. The first
/// condition is that of the partial index.
pub const FAILING_CREDENTIALS: &str = "SELECT COUNT(*) FROM credentials WHERE status <> 'verified' AND status = $1";

/// The number of active administrators. No parameters.
pub const ADMINISTRATORS: &str = "SELECT COUNT(*) FROM users WHERE role = 'administrator' AND state = 'active'";

/// The owner of a password link. Parameters: hash of the link, current time.
pub const PASSWORD_LINK: &str = "SELECT owner FROM password_links WHERE hash = $1 AND expires_at > $2";

/// The expiry of a user's password link. Parameters: user, current time.
pub const PASSWORD_LINK_OF_USER: &str = "SELECT expires_at FROM password_links WHERE owner = $1 AND expires_at > $2";

/// The number of credentials, resources and unrevoked API keys that a user owns. Parameter: user.
pub const OWNED: &str = "SELECT (SELECT COUNT(*) FROM credentials WHERE owner = $1) AS credentials,
    (SELECT COUNT(*) FROM resources WHERE owner = $1) AS resources,
    (SELECT COUNT(*) FROM api_keys WHERE owner = $1 AND revoked_at IS NULL) AS api_keys";

/// For a transfer of ownership. Parameter: owner.
pub const CREDENTIALS_OF_OWNER: &str =
    "SELECT id, connector AS kind, name, name_key, description FROM credentials WHERE owner = $1 ORDER BY id";

/// For a transfer of ownership. Parameter: owner.
pub const RESOURCES_OF_OWNER: &str = "SELECT id, kind, name, name_key, description FROM resources WHERE owner = $1 ORDER BY id";

/// Unrevoked keys. Parameter: owner.
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

/// Parameters: id to continue below, limit.
pub const GROUPS: &str = group_rows!("WHERE g.id < $1 ORDER BY g.id DESC LIMIT $2");

/// Parameter: id.
pub const GROUP: &str = group_rows!("WHERE g.id = $1");

/// Parameters: group, id to continue below, limit.
pub const GROUP_MEMBERS: &str = "SELECT u.id, u.email, u.name, u.state FROM group_members m CROSS JOIN users u
    WHERE u.id = m.member AND m.group_id = $1 AND m.member < $2 ORDER BY m.member DESC LIMIT $3";

/// Parameters: member, limit.
pub const GROUPS_OF_MEMBER: &str = "SELECT g.id, g.name FROM group_members m CROSS JOIN user_groups g
    WHERE g.id = m.group_id AND m.member = $1 ORDER BY m.group_id LIMIT $2";

/// Parameters: group, limit.
pub const SHARES_OF_GROUP: &str = "SELECT c.connector, c.name, s.access, u.email AS owner
    FROM credential_shares s CROSS JOIN credentials c LEFT JOIN users u ON u.id = c.owner
    WHERE c.id = s.credential AND s.group_id = $1 ORDER BY s.connector, s.credential LIMIT $2";

/// Parameter: key of the email address.
pub const USER_TO_SIGN_IN: &str = "SELECT id, email, name, role, state, password, version,
    CAST(CASE WHEN second_factor IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_second_factor FROM users WHERE email_key = $1";

/// The password hash of a user. Parameter: id.
pub const PASSWORD: &str = "SELECT password FROM users WHERE id = $1 AND password IS NOT NULL";

/// Parameter: user.
pub const SECOND_FACTOR: &str =
    "SELECT second_factor AS sealed, second_factor_step AS step FROM users WHERE id = $1 AND second_factor IS NOT NULL";

/// Parameter: user.
pub const RECOVERY_CODES_LEFT: &str = "SELECT COUNT(*) FROM recovery_codes WHERE owner = $1";

/// Parameter: bucket.
pub const SIGN_IN_LIMIT: &str = "SELECT failures, blocked_until, updated_at FROM sign_in_limits WHERE bucket = $1";

/// No parameters.
pub const ACCESS_EPOCH: &str = "SELECT value FROM access_epoch WHERE singleton = 1";

/// A session with its user. Parameter: hash.
pub const SESSION: &str = "SELECT s.id, s.stage, s.method, s.used_at, s.expires_at, s.owner, u.email, u.name, u.role, u.state,
    u.second_factor IS NOT NULL AS has_second_factor FROM sessions s JOIN users u ON u.id = s.owner WHERE s.hash = $1";

/// Sessions that haven't ended. Parameters: user, current time, time since which they must have been used.
pub const SESSIONS_OF_USER: &str = "SELECT id, hash, method, address, agent, created_at, used_at, expires_at FROM sessions
    WHERE owner = $1 AND expires_at > $2 AND used_at > $3 AND stage = 'signed_in' ORDER BY created_at DESC LIMIT 100";

/// Parameters: id, owner, current time.
pub const DRAFT: &str = "SELECT id, owner, connector, credential, sealed, version, updated_at, expires_at
    FROM drafts WHERE id = $1 AND owner = $2 AND expires_at > $3";

/// Parameters: owner, connector, current time.
pub const LATEST_OPEN_DRAFT: &str = "SELECT id, owner, connector, credential, sealed, version, updated_at, expires_at
    FROM drafts WHERE owner = $1 AND connector = $2 AND expires_at > $3 AND credential IS NULL
    ORDER BY updated_at DESC LIMIT 1";

/// The viewer's (`$1`) access to the credential `c`: `manage`, `use`, or NULL if the credential doesn't exist
/// for them. MIN picks `manage` over `use`, because it sorts first.
macro_rules! access {
    () => {
        "COALESCE(CASE WHEN c.owner = $1 THEN 'manage' END,
            (SELECT MIN(a.access) FROM credential_shares a WHERE a.credential = c.id AND (a.person = $1
                OR EXISTS (SELECT 1 FROM group_members m WHERE m.group_id = a.group_id AND m.member = $1))),
            CASE WHEN c.sharing = 'everyone' THEN 'use' END)"
    };
}
pub(in crate::store) use access;

/// The ids of the newest credentials that are visible to the viewer (`$1`): their own, those open to
/// everyone, those shared with them, and those shared with one of their groups. An index returns each branch
/// in the order of ids, cut at the limit, so the total number of credentials doesn't matter.
///
/// Shares with groups are read group by group, from one id down to the next. For a join, PostgreSQL would
/// have to guess how much is shared with a group, and reads all shares.
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

// sqlx copies each column of each row twice, so the owner's address and name are one column.
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

// CROSS JOIN makes SQLite read the tables in this order; otherwise it sometimes begins with all secrets. For
// PostgreSQL it's a join like any other.
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

/// The tiles of a connector. Parameters: viewer, connector, id to continue below, limit.
pub const TILES: &str =
    credential_page!(" AND o.connector = $2 AND o.id < $3", " AND s.connector = $2", " AND s.credential < $3", "$4");

/// The tiles of a connector that match a search. Parameters: viewer, connector, id to continue below, limit,
/// LIKE pattern.
pub const TILES_FOUND: &str = credential_page!(
    " AND o.connector = $2 AND o.id < $3 AND o.search_key LIKE $5 ESCAPE '\\'",
    " AND s.connector = $2 AND (SELECT o.search_key FROM credentials o WHERE o.id = s.credential) LIKE $5 ESCAPE '\\'",
    " AND s.credential < $3",
    "$4"
);

/// Parameters: viewer, id to continue below, limit.
pub const CREDENTIALS: &str = credential_page!(" AND o.id < $2", "", " AND s.credential < $2", "$3");

/// Parameters: viewer, id to continue below, limit, LIKE pattern.
pub const CREDENTIALS_FOUND: &str = credential_page!(
    " AND o.id < $2 AND o.search_key LIKE $4 ESCAPE '\\'",
    " AND (SELECT o.search_key FROM credentials o WHERE o.id = s.credential) LIKE $4 ESCAPE '\\'",
    " AND s.credential < $2",
    "$3"
);

/// Credentials that need attention. Parameters: viewer, limit.
pub const ATTENTION: &str = credential_rows!("c.status <> 'verified' AND ", access!(), " IS NOT NULL ORDER BY c.id DESC LIMIT $2");

/// One credential, whether or not the viewer may use it. Parameters: viewer, id.
pub const CREDENTIAL: &str = credential_rows!("c.id = $2");

/// Parameters: connector, owner, key of the name.
pub const CREDENTIAL_NAMED: &str = "SELECT id FROM credentials WHERE connector = $1 AND owner = $2 AND name_key = $3";

/// Names of credentials with a fingerprint. Parameters: viewer, connector, fingerprint, id to leave out.
pub const FINGERPRINT: &str = concat!(
    "SELECT c.name FROM credentials c WHERE c.connector = $2 AND c.fingerprint = $3 AND c.id <> $4 AND ",
    access!(),
    " IS NOT NULL ORDER BY c.name_key LIMIT 20"
);

/// The number of credentials visible to the viewer, counted up to the limit. Parameters: viewer, limit.
pub const VISIBLE_COUNT: &str = concat!("SELECT COUNT(*) FROM (", visible!("", "", "", "$2"), ") AS visible");

/// Newest first. Parameters: credential, limit.
pub const VERIFICATIONS: &str =
    "SELECT id, ended_at, sealed FROM verifications WHERE credential = $1 ORDER BY ended_at DESC, id DESC LIMIT $2";

/// The token, the lease and the last failure of a credential. Parameter: credential.
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

/// One resource, whether or not the viewer may use its credential. Parameters: viewer, id.
pub const RESOURCE: &str = resource_rows!("r.id = $2");

/// The resources of a kind, for a viewer who sees many credentials. Parameters: viewer, kind, id to continue
/// below, limit.
///
/// Walks through the resources until enough of them are visible to the viewer.
pub const RESOURCES: &str = resource_rows!("r.kind = $2 AND r.id < $3 AND ", access!(), " IS NOT NULL ORDER BY r.id DESC LIMIT $4");

/// The same for a viewer who sees few credentials. Parameters: viewer, kind, id to continue below, limit,
/// number of credentials.
///
/// Starts from the credentials, so that it doesn't walk through everyone else's resources.
pub const RESOURCES_OF_FEW: &str = concat!(
    resource_columns!(),
    "(SELECT id FROM (",
    visible!("", "", "", "$5"),
    ") AS few LIMIT $5) AS visible CROSS JOIN credentials c CROSS JOIN resources r
    WHERE c.id = visible.id AND r.credential = c.id AND r.kind = $2 AND r.id < $3 ORDER BY r.id DESC LIMIT $4"
);

/// Parameters: viewer, credential, limit.
pub const RESOURCES_OF_CREDENTIAL: &str = resource_rows!("r.credential = $2 ORDER BY r.id DESC LIMIT $3");

/// The number of resources that use a credential. Parameter: credential.
pub const RESOURCE_COUNT: &str = "SELECT COUNT(*) FROM resources WHERE credential = $1";

/// The resource that a form created. Parameters: form id, owner.
pub const RESOURCE_OF_FORM: &str = "SELECT id FROM resources WHERE form_id = $1 AND owner = $2";

/// The resource that one of several forms created, with the form's id. Parameters: first form, last form.
pub const RESOURCE_OF_FORMS: &str =
    "SELECT form_id, id FROM resources WHERE form_id >= $1 AND form_id <= $2 ORDER BY form_id LIMIT 1";

// CROSS JOIN, so that SQLite begins with the keys and not with all users.
macro_rules! api_key_rows {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.name, k.hint, k.scopes, k.restricted, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
            k.owner, u.email, u.name AS owner_name, u.role, u.state FROM api_keys k CROSS JOIN users u WHERE u.id = k.owner AND ",
            $rest
        )
    };
}

/// An API key with its owner. Parameter: hash.
pub const API_KEY_BY_HASH: &str = api_key_rows!("k.hash = $1");

/// An API key with its owner. Parameter: id.
pub const API_KEY: &str = api_key_rows!("k.id = $1");

/// Parameters: id to continue below, limit.
pub const API_KEYS: &str = api_key_rows!("k.id < $1 ORDER BY k.id DESC LIMIT $2");

/// The API key that a form created. Parameter: form id.
pub const API_KEY_OF_FORM: &str = "SELECT id FROM api_keys WHERE form_id = $1";

/// The resources that an API key is limited to. Parameter: key id.
pub const RESOURCES_OF_API_KEY: &str = "SELECT r.id, r.kind, r.name FROM api_key_resources k CROSS JOIN resources r
    WHERE k.api_key = $1 AND r.id = k.resource ORDER BY k.resource";

/// An active user. Parameter: key of the email address.
pub const API_KEY_OWNER: &str = "SELECT id, email, name, role FROM users WHERE email_key = $1 AND state = 'active'";

/// Active users. Parameters: key of the email address to continue above, limit.
pub const API_KEY_OWNERS: &str =
    "SELECT id, email, name, role FROM users WHERE email_key > $1 AND state = 'active' ORDER BY email_key LIMIT $2";
/// Parameters: kind, owner, key of the name.
pub const RESOURCE_NAMED: &str = "SELECT id FROM resources WHERE kind = $1 AND owner = $2 AND name_key = $3";

/// The shares of a credential, at most 1,000. Parameter: credential.
pub const SHARES: &str = "SELECT s.id, s.access, s.person, s.group_id,
    (SELECT u.name FROM users u WHERE u.id = s.person) AS person_name,
    (SELECT u.email FROM users u WHERE u.id = s.person) AS person_email,
    (SELECT g.name FROM user_groups g WHERE g.id = s.group_id) AS group_name
    FROM credential_shares s WHERE s.credential = $1 LIMIT 1000";

/// Parameters: key of the email address to begin with, limit.
pub const PEOPLE_TO_SHARE_WITH: &str =
    "SELECT email, name FROM users WHERE email_key >= $1 AND state = 'active' ORDER BY email_key LIMIT $2";

/// Parameters: key of the name to begin with, limit.
pub const GROUPS_TO_SHARE_WITH: &str = "SELECT name FROM user_groups WHERE name_key >= $1 ORDER BY name_key LIMIT $2";

/// An active user. Parameter: key of the email address.
pub const PERSON_TO_SHARE_WITH: &str = "SELECT id, email FROM users WHERE email_key = $1 AND state = 'active'";

/// Parameter: key of the name.
pub const GROUP_TO_SHARE_WITH: &str = "SELECT id, name FROM user_groups WHERE name_key = $1";

/// No parameters.
pub const AUDIT_END: &str = "SELECT seq, at, hash FROM audit_head WHERE singleton = 1";

/// The first event at or after a time. Parameter: time. Times never decrease along the trail.
pub const AUDIT_PLACE_AT: &str = "SELECT seq FROM audit_events WHERE at >= $1 ORDER BY at, seq LIMIT 1";

/// One way to filter the audit trail, in either direction. Parameters: first position, position to stop
/// before, limit, then the filters. With a filter, positions are negated as in the indexes.
#[derive(Debug, Clone, Copy)]
pub struct AuditLookup {
    pub newest_first: &'static str,
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
    // `~seq` is `-seq - 1`: the same positions, in the form that the two-column indexes use.
    (of two $wanted:literal) => {
        AuditLookup {
            newest_first: audit_rows!(concat!($wanted, " AND ~seq < $1 AND ~seq >= $2 ORDER BY ~seq")),
            oldest_first: audit_rows!(concat!($wanted, " AND ~seq < $1 AND ~seq >= $2 ORDER BY ~seq DESC")),
        }
    };
}

/// Every event.
pub const AUDIT: AuditLookup = AuditLookup {
    newest_first: audit_rows!("seq >= $1 AND seq < $2 ORDER BY seq DESC"),
    oldest_first: audit_rows!("seq >= $1 AND seq < $2 ORDER BY seq"),
};

/// Filter: actor.
pub const AUDIT_OF_ACTOR: AuditLookup = audit_lookup!("actor = $4");

/// Filter: target.
pub const AUDIT_OF_TARGET: AuditLookup = audit_lookup!("target = $4");

/// Filter: action.
pub const AUDIT_OF_ACTION: AuditLookup = audit_lookup!("action = $4");

/// Filters: actor, action.
pub const AUDIT_OF_ACTOR_AND_ACTION: AuditLookup = audit_lookup!(of two "actor = $4 AND action = $5");

/// Filters: target, action.
pub const AUDIT_OF_TARGET_AND_ACTION: AuditLookup = audit_lookup!(of two "target = $4 AND action = $5");

/// Filters: actor, target.
pub const AUDIT_OF_ACTOR_AND_TARGET: AuditLookup = audit_lookup!(of two "actor = $4 AND target = $5");

/// Filters: actor, target, action.
pub const AUDIT_OF_ALL_THREE: AuditLookup = audit_lookup!(of two "actor = $4 AND target = $5 AND action = $6");

/// Parameter: key of the email address.
pub const AUDIT_PERSON: &str = "SELECT id, email FROM users WHERE email_key = $1";

/// Email addresses in the order of their keys. Parameters: key to continue after, limit.
pub const AUDIT_PEOPLE: &str = "SELECT email FROM users WHERE email_key > $1 ORDER BY email_key LIMIT $2";

/// The credentials with a name, of all connectors and owners. Parameters: key of the name, limit.
pub const AUDIT_CREDENTIALS: &str = "SELECT c.id, c.connector, c.name, u.email AS owner FROM credentials c
    LEFT JOIN users u ON u.id = c.owner WHERE c.name_key = $1 ORDER BY c.name_key DESC, c.id DESC LIMIT $2";

macro_rules! fifty {
    () => {
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
        $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48,
        $49, $50)"
    };
}

/// The number of ids that [`AUDIT_PAGES`] takes.
pub const AUDIT_PAGES_OF: usize = 50;

/// Which of these ids are credentials or resources, and so have a page. Parameters: fifty ids.
pub const AUDIT_PAGES: &str = concat!(
    "SELECT id, 'credential' AS kind FROM credentials WHERE id IN ",
    fifty!(),
    " UNION ALL SELECT id, kind FROM resources WHERE id IN ",
    fifty!()
);
