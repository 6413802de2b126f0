-- History: who used a credential, and how that ended. Ids, words and numbers; names are looked up when it is shown.

-- Uses that differ in nothing but their moment, by the minute. `minute` is its beginning, in milliseconds since the
-- epoch; `resource` and `asker_id` are the nil id where there is none; times are in microseconds.
CREATE TABLE history (
    credential     BLOB    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    minute         INTEGER NOT NULL,
    resource       BLOB    NOT NULL,
    asker          TEXT    NOT NULL CHECK (asker IN ('key', 'person', 'keytile')),
    asker_id       BLOB    NOT NULL,
    action         TEXT    NOT NULL CHECK (action IN ('request', 'token', 'preview', 'fetch', 'verification')),
    token          TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    success        TEXT    NOT NULL CHECK (success IN ('done', 'refused', 'failed')),
    uses           INTEGER NOT NULL,
    micros         INTEGER NOT NULL,
    longest        INTEGER NOT NULL,
    last_at        INTEGER NOT NULL,
    PRIMARY KEY (credential, minute, resource, asker, asker_id, action, token, outcome)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_by_resource ON history (resource, minute);
CREATE INDEX history_by_minute ON history (minute);

-- The same as counts by the hour, kept for longer. `within_10` and the like say how many requests took up to so many
-- milliseconds and longer than the bound before, `beyond` how many took longer than all.
CREATE TABLE history_hours (
    credential     BLOB    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    hour           INTEGER NOT NULL,
    resource       BLOB    NOT NULL,
    requests       INTEGER NOT NULL,
    refused        INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    cached         INTEGER NOT NULL,
    fetches        INTEGER NOT NULL,
    failed_fetches INTEGER NOT NULL,
    within_5       INTEGER NOT NULL,
    within_10      INTEGER NOT NULL,
    within_25      INTEGER NOT NULL,
    within_50      INTEGER NOT NULL,
    within_100     INTEGER NOT NULL,
    within_250     INTEGER NOT NULL,
    within_500     INTEGER NOT NULL,
    within_1000    INTEGER NOT NULL,
    within_2500    INTEGER NOT NULL,
    within_10000   INTEGER NOT NULL,
    beyond         INTEGER NOT NULL,
    PRIMARY KEY (credential, hour, resource)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_hours_by_resource ON history_hours (resource, hour);
CREATE INDEX history_hours_by_hour ON history_hours (hour);
