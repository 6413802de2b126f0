-- Accounts: people, their sessions and second factors, groups, API keys, sharing, and the audit trail.
--
-- A credential and a resource get an owner. Names are unique for each owner from now on: unique among all, they would
-- tell that somebody else has one of this name. What was made before there were accounts has no owner until the first
-- administrator is made, who takes it over.
-- Drafts belong to a person instead of a browser, so that they survive a session that ran out. Those of today are dropped.
-- New words: `hash` is SHA-256 of a random secret that is not stored; `sealed` and `second_factor` open only with the keyring.

CREATE TABLE users (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email               TEXT    NOT NULL,
    -- The e-mail address by which addresses are compared: without case.
    email_key           TEXT    NOT NULL UNIQUE,
    name                TEXT    NOT NULL,
    -- What a search looks through: the keys of name and e-mail address, a line each.
    search_key          TEXT    NOT NULL DEFAULT '',
    role                TEXT    NOT NULL CHECK (role IN ('administrator', 'editor', 'operator', 'viewer')),
    state               TEXT    NOT NULL CHECK (state IN ('active', 'disabled')),
    -- A PHC string of argon2id; NULL for somebody who has none (yet).
    password            TEXT,
    second_factor       BLOB,
    -- The last time step whose code was used; none is used twice.
    second_factor_step  INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    signed_in_at        INTEGER,
    version             INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

CREATE INDEX users_of_role ON users (role, state);

-- Each can take the place of a code of the second factor, once.
CREATE TABLE recovery_codes (
    owner  BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (owner, hash)
) STRICT;

-- Who somebody is at a provider of single sign-on.
CREATE TABLE identities (
    issuer   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    owner    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) STRICT;

CREATE INDEX identities_of_user ON identities (owner);

-- A link with which somebody chooses a password, once. A new one replaces the one before.
CREATE TABLE password_links (
    owner       BLOB    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash        BLOB    NOT NULL UNIQUE,
    expires_at  INTEGER NOT NULL
) STRICT;

-- Failed sign-ins of an account, an address or a device. `bucket` is a keyed hash of which.
CREATE TABLE sign_in_limits (
    bucket         BLOB    NOT NULL PRIMARY KEY,
    failures       INTEGER NOT NULL,
    blocked_until  INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_in_limits_by_age ON sign_in_limits (updated_at);

CREATE TABLE user_groups (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT    NOT NULL,
    name_key    TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE group_members (
    group_id  BLOB    NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    member    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, member)
) STRICT;

CREATE INDEX groups_of_member ON group_members (member, group_id);

DROP TABLE drafts;
DROP TABLE sessions;

-- A browser that somebody signed in with. One that ran out is kept for a while, so that what was typed in it is not lost.
CREATE TABLE sessions (
    hash        BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    -- What names it where it is listed and ended.
    id          BLOB    NOT NULL UNIQUE,
    owner       BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- `second_factor`: the password was right and the code is still missing.
    stage       TEXT    NOT NULL CHECK (stage IN ('second_factor', 'signed_in')),
    method      TEXT    NOT NULL CHECK (method IN ('password', 'single_sign_on', 'link')),
    address     TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    -- When it was last used, to the minute.
    used_at     INTEGER NOT NULL,
    -- When it ends however much it is used.
    expires_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_of_user ON sessions (owner, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_use ON sessions (used_at);

-- SQLite changes no constraint of a table: the tables are made anew, those that refer to others before those they refer to.
CREATE TABLE credentials_2 (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    connector    TEXT    NOT NULL,
    owner        BLOB    REFERENCES users (id),
    name         TEXT    NOT NULL,
    -- The name by which names are compared: without case and compatible forms.
    name_key     TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    -- What a search looks through: the keys of name and description, a line each.
    search_key   TEXT    NOT NULL,
    -- A keyed hash of what identifies the account; equal ones are likely duplicates.
    fingerprint  BLOB    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('verified', 'rejected', 'unreachable')),
    verified_at  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL CHECK (version >= 1),
    -- `everyone`: open to all for use.
    sharing      TEXT    NOT NULL CHECK (sharing IN ('private', 'everyone')),
    UNIQUE (connector, owner, name_key),
    -- The order of the tiles, and what a resource refers to.
    UNIQUE (connector, id)
) STRICT;

INSERT INTO credentials_2 (id, connector, owner, name, name_key, description, search_key, fingerprint, status, verified_at,
        created_at, version, sharing)
    SELECT id, connector, NULL, name, name_key, description, search_key, fingerprint, status, verified_at, created_at, version,
        'private' FROM credentials;

CREATE TABLE credential_secrets_2 (
    credential   BLOB    NOT NULL REFERENCES credentials_2 (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL CHECK (version >= 1),
    state        TEXT    NOT NULL CHECK (state IN ('staged', 'active', 'retired')),
    created_at   INTEGER NOT NULL,
    key_id       TEXT    NOT NULL,
    wrapped_key  BLOB    NOT NULL,
    ciphertext   BLOB    NOT NULL,
    PRIMARY KEY (credential, version)
) STRICT;

INSERT INTO credential_secrets_2 SELECT * FROM credential_secrets;

CREATE TABLE verifications_2 (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    credential   BLOB    NOT NULL REFERENCES credentials_2 (id) ON DELETE CASCADE,
    ended_at     INTEGER NOT NULL,
    stage        TEXT    NOT NULL CHECK (stage IN ('input', 'address', 'connection', 'tls', 'http', 'oauth', 'token', 'probe')),
    outcome      TEXT    NOT NULL CHECK (outcome IN ('verified', 'rejected', 'unreachable')),
    duration_ms  INTEGER NOT NULL,
    sealed       BLOB    NOT NULL
) STRICT;

INSERT INTO verifications_2 SELECT * FROM verifications;

CREATE TABLE access_tokens_2 (
    credential   BLOB    NOT NULL PRIMARY KEY REFERENCES credentials_2 (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL,
    sealed       BLOB    NOT NULL,
    -- Until when it is used: the end that the service named, less a margin.
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO access_tokens_2 SELECT * FROM access_tokens;

CREATE TABLE resources_2 (
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner             BLOB    REFERENCES users (id),
    kind              TEXT    NOT NULL CHECK (kind IN ('source', 'destination')),
    name              TEXT    NOT NULL,
    name_key          TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    connector         TEXT    NOT NULL,
    credential        BLOB    NOT NULL,
    endpoint          BLOB    NOT NULL,
    -- The version that the endpoint is sealed for; it does not grow when only the credential changes.
    endpoint_version  INTEGER NOT NULL CHECK (endpoint_version >= 1),
    created_at        INTEGER NOT NULL,
    version           INTEGER NOT NULL CHECK (version >= 1),
    -- The form that made it; the same form sent again makes no second one.
    form_id           BLOB    NOT NULL UNIQUE CHECK (length(form_id) = 16),
    UNIQUE (kind, owner, name_key),
    UNIQUE (kind, id),
    -- Both columns: a resource can only use a credential of its own connector. NO ACTION refuses to delete a credential
    -- that is in use, as RESTRICT would, which SQLite reports as if a trigger had failed.
    FOREIGN KEY (connector, credential) REFERENCES credentials_2 (connector, id) ON DELETE NO ACTION
) STRICT;

INSERT INTO resources_2 (id, owner, kind, name, name_key, description, connector, credential, endpoint, endpoint_version,
        created_at, version, form_id)
    SELECT id, NULL, kind, name, name_key, description, connector, credential, endpoint, endpoint_version, created_at, version,
        form_id FROM resources;

DROP TABLE resources;
DROP TABLE access_tokens;
DROP TABLE verifications;
DROP TABLE credential_secrets;
DROP TABLE credentials;
ALTER TABLE credentials_2 RENAME TO credentials;
ALTER TABLE credential_secrets_2 RENAME TO credential_secrets;
ALTER TABLE verifications_2 RENAME TO verifications;
ALTER TABLE access_tokens_2 RENAME TO access_tokens;
ALTER TABLE resources_2 RENAME TO resources;

CREATE INDEX credentials_by_fingerprint ON credentials (connector, fingerprint);
CREATE INDEX credentials_needing_attention ON credentials (id) WHERE status <> 'verified';
CREATE UNIQUE INDEX one_active_secret ON credential_secrets (credential) WHERE state = 'active';
CREATE INDEX verifications_of_credential ON verifications (credential, ended_at, id);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);
CREATE INDEX resources_of_credential ON resources (credential, id);
CREATE INDEX resources_of_owner ON resources (owner, id);

CREATE INDEX credentials_by_name ON credentials (name_key, id);
CREATE INDEX credentials_of_owner ON credentials (owner, connector, id);
CREATE INDEX credentials_of_owner_by_age ON credentials (owner, id);
CREATE INDEX credentials_for_everyone ON credentials (connector, id) WHERE sharing = 'everyone';
CREATE INDEX credentials_for_everyone_by_age ON credentials (id) WHERE sharing = 'everyone';

-- Who else may use or manage a credential: a person or a group.
CREATE TABLE credential_shares (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    credential  BLOB    NOT NULL,
    -- That of the credential, so that the tiles of a connector are found without looking at it.
    connector   TEXT    NOT NULL,
    person      BLOB    REFERENCES users (id) ON DELETE CASCADE,
    group_id    BLOB    REFERENCES user_groups (id) ON DELETE CASCADE,
    access      TEXT    NOT NULL CHECK (access IN ('use', 'manage')),
    CHECK ((person IS NULL) <> (group_id IS NULL)),
    UNIQUE (credential, person),
    UNIQUE (credential, group_id),
    FOREIGN KEY (connector, credential) REFERENCES credentials (connector, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX shares_of_person ON credential_shares (person, connector, credential);
CREATE INDEX shares_of_group ON credential_shares (group_id, connector, credential);
-- The same without regard to the connector, for the page of all credentials.
CREATE INDEX shares_of_person_by_age ON credential_shares (person, credential);
CREATE INDEX shares_of_group_by_age ON credential_shares (group_id, credential);

CREATE TABLE drafts (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner        BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connector    TEXT    NOT NULL,
    -- Deferred, since the draft is claimed before its credential is stored.
    credential   BLOB    REFERENCES credentials (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sealed       BLOB,
    version      INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    CHECK ((credential IS NULL) = (sealed IS NOT NULL))
) STRICT;

CREATE INDEX drafts_of_owner ON drafts (owner, connector, updated_at);
CREATE INDEX drafts_of_credential ON drafts (credential) WHERE credential IS NOT NULL;
CREATE INDEX drafts_by_expiry ON drafts (expires_at);

CREATE TABLE api_keys (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Whose rights it has at most.
    owner         BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    -- Its first letters, by which people know it.
    hint          TEXT    NOT NULL,
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- Words, separated by spaces.
    scopes        TEXT    NOT NULL,
    -- 1 if it is only for the resources of `api_key_resources`.
    restricted    INTEGER NOT NULL CHECK (restricted IN (0, 1)),
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    -- To the minute.
    last_used_at  INTEGER,
    revoked_at    INTEGER,
    -- The form that made it; the same form sent again makes no second one.
    form_id       BLOB    NOT NULL UNIQUE CHECK (length(form_id) = 16)
) STRICT;

CREATE INDEX api_keys_of_owner ON api_keys (owner, id);

CREATE TABLE api_key_resources (
    api_key   BLOB    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    resource  BLOB    NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    PRIMARY KEY (api_key, resource)
) STRICT;

CREATE INDEX keys_of_resource ON api_key_resources (resource);

-- One row. Grows with every change of who may do what, so that each instance forgets what it remembers of it.
CREATE TABLE access_epoch (
    singleton  INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value      INTEGER NOT NULL
) STRICT;

INSERT INTO access_epoch (singleton, value) VALUES (1, 1);

-- Who did what. Each row's `hash` is a keyed hash of the row and of the hash before it. Rows are only ever added.
CREATE TABLE audit_events (
    seq          INTEGER NOT NULL PRIMARY KEY,
    at           INTEGER NOT NULL,
    actor_kind   TEXT    NOT NULL CHECK (actor_kind IN ('person', 'api_key', 'server', 'nobody')),
    actor        BLOB,
    actor_name   TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    target_kind  TEXT,
    target       BLOB,
    target_name  TEXT    NOT NULL,
    outcome      TEXT    NOT NULL CHECK (outcome IN ('done', 'failed', 'refused')),
    address      TEXT    NOT NULL,
    request      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_by_time ON audit_events (at, seq);
-- By the place counted backwards, so that no other index has this order: PostgreSQL would often rather walk the whole
-- trail from its end and leave out what does not match, which for events that were frequent once is all of it. In another
-- way where two things are searched for, so that SQLite does not take the index of one of them for the smaller one.
CREATE INDEX audit_by_action ON audit_events (action, (-seq));
CREATE INDEX audit_by_actor ON audit_events (actor, (-seq));
CREATE INDEX audit_by_actor_and_action ON audit_events (actor, action, (~seq));
CREATE INDEX audit_by_target ON audit_events (target, (-seq));
CREATE INDEX audit_by_target_and_action ON audit_events (target, action, (~seq));
-- The action last: what one person did to one thing is found in order, and of one action without reading the rows.
CREATE INDEX audit_by_actor_and_target ON audit_events (actor, target, (~seq), action);

-- One row: the end of the chain.
CREATE TABLE audit_head (
    singleton  INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    hash       BLOB    NOT NULL
) STRICT;

INSERT INTO audit_head (singleton, seq, at, hash) VALUES (1, 0, 0, zeroblob(32));
