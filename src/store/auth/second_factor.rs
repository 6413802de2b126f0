//! Second factors: a user's sealed TOTP secret, the last time step that was used, and recovery codes.

use sqlx::FromRow;

use super::sessions::insert_session;
use crate::{
    domain::{audit::Audit, users::UserId},
    store::{
        NewSession, Store, StoreError,
        access::epoch::bump_access_epoch,
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SecondFactorRow {
    /// The sealed TOTP secret.
    pub sealed: Vec<u8>,
    /// The last time step whose code was used. Codes of this and earlier steps are no longer valid.
    pub step: i64,
}

/// Replaces all recovery codes, in a transaction.
macro_rules! replace_codes {
    ($transaction:expr, $user:expr, $codes:expr) => {{
        const CLEAR: &str = "DELETE FROM recovery_codes WHERE owner = $1";
        const INSERT: &str = "INSERT INTO recovery_codes (owner, hash) VALUES ($1, $2)";
        let codes: &[[u8; 32]] = $codes;
        sqlx::query(CLEAR).bind($user).execute(&mut *$transaction).await?;
        for code in codes {
            sqlx::query(INSERT).bind($user).bind(&code[..]).execute(&mut *$transaction).await?;
        }
    }};
}

impl Store {
    /// `None` if the user has none.
    pub async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactorRow>, StoreError> {
        Ok(reading!(self, pool => sqlx::query_as(queries::SECOND_FACTOR).bind(user).fetch_optional(pool).await?))
    }

    pub async fn recovery_codes_left(&self, user: UserId) -> Result<i64, StoreError> {
        Ok(reading!(self, pool => sqlx::query_scalar(queries::RECOVERY_CODES_LEFT).bind(user).fetch_one(pool).await?))
    }

    /// Gives the session's user a second factor and recovery codes, and replaces all of the user's sessions
    /// with this one: the others were started without a code. False if the user already has a second factor.
    pub async fn enable_second_factor(
        &self,
        second_factor: &SecondFactorRow,
        codes: &[[u8; 32]],
        session: &NewSession,
        audit: &Audit<'_>,
    ) -> Result<bool, StoreError> {
        const ENABLE: &str = "UPDATE users SET second_factor = $2, second_factor_step = $3, version = version + 1
            WHERE id = $1 AND second_factor IS NULL";
        const SESSIONS: &str = "DELETE FROM sessions WHERE owner = $1";
        let user = session.owner;
        transaction!(self, transaction => {
            let enable = sqlx::query(ENABLE).bind(user).bind(&second_factor.sealed).bind(second_factor.step);
            if enable.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            replace_codes!(transaction, user, codes);
            sqlx::query(SESSIONS).bind(user).execute(&mut *transaction).await?;
            insert_session!(transaction, session);
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Removes a user's second factor and recovery codes. False if there is none.
    pub async fn disable_second_factor(&self, user: UserId, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const DISABLE: &str =
            "UPDATE users SET second_factor = NULL, version = version + 1 WHERE id = $1 AND second_factor IS NOT NULL";
        transaction!(self, transaction => {
            if sqlx::query(DISABLE).bind(user).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            replace_codes!(transaction, user, &[]);
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// False if the user has no second factor.
    pub async fn replace_recovery_codes(&self, user: UserId, codes: &[[u8; 32]], audit: &Audit<'_>) -> Result<bool, StoreError> {
        // Locks the user in PostgreSQL, so that of two concurrent changes one set of codes remains.
        const CHANGED: &str = "UPDATE users SET version = version + 1 WHERE id = $1 AND second_factor IS NOT NULL";
        transaction!(self, transaction => {
            if sqlx::query(CHANGED).bind(user).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            replace_codes!(transaction, user, codes);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Uses up the code of a step and all earlier ones. False if it or a later one was already used: of two
    /// sign-ins with the same code at the same moment, on any instances, only one succeeds.
    pub async fn use_second_factor_step(&self, user: UserId, step: i64, audit: &Audit<'_>) -> Result<bool, StoreError> {
        const USE: &str =
            "UPDATE users SET second_factor_step = $2 WHERE id = $1 AND second_factor IS NOT NULL AND second_factor_step < $2";
        transaction!(self, transaction => {
            if sqlx::query(USE).bind(user).bind(step).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Uses up a recovery code. False if there is none with this hash.
    pub async fn use_recovery_code(&self, user: UserId, hash: &[u8; 32], audit: &Audit<'_>) -> Result<bool, StoreError> {
        const USE: &str = "DELETE FROM recovery_codes WHERE owner = $1 AND hash = $2";
        transaction!(self, transaction => {
            if sqlx::query(USE).bind(user).bind(&hash[..]).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(true)
        })
    }
}
