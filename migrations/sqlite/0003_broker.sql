-- The broker: when a token is replaced, who fetches the next one, and why there is none.

-- `expires_at` is from now on the end that the service named. What is here already ended a little earlier, and counts
-- as due: 0 lies before every moment.
ALTER TABLE access_tokens ADD COLUMN refresh_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_tokens ADD COLUMN fetched_at INTEGER NOT NULL DEFAULT 0;

-- The fetch of a credential's token. `holder` is a random id of the fetch that is under way; `lease_until` is when
-- another may take its place. The rest is about the last failure: `class` is NULL while there is none, `pause` is for
-- how long there is no try, in milliseconds, and `sealed` is the diagnosis.
CREATE TABLE token_fetches (
    credential   BLOB    NOT NULL PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL CHECK (version >= 1),
    holder       BLOB,
    lease_until  INTEGER NOT NULL,
    class        TEXT    CHECK (class IN ('rejected', 'limited', 'unavailable')),
    failures     INTEGER NOT NULL,
    retry_at     INTEGER NOT NULL,
    pause        INTEGER NOT NULL,
    sealed       BLOB,
    CHECK ((class IS NULL) = (sealed IS NULL))
) STRICT, WITHOUT ROWID;
