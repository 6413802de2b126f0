//! Changes a credential: its name and description, or its sealed field values.

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

/// A change to a credential, and the state that it was decided on.
#[derive(Debug)]
pub struct CredentialChange<'a> {
    /// The user who manages it. Must still be allowed to at the moment of the change.
    pub manager: UserId,
    /// The credential as it was read. Any change since makes this one fail.
    pub before: &'a CredentialSummary,
    pub name: &'a Name,
    pub description: &'a Description,
    pub at: Timestamp,
    /// `None` keeps the current values.
    pub values: Option<NewValues>,
}

/// New field values, which have been verified.
#[derive(Debug)]
pub struct NewValues {
    /// Sealed for `Place::credential_secret(id, before.version + 1, connector)`.
    pub secret: Sealed,
    /// A keyed hash of the fields that identify the account at the service.
    pub fingerprint: Vec<u8>,
    pub verification: NewVerification,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialChanged {
    Changed,
    /// The owner has another credential of the same connector with this name.
    NameTaken,
    /// It was changed or deleted meanwhile, or the manager lost access to it.
    Outdated,
    /// The manager is disabled, or their role may no longer manage credentials.
    NotAllowed,
}

impl Store {
    /// Changes a credential, all or nothing. New values replace the old ones together with their
    /// verification. The old values are erased, and the access token fetched with them is deleted.
    pub async fn change_credential(
        &self,
        change: &CredentialChange<'_>,
        audit: &Audit<'_>,
    ) -> Result<CredentialChanged, StoreError> {
        // Changes nothing, but keeps the manager's role and state until the transaction ends. A verification
        // takes time, in which an administrator may have disabled the manager.
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
        // The row stays as a record that there was another secret; what it sealed is erased.
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
