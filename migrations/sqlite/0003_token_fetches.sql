-- Who fetches an access token at the moment, and what came of the last try. One row a credential, so that of many
-- instances one asks the service, and none asks again before its time, not even after a restart.

CREATE TABLE token_fetches (
    credential   BLOB    NOT NULL PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    -- The version that was fetched for. What was found out for one says nothing of another.
    version      INTEGER NOT NULL,
    -- A random id of the fetch that is under way; NULL where there is none.
    holder       BLOB CHECK (holder IS NULL OR length(holder) = 16),
    -- When the fetch counts as given up.
    lease_until  INTEGER NOT NULL,
    -- How the last try failed; NULL where it did not.
    class        TEXT    CHECK (class IN ('rejected', 'limited', 'unavailable')),
    failures     INTEGER NOT NULL,
    -- When the next try may be.
    retry_at     INTEGER NOT NULL,
    -- Why, sealed.
    sealed       BLOB
) STRICT, WITHOUT ROWID;
