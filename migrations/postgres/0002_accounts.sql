-- Accounts: people, their sessions and second factors, groups, API keys, sharing, and the audit trail.
--
-- A credential and a resource get an owner. Names are unique for each owner from now on: unique among all, they would
-- tell that somebody else has one of this name. What was made before there were accounts has no owner until the first
-- administrator is made, who takes it over.
-- Drafts belong to a person instead of a browser, so that they survive a session that ran out. Those of today are dropped.
-- New words: `hash` is SHA-256 of a random secret that is not stored; `sealed` and `second_factor` open only with the keyring.

CREATE TABLE users (
    id                  UUID    NOT NULL PRIMARY KEY,
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
    second_factor       BYTEA,
    -- The last time step whose code was used; none is used twice.
    second_factor_step  BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    signed_in_at        BIGINT,
    version             BIGINT  NOT NULL CHECK (version >= 1)
);

CREATE INDEX users_of_role ON users (role, state);

-- Each can take the place of a code of the second factor, once.
CREATE TABLE recovery_codes (
    owner  UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash   BYTEA   NOT NULL,
    PRIMARY KEY (owner, hash)
);

-- Who somebody is at a provider of single sign-on.
CREATE TABLE identities (
    issuer   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    owner    UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identities_of_user ON identities (owner);

-- A link with which somebody chooses a password, once. A new one replaces the one before.
CREATE TABLE password_links (
    owner       UUID    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash        BYTEA   NOT NULL UNIQUE,
    expires_at  BIGINT  NOT NULL
);

-- Failed sign-ins of an account, an address or a device. `bucket` is a keyed hash of which.
CREATE TABLE sign_in_limits (
    bucket         BYTEA   NOT NULL PRIMARY KEY,
    failures       BIGINT  NOT NULL,
    blocked_until  BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);

CREATE INDEX sign_in_limits_by_age ON sign_in_limits (updated_at);

CREATE TABLE user_groups (
    id          UUID    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    name_key    TEXT    NOT NULL UNIQUE,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE group_members (
    group_id  UUID    NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    member    UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, member)
);

CREATE INDEX groups_of_member ON group_members (member, group_id);

DROP TABLE drafts;
DROP TABLE sessions;

-- A browser that somebody signed in with. One that ran out is kept for a while, so that what was typed in it is not lost.
CREATE TABLE sessions (
    hash        BYTEA   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    -- What names it where it is listed and ended.
    id          UUID    NOT NULL UNIQUE,
    owner       UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- `second_factor`: the password was right and the code is still missing.
    stage       TEXT    NOT NULL CHECK (stage IN ('second_factor', 'signed_in')),
    method      TEXT    NOT NULL CHECK (method IN ('password', 'single_sign_on', 'link')),
    address     TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    -- When it was last used, to the minute.
    used_at     BIGINT  NOT NULL,
    -- When it ends however much it is used.
    expires_at  BIGINT  NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (owner, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_use ON sessions (used_at);

ALTER TABLE credentials
    ADD COLUMN owner UUID    REFERENCES users (id),
    -- `everyone`: open to all for use.
    ADD COLUMN sharing TEXT NOT NULL DEFAULT 'private' CHECK (sharing IN ('private', 'everyone')),
    DROP CONSTRAINT credentials_connector_name_key_key,
    ADD UNIQUE (connector, owner, name_key);
ALTER TABLE credentials ALTER COLUMN sharing DROP DEFAULT;

ALTER TABLE resources
    ADD COLUMN owner UUID    REFERENCES users (id),
    DROP CONSTRAINT resources_kind_name_key_key,
    ADD UNIQUE (kind, owner, name_key);

CREATE INDEX resources_of_owner ON resources (owner, id);

CREATE INDEX credentials_by_name ON credentials (name_key, id);
CREATE INDEX credentials_of_owner ON credentials (owner, connector, id);
CREATE INDEX credentials_of_owner_by_age ON credentials (owner, id);
CREATE INDEX credentials_for_everyone ON credentials (connector, id) WHERE sharing = 'everyone';
CREATE INDEX credentials_for_everyone_by_age ON credentials (id) WHERE sharing = 'everyone';

-- Who else may use or manage a credential: a person or a group.
CREATE TABLE credential_shares (
    id          UUID    NOT NULL PRIMARY KEY,
    credential  UUID    NOT NULL,
    -- That of the credential, so that the tiles of a connector are found without looking at it.
    connector   TEXT    NOT NULL,
    person      UUID    REFERENCES users (id) ON DELETE CASCADE,
    group_id    UUID    REFERENCES user_groups (id) ON DELETE CASCADE,
    access      TEXT    NOT NULL CHECK (access IN ('use', 'manage')),
    CHECK ((person IS NULL) <> (group_id IS NULL)),
    UNIQUE (credential, person),
    UNIQUE (credential, group_id),
    FOREIGN KEY (connector, credential) REFERENCES credentials (connector, id) ON DELETE CASCADE
);

CREATE INDEX shares_of_person ON credential_shares (person, connector, credential);
CREATE INDEX shares_of_group ON credential_shares (group_id, connector, credential);
-- The same without regard to the connector, for the page of all credentials.
CREATE INDEX shares_of_person_by_age ON credential_shares (person, credential);
CREATE INDEX shares_of_group_by_age ON credential_shares (group_id, credential);

CREATE TABLE drafts (
    id           UUID    NOT NULL PRIMARY KEY,
    owner        UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connector    TEXT    NOT NULL,
    -- Deferred, since the draft is claimed before its credential is stored.
    credential   UUID    REFERENCES credentials (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sealed       BYTEA,
    version      BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    CHECK ((credential IS NULL) = (sealed IS NOT NULL))
);

CREATE INDEX drafts_of_owner ON drafts (owner, connector, updated_at);
CREATE INDEX drafts_of_credential ON drafts (credential) WHERE credential IS NOT NULL;
CREATE INDEX drafts_by_expiry ON drafts (expires_at);

CREATE TABLE api_keys (
    id            UUID    NOT NULL PRIMARY KEY,
    -- Whose rights it has at most.
    owner         UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    -- Its first letters, by which people know it.
    hint          TEXT    NOT NULL,
    hash          BYTEA   NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- Words, separated by spaces.
    scopes        TEXT    NOT NULL,
    -- 1 if it is only for the resources of `api_key_resources`.
    restricted    BIGINT  NOT NULL CHECK (restricted IN (0, 1)),
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT,
    -- To the minute.
    last_used_at  BIGINT,
    revoked_at    BIGINT,
    -- The form that made it; the same form sent again makes no second one.
    form_id       UUID    NOT NULL UNIQUE
);

CREATE INDEX api_keys_of_owner ON api_keys (owner, id);

CREATE TABLE api_key_resources (
    api_key   UUID    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    resource  UUID    NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    PRIMARY KEY (api_key, resource)
);

CREATE INDEX keys_of_resource ON api_key_resources (resource);

-- One row. Grows with every change of who may do what, so that each instance forgets what it remembers of it.
CREATE TABLE access_epoch (
    singleton  BIGINT  NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value      BIGINT  NOT NULL
);

INSERT INTO access_epoch (singleton, value) VALUES (1, 1);

-- Who did what. Each row's `hash` is a keyed hash of the row and of the hash before it. Rows are only ever added.
CREATE TABLE audit_events (
    seq          BIGINT  NOT NULL PRIMARY KEY,
    at           BIGINT  NOT NULL,
    actor_kind   TEXT    NOT NULL CHECK (actor_kind IN ('person', 'api_key', 'server', 'nobody')),
    actor        UUID,
    actor_name   TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    target_kind  TEXT,
    target       UUID,
    target_name  TEXT    NOT NULL,
    outcome      TEXT    NOT NULL CHECK (outcome IN ('done', 'failed', 'refused')),
    address      TEXT    NOT NULL,
    request      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    hash         BYTEA   NOT NULL CHECK (length(hash) = 32)
);

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
    singleton  BIGINT  NOT NULL PRIMARY KEY CHECK (singleton = 1),
    seq        BIGINT  NOT NULL,
    at         BIGINT  NOT NULL,
    hash       BYTEA   NOT NULL
);

INSERT INTO audit_head (singleton, seq, at, hash) VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'));
