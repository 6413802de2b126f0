-- What Keytile needs for credentials and the resources that use them.
--
-- Readable are names, descriptions, times, ids and words of fixed lists. Everything else is sealed: `sealed`,
-- `ciphertext` and `endpoint` open only with the keyring, and only in the row they were made for.
-- Times are milliseconds since 1970-01-01T00:00:00Z. Ids are UUIDs of version 7, so that they sort by age.

-- One row: the check value that tells whether the keyring belongs to this database.
CREATE TABLE installation (
    singleton   BIGINT  NOT NULL PRIMARY KEY CHECK (singleton = 1),
    created_at  BIGINT  NOT NULL,
    sealed      BYTEA   NOT NULL
);

-- A browser. Kept is a hash of its token, so that the table cannot be used to take over a session.
CREATE TABLE sessions (
    hash        BYTEA   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL
);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE credentials (
    id           UUID    NOT NULL PRIMARY KEY,
    connector    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    -- The name by which names are compared: without case and compatible forms.
    name_key     TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    -- What a search looks through: the keys of name and description, a line each.
    search_key   TEXT    NOT NULL,
    -- A keyed hash of what identifies the account; equal ones are likely duplicates.
    fingerprint  BYTEA   NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('verified', 'rejected', 'unreachable')),
    verified_at  BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    version      BIGINT  NOT NULL CHECK (version >= 1),
    UNIQUE (connector, name_key),
    -- The order of the tiles, and what a resource refers to.
    UNIQUE (connector, id)
);

CREATE INDEX credentials_by_fingerprint ON credentials (connector, fingerprint);
CREATE INDEX credentials_needing_attention ON credentials (id) WHERE status <> 'verified';

CREATE TABLE credential_secrets (
    credential   UUID    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    version      BIGINT  NOT NULL CHECK (version >= 1),
    state        TEXT    NOT NULL CHECK (state IN ('staged', 'active', 'retired')),
    created_at   BIGINT  NOT NULL,
    key_id       TEXT    NOT NULL,
    wrapped_key  BYTEA   NOT NULL,
    ciphertext   BYTEA   NOT NULL,
    PRIMARY KEY (credential, version)
);

CREATE UNIQUE INDEX one_active_secret ON credential_secrets (credential) WHERE state = 'active';

-- What was typed into an overlay. Once saved it holds nothing but which credential it became, so that the same form
-- sent again does not make a second one.
CREATE TABLE drafts (
    id           UUID    NOT NULL PRIMARY KEY,
    session      BYTEA   NOT NULL REFERENCES sessions (hash) ON DELETE CASCADE,
    connector    TEXT    NOT NULL,
    -- Deferred, since the draft is claimed before its credential is stored.
    credential   UUID    REFERENCES credentials (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sealed       BYTEA,
    version      BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    expires_at   BIGINT  NOT NULL,
    CHECK ((credential IS NULL) = (sealed IS NOT NULL))
);

CREATE INDEX drafts_of_session ON drafts (session, connector, updated_at);
CREATE INDEX drafts_of_credential ON drafts (credential) WHERE credential IS NOT NULL;
CREATE INDEX drafts_by_expiry ON drafts (expires_at);

CREATE TABLE verifications (
    id           UUID    NOT NULL PRIMARY KEY,
    credential   UUID    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    ended_at     BIGINT  NOT NULL,
    stage        TEXT    NOT NULL CHECK (stage IN ('input', 'address', 'connection', 'tls', 'http', 'oauth', 'token', 'probe')),
    outcome      TEXT    NOT NULL CHECK (outcome IN ('verified', 'rejected', 'unreachable')),
    duration_ms  BIGINT  NOT NULL,
    sealed       BYTEA   NOT NULL
);

CREATE INDEX verifications_of_credential ON verifications (credential, ended_at, id);

CREATE TABLE access_tokens (
    credential   UUID    NOT NULL PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    version      BIGINT  NOT NULL,
    sealed       BYTEA   NOT NULL,
    -- Until when it is used: the end that the service named, less a margin.
    expires_at   BIGINT  NOT NULL
);

CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE resources (
    id                UUID    NOT NULL PRIMARY KEY,
    kind              TEXT    NOT NULL CHECK (kind IN ('source', 'destination')),
    name              TEXT    NOT NULL,
    name_key          TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    connector         TEXT    NOT NULL,
    credential        UUID    NOT NULL,
    endpoint          BYTEA   NOT NULL,
    -- The version that the endpoint is sealed for; it does not grow when only the credential changes.
    endpoint_version  BIGINT  NOT NULL CHECK (endpoint_version >= 1),
    created_at        BIGINT  NOT NULL,
    version           BIGINT  NOT NULL CHECK (version >= 1),
    -- The form that made it; the same form sent again makes no second one.
    form_id           UUID    NOT NULL UNIQUE,
    UNIQUE (kind, name_key),
    UNIQUE (kind, id),
    -- Both columns: a resource can only use a credential of its own connector. NO ACTION refuses to delete a credential
    -- that is in use, as RESTRICT would, which SQLite reports as if a trigger had failed.
    FOREIGN KEY (connector, credential) REFERENCES credentials (connector, id) ON DELETE NO ACTION
);

CREATE INDEX resources_of_credential ON resources (credential, id);
