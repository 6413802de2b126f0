//! The broker: a valid access token of a credential, from the database while it is fresh, from the service
//! otherwise. The token request is the one that verification makes.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Service, ServiceError};
use crate::{
    crypto::envelope::Place,
    domain::{
        connector::Connector,
        credential::{CredentialId, CredentialStatus},
        values::FieldValues,
        verification::{Diagnosis, Unobserved, Verification},
    },
    store::CredentialRow,
    upstream::IssuedToken,
};

/// The longest time by which a token is given up before it expires.
const MARGIN_MAX: Duration = Duration::from_secs(60);

/// Where an access token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenOrigin {
    Kept,
    Fetched,
}

impl Service {
    /// A token that can be used now: the kept one while it is fresh, unless `fresh` asks for a new one.
    /// The inner error says why the service issued none; it is recorded with the credential.
    pub(super) async fn access_token(
        &self,
        connector: &Connector,
        row: &CredentialRow,
        values: &FieldValues,
        fresh: bool,
    ) -> Result<Result<(SecretString, TokenOrigin), Diagnosis>, ServiceError> {
        let id = row.summary.id;
        if !fresh && let Some(token) = self.kept_token(id, row.summary.version).await? {
            return Ok(Ok((token, TokenOrigin::Kept)));
        }
        let attempt = self.0.upstream.fetch_token(connector, values, &Unobserved).await;
        match attempt.result {
            Ok(token) => {
                self.keep_token(id, row.summary.version, &token).await?;
                if row.summary.status != CredentialStatus::Verified {
                    // It works again, and everybody should see that.
                    let passed = Verification { stages: attempt.stages, failure: None, notice: None };
                    self.0.store.record_verification(id, &self.sealed_verification(id, &passed), None).await?;
                }
                Ok(Ok((token.access_token, TokenOrigin::Fetched)))
            }
            Err(diagnosis) => {
                let failed = Verification { stages: attempt.stages, failure: Some(diagnosis.clone()), notice: None };
                self.0.store.record_verification(id, &self.sealed_verification(id, &failed), None).await?;
                self.0.store.delete_access_token(id).await?;
                Ok(Err(diagnosis))
            }
        }
    }

    /// Keeps a token, sealed, until shortly before it expires.
    pub(super) async fn keep_token(&self, id: CredentialId, version: i64, token: &IssuedToken) -> Result<(), ServiceError> {
        let margin = MARGIN_MAX.min(token.lifetime / 10);
        let use_until = self.now().plus(token.lifetime.saturating_sub(margin));
        let place = Place::access_token(id, version);
        let sealed = self.0.keyring.seal_packed(&place, token.access_token.expose_secret().as_bytes());
        // False when the credential is gone or was changed meanwhile: then there is nothing to keep.
        self.0.store.put_access_token(id, version, &sealed, use_until).await?;
        Ok(())
    }

    async fn kept_token(&self, id: CredentialId, version: i64) -> Result<Option<SecretString>, ServiceError> {
        let Some(row) = self.0.store.access_token(id).await? else { return Ok(None) };
        if row.version != version || row.expires_at <= self.now() {
            return Ok(None);
        }
        let place = Place::access_token(id, version);
        match self.open(&place, &row.sealed) {
            Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().map(SecretString::from)),
            Err(error) => {
                // Another one is fetched, which takes its place.
                tracing::error!(credential = %id, error = &error as &dyn std::error::Error, "a kept access token does not open");
                Ok(None)
            }
        }
    }
}
