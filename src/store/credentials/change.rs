//! Changing a credential: its name and description, or its field values with the secret that is sealed for them.

use uuid::Uuid;

use super::verifications::insert_verification;
use crate::{
    crypto::envelope::Sealed,
    domain::{
        audit::Audit,
        credentials::CredentialSummary,
        naming::{Description, Name, name_key},
        time::Timestamp,
        users::UserId,
    },
    store::{
        NewVerification, Store, StoreError, access::epoch::bump_access_epoch, audit::append::append_audit, database::transaction,
        queries::statements::access,
    },
};

/// How a credential is to be changed, and what it was when that was decided.
#[derive(Debug)]
pub struct CredentialChange<'a> {
    /// The account that manages it; it must do so at the moment of the change.
    pub manager: UserId,
    /// The credential as it was read. Whatever of it has been changed since stands in the way.
    pub before: &'a CredentialSummary,
    /// Its name from now on.
    pub name: &'a Name,
    /// Its description from now on.
    pub description: &'a Description,
    /// When it is changed.
    pub at: Timestamp,
    /// Its new field values; `None` where they stay as they are.
    pub values: Option<NewValues>,
}

/// New field values of a credential, which were verified.
#[derive(Debug)]
pub struct NewValues {
    /// Sealed for `Place::credential_secret(id, before.version + 1, connector)`.
    pub secret: Sealed,
    /// A keyed hash of what identifies the account.
    pub fingerprint: Vec<u8>,
    /// The verification that they passed.
    pub verification: NewVerification,
}

/// What came of changing a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialChanged {
    /// It is changed.
    Changed,
    /// Its owner has another credential of its connector with this name.
    NameTaken,
    /// It was changed, deleted or withdrawn from the manager meanwhile.
    Outdated,
    /// The manager's account is disabled, or its role may not manage credentials any more.
    NotAllowed,
}

impl Store {
    /// Changes a credential, all or nothing. New values take over with their verification; the values before them are
    /// erased, and the access token that they brought is deleted.
    pub async fn change_credential(
        &self,
        change: &CredentialChange<'_>,
        audit: &Audit<'_>,
    ) -> Result<CredentialChanged, StoreError> {
        // Sets nothing, but keeps role and state of the manager as they are until the transaction ends: a verification
        // takes its time, in which an administrator may have stopped whoever asked for it.
        const MANAGER: &str =
            "UPDATE users SET version = version WHERE id = $1 AND state = 'active' AND role IN ('administrator', 'editor')";
        const CHANGE: &str = concat!(
            "UPDATE credentials AS c SET name = $3, name_key = $4, description = $5, search_key = $6
            WHERE c.id = $2 AND c.version = $7 AND c.name = $8 AND c.description = $9 AND ",
            access!(),
            " = 'manage'"
        );
        const VALUES: &str =
            "UPDATE credentials SET version = version + 1, fingerprint = $2, status = $3, verified_at = $4 WHERE id = $1";
        // The row stays, to say when there was another secret; what was sealed is of no use to anybody.
        const RETIRE: &str = "UPDATE credential_secrets SET state = 'retired', wrapped_key = $2, ciphertext = $2
            WHERE credential = $1 AND state = 'active'";
        const SECRET: &str =
            "INSERT INTO credential_secrets (credential, version, state, created_at, key_id, wrapped_key, ciphertext)
            VALUES ($1, $2, 'active', $3, $4, $5, $6)";
        const TOKEN: &str = "DELETE FROM access_tokens WHERE credential = $1";
        let (before, key) = (change.before, change.name.key());
        let id: Uuid = before.id;
        let search_key = format!("{key}\n{}", name_key(change.description.as_str()));
        transaction!(self, transaction => {
            if sqlx::query(MANAGER).bind(change.manager).execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(CredentialChanged::NotAllowed);
            }
            let named = sqlx::query(CHANGE)
                .bind(change.manager)
                .bind(id)
                .bind(change.name.as_str())
                .bind(&key)
                .bind(change.description.as_str())
                .bind(&search_key)
                .bind(before.version)
                .bind(&before.name)
                .bind(&before.description);
            match named.execute(&mut *transaction).await.map(|done| done.rows_affected()) {
                Ok(0) => return Ok(CredentialChanged::Outdated),
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(CredentialChanged::NameTaken),
                Err(error) => return Err(error.into()),
            }
            if let Some(values) = &change.values {
                let changed = sqlx::query(VALUES)
                    .bind(id)
                    .bind(&values.fingerprint[..])
                    .bind(values.verification.status.as_str())
                    .bind(values.verification.at.as_millis());
                changed.execute(&mut *transaction).await?;
                sqlx::query(RETIRE).bind(id).bind(&[0_u8; 0][..]).execute(&mut *transaction).await?;
                let secret = sqlx::query(SECRET)
                    .bind(id)
                    .bind(before.version + 1)
                    .bind(change.at.as_millis())
                    .bind(&values.secret.key_id)
                    .bind(&values.secret.wrapped_key[..])
                    .bind(&values.secret.ciphertext[..]);
                secret.execute(&mut *transaction).await?;
                insert_verification!(transaction, id, &values.verification)?;
                sqlx::query(TOKEN).bind(id).execute(&mut *transaction).await?;
            }
            bump_access_epoch!(transaction);
            append_audit!(transaction, audit);
            transaction.commit().await?;
            Ok(CredentialChanged::Changed)
        })
    }
}
