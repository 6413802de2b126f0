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

/// How many active administrators there are, at most 1. No parameters.
pub const ANY_ADMINISTRATOR: &str =
    "SELECT COUNT(*) FROM (SELECT id FROM users WHERE role = 'administrator' AND state = 'active' LIMIT 1) AS found";

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
pub const USER_TO_SIGN_IN: &str = "SELECT id, email, name, role, state, password,
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
