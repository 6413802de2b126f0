-- History: who used a credential, and how that ended. Ids, words and numbers; names are looked up when it is shown.

-- Uses that differ in nothing but their moment, by the minute. `minute` is its beginning, in milliseconds since the
-- epoch; `resource` and `asker_id` are the nil id where there is none; times are in microseconds.
CREATE TABLE history (
    credential     UUID    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    minute         BIGINT  NOT NULL,
    resource       UUID    NOT NULL,
    asker          TEXT    NOT NULL CHECK (asker IN ('key', 'person', 'keytile')),
    asker_id       UUID    NOT NULL,
    action         TEXT    NOT NULL CHECK (action IN ('request', 'token', 'preview', 'fetch', 'verification')),
    token          TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    success        TEXT    NOT NULL CHECK (success IN ('done', 'refused', 'failed')),
    uses           BIGINT  NOT NULL,
    micros         BIGINT  NOT NULL,
    longest        BIGINT  NOT NULL,
    last_at        BIGINT  NOT NULL,
    PRIMARY KEY (credential, minute, resource, asker, asker_id, action, token, outcome)
);

CREATE INDEX history_by_resource ON history (resource, minute);
CREATE INDEX history_by_minute ON history (minute);

-- The same as counts by the hour, kept for longer. `within_10` and the like say how many requests took up to so many
-- milliseconds and longer than the bound before, `beyond` how many took longer than all.
CREATE TABLE history_hours (
    credential     UUID    NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    hour           BIGINT  NOT NULL,
    resource       UUID    NOT NULL,
    requests       BIGINT  NOT NULL,
    refused        BIGINT  NOT NULL,
    failed         BIGINT  NOT NULL,
    cached         BIGINT  NOT NULL,
    fetches        BIGINT  NOT NULL,
    failed_fetches BIGINT  NOT NULL,
    within_5       BIGINT  NOT NULL,
    within_10      BIGINT  NOT NULL,
    within_25      BIGINT  NOT NULL,
    within_50      BIGINT  NOT NULL,
    within_100     BIGINT  NOT NULL,
    within_250     BIGINT  NOT NULL,
    within_500     BIGINT  NOT NULL,
    within_1000    BIGINT  NOT NULL,
    within_2500    BIGINT  NOT NULL,
    within_10000   BIGINT  NOT NULL,
    beyond         BIGINT  NOT NULL,
    PRIMARY KEY (credential, hour, resource)
);

CREATE INDEX history_hours_by_resource ON history_hours (resource, hour);
CREATE INDEX history_hours_by_hour ON history_hours (hour);
