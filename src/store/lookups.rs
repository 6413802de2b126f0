//! The statements that read. They stand together and are public so that the tests can ask both
//! databases how they would run them: none may read a whole table.
//!
//! Pages are cut by key: `id < $n`, newest first, so that a page is as quick at the end of the list
//! as at its beginning, and nothing is shown twice when something is added meanwhile.

/// A sign of life.
pub const PING: &str = "SELECT CAST(1 AS BIGINT)";

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
            CAST(CASE WHEN second_factor IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_second_factor, created_at, signed_in_at
            FROM users ",
            $rest
        )
    };
}

/// One account: its id.
pub const USER: &str = user_rows!("WHERE id = $1");

/// The access epoch. No parameters.
pub const ACCESS_EPOCH: &str = "SELECT value FROM access_epoch WHERE singleton = 1";

/// A session with its account: its hash.
pub const SESSION: &str = "SELECT s.id, s.stage, s.method, s.used_at, s.expires_at, s.owner, u.email, u.name, u.role, u.state
    FROM sessions s JOIN users u ON u.id = s.owner WHERE s.hash = $1";

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

// CROSS JOIN, because SQLite then reads the tables in this order: it would sometimes begin with all
// secrets. To PostgreSQL it is a join like any other.
macro_rules! credential_rows {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.connector, c.name, c.description, c.status, c.verified_at, c.created_at, c.version,
            s.key_id, s.wrapped_key, s.ciphertext,
            (SELECT COUNT(*) FROM resources r WHERE r.credential = c.id) AS used_by
            FROM credentials c CROSS JOIN credential_secrets s WHERE s.credential = c.id AND s.state = 'active' AND ",
            $rest
        )
    };
}

/// The tiles of a connector: connector, id to go on below, limit.
pub const TILES: &str = credential_rows!("c.connector = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3");

/// The tiles of a connector that match a search: connector, id to go on below, limit, LIKE pattern.
pub const TILES_FOUND: &str =
    credential_rows!("c.connector = $1 AND c.id < $2 AND c.search_key LIKE $4 ESCAPE '\\' ORDER BY c.id DESC LIMIT $3");

/// All credentials: id to go on below, limit.
pub const CREDENTIALS: &str = credential_rows!("c.id < $1 ORDER BY c.id DESC LIMIT $2");

/// All credentials that match a search: id to go on below, limit, LIKE pattern.
pub const CREDENTIALS_FOUND: &str = credential_rows!("c.id < $1 AND c.search_key LIKE $3 ESCAPE '\\' ORDER BY c.id DESC LIMIT $2");

/// Credentials that somebody should look at: limit.
pub const ATTENTION: &str = credential_rows!("c.status <> 'verified' ORDER BY c.id DESC LIMIT $1");

/// One credential: its id.
pub const CREDENTIAL: &str = credential_rows!("c.id = $1");

/// The credential of a name: connector, owner, key of the name.
pub const CREDENTIAL_NAMED: &str = "SELECT id FROM credentials WHERE connector = $1 AND owner = $2 AND name_key = $3";

/// Names of credentials with a fingerprint: connector, fingerprint, id of one to leave out.
pub const FINGERPRINT: &str =
    "SELECT name FROM credentials WHERE connector = $1 AND fingerprint = $2 AND id <> $3 ORDER BY name_key LIMIT 20";

/// The verifications of a credential, newest first: credential, limit.
pub const VERIFICATIONS: &str =
    "SELECT id, ended_at, sealed FROM verifications WHERE credential = $1 ORDER BY ended_at DESC, id DESC LIMIT $2";

/// The access token of a credential: credential.
pub const ACCESS_TOKEN: &str = "SELECT version, sealed, expires_at FROM access_tokens WHERE credential = $1";

macro_rules! resource_rows {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.kind, r.name, r.description, r.connector, r.credential, r.endpoint, r.endpoint_version, r.created_at, r.version, ",
            "c.name AS credential_name, c.status AS credential_status FROM resources r JOIN credentials c ON c.id = r.credential ",
            $rest
        )
    };
}

/// One resource: its id.
pub const RESOURCE: &str = resource_rows!("WHERE r.id = $1");

/// The resources of a kind: kind, id to go on below, limit.
pub const RESOURCES: &str = resource_rows!("WHERE r.kind = $1 AND r.id < $2 ORDER BY r.id DESC LIMIT $3");

/// The resources that use a credential: credential, limit.
pub const RESOURCES_OF_CREDENTIAL: &str = resource_rows!("WHERE r.credential = $1 ORDER BY r.id DESC LIMIT $2");

/// How many resources use a credential: credential.
pub const RESOURCE_COUNT: &str = "SELECT COUNT(*) FROM resources WHERE credential = $1";

/// The resource that a form made: the form's id, its owner.
pub const RESOURCE_OF_FORM: &str = "SELECT id FROM resources WHERE form_id = $1 AND owner = $2";

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
