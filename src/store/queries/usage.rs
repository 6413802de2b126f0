//! The statements that read the usage history.

macro_rules! uses {
    ($column:literal, $rest:literal) => {
        concat!(
            "SELECT h.minute, h.resource, r.kind AS resource_kind, r.name AS resource_name, h.asker, h.asker_id, k.name AS key_name,
                u.id AS account, u.name AS account_name, h.action, h.token, h.outcome, h.success, h.uses, h.micros, h.longest,
                h.last_at
            FROM history h LEFT JOIN resources r ON r.id = h.resource
            LEFT JOIN api_keys k ON h.asker = 'key' AND k.id = h.asker_id
            LEFT JOIN users u ON u.id = COALESCE(k.owner, h.asker_id)
            WHERE h.",
            $column,
            " = $1 AND h.minute < $2 ",
            $rest,
            "ORDER BY h.minute DESC LIMIT $3"
        )
    };
}

/// Newest first. Parameters: credential, minute to continue below, limit.
pub const HISTORY_OF_CREDENTIAL: &str = uses!("credential", "");

/// The same without successful uses.
pub const PROBLEMS_OF_CREDENTIAL: &str = uses!("credential", "AND h.success <> 'done' ");

/// Newest first. Parameters: resource, minute to continue below, limit.
pub const HISTORY_OF_RESOURCE: &str = uses!("resource", "");

/// The same without successful uses.
pub const PROBLEMS_OF_RESOURCE: &str = uses!("resource", "AND h.success <> 'done' ");

macro_rules! hours {
    ($column:literal) => {
        concat!(
            "SELECT hour, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(refused) AS BIGINT) AS refused,
                CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(cached) AS BIGINT) AS cached,
                CAST(SUM(fetches) AS BIGINT) AS fetches, CAST(SUM(failed_fetches) AS BIGINT) AS failed_fetches,
                CAST(SUM(within_5) AS BIGINT) AS within_5, CAST(SUM(within_10) AS BIGINT) AS within_10,
                CAST(SUM(within_25) AS BIGINT) AS within_25, CAST(SUM(within_50) AS BIGINT) AS within_50,
                CAST(SUM(within_100) AS BIGINT) AS within_100, CAST(SUM(within_250) AS BIGINT) AS within_250,
                CAST(SUM(within_500) AS BIGINT) AS within_500, CAST(SUM(within_1000) AS BIGINT) AS within_1000,
                CAST(SUM(within_2500) AS BIGINT) AS within_2500, CAST(SUM(within_10000) AS BIGINT) AS within_10000,
                CAST(SUM(beyond) AS BIGINT) AS beyond
            FROM history_hours WHERE ",
            $column,
            " = $1 AND hour >= $2 GROUP BY hour ORDER BY hour"
        )
    };
}

/// Parameters: credential, first hour.
pub const HOURS_OF_CREDENTIAL: &str = hours!("credential");

/// Parameters: resource, first hour.
pub const HOURS_OF_RESOURCE: &str = hours!("resource");
