//! Verification: the same token request that the broker makes later, observed stage by stage, followed by the probe
//! of the API.

use uuid::Uuid;

use crate::{
    crypto::envelope::Place,
    domain::{
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        connectors::{CLIENT_ID, Connector, FieldId},
        credentials::{
            CredentialId,
            values::FieldValues,
            verification::{PastVerification, StageObserver, Verification},
        },
        telemetry::span::{SpanKind, SpanValue},
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target, pagination::cut_to},
    store::NewVerification,
    upstream::IssuedToken,
};

/// A verification that passed, and its access token.
pub(in crate::service) struct Verified {
    pub(in crate::service) verification: Verification,
    pub(in crate::service) token: IssuedToken,
}

/// A page of the verifications of a credential, newest first.
pub struct VerificationPage {
    /// With their ids.
    pub verifications: Vec<(Uuid, PastVerification)>,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<Uuid>,
}

impl Service {
    /// Verifies values with their service. The error is a verification that failed.
    pub(in crate::service) async fn verify(
        &self,
        connector: &Connector,
        values: &FieldValues,
        observer: &dyn StageObserver,
    ) -> Result<Verified, Verification> {
        let mut span = self.begin_span("verification", SpanKind::Internal);
        let verified = self.verify_stages(connector, values, observer).await;
        let verification = match &verified {
            Ok(verified) => &verified.verification,
            Err(verification) => verification,
        };
        self.0.metrics.verifications.ended(verification);
        if let Some(span) = &mut span {
            span.say("keytile.stage", SpanValue::Word(verification.decided_at().as_str()));
            span.say("keytile.outcome", SpanValue::Word(verification.status().as_str()));
            span.failed_if(!verification.passed());
        }
        verified
    }

    async fn verify_stages(
        &self,
        connector: &Connector,
        values: &FieldValues,
        observer: &dyn StageObserver,
    ) -> Result<Verified, Verification> {
        let attempt = self.0.upstream.tokens.fetch_token(connector, values, observer).await;
        let mut verification = Verification { stages: attempt.stages, failure: None, notice: None };
        match attempt.result {
            Ok(token) => {
                let probe = self.0.upstream.api.probe(connector, values, &token.access_token).await;
                observer.stage_ended(&probe.report);
                verification.stages.push(probe.report);
                verification.notice = probe.notice;
                Ok(Verified { verification, token })
            }
            Err(diagnosis) => {
                verification.failure = Some(diagnosis);
                Err(verification)
            }
        }
    }

    /// Verifies a stored credential again and stores the result. `None` if the credential doesn't exist for the
    /// caller, or its connector no longer exists.
    ///
    /// Runs to its end even if the caller goes away, so that the attempt is recorded.
    pub async fn test_credential(&self, caller: &Caller, id: CredentialId) -> Result<Option<Verification>, ServiceError> {
        let (service, caller) = (self.clone(), caller.clone());
        self.to_its_end(async move { service.test(&caller, id).await }).await
    }

    async fn test(&self, caller: &Caller, id: CredentialId) -> Result<Option<Verification>, ServiceError> {
        let Some((_, row)) = self.managed(caller, id, "testing a credential").await? else { return Ok(None) };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()) else { return Ok(None) };
        let values = self.open_values(&row.summary, &row.secret)?;
        let _call = self.begin_call(caller)?;
        let (verification, token) =
            match self.verify(connector, &values, &crate::domain::credentials::verification::Unobserved).await {
                Ok(verified) => (verified.verification, Some(verified.token)),
                Err(verification) => (verification, None),
            };
        let outcome = if verification.failure.is_none() { AuditOutcome::Done } else { AuditOutcome::Failed };
        let detail = match &verification.failure {
            Some(failure) => format!("failed at {}", failure.stage.as_str()),
            None => String::new(),
        };
        let about = target(TargetKind::Credential, id, row.summary.name);
        let audit = self.audit(caller, AuditAction::VerifyCredential, about, outcome, detail);
        self.0
            .store
            .record_verification(id, &self.sealed_verification(id, row.summary.version, &verification), Some(&audit))
            .await?;
        self.count_verification(caller, id, &verification);
        // Stored last, so that a verification that can't be recorded leaves nothing behind.
        if let Some(token) = token {
            self.keep_token(id, row.summary.version, &token).await?;
        }
        Ok(Some(verification))
    }

    /// The verifications of a credential that the caller manages, newest first, at most `limit`, beginning behind one.
    /// `None` when there is no such credential for the caller.
    pub async fn verifications(
        &self,
        caller: &Caller,
        id: CredentialId,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Option<VerificationPage>, ServiceError> {
        if self.managed(caller, id, "seeing the verifications of a credential").await?.is_none() {
            return Ok(None);
        }
        // No more than a hundred are kept for each credential.
        let mut rows = self.0.store.verifications_of(id, i64::MAX).await?;
        if let Some(after) = after {
            let seen = rows.iter().position(|row| row.id == after).map_or(rows.len(), |place| place + 1);
            rows.drain(..seen);
        }
        let next = cut_to(limit, &mut rows, |row| row.id);
        let mut verifications = Vec::with_capacity(rows.len());
        for row in rows {
            match self.open_verification(row.id, id, &row.sealed) {
                Ok(verification) => verifications.push((row.id, PastVerification { at: row.at, verification })),
                Err(error) => {
                    tracing::error!(verification = %row.id, error = &error as &dyn std::error::Error, "cannot decrypt a verification");
                }
            }
        }
        Ok(Some(VerificationPage { verifications, next }))
    }

    /// `version` is the version of the credential that was verified.
    pub(in crate::service) fn sealed_verification(
        &self,
        credential: CredentialId,
        version: i64,
        verification: &Verification,
    ) -> NewVerification {
        let id = self.new_id();
        // A verification consists of strings, numbers and enums, which always serialize.
        let bytes = serde_json::to_vec(verification).unwrap_or_default();
        NewVerification {
            id,
            version,
            at: self.now(),
            stage: verification.reached(),
            status: verification.status(),
            duration_ms: i64::try_from(verification.duration().as_millis()).unwrap_or(i64::MAX),
            sealed: self.0.keyring.seal_packed(&Place::verification(id, &credential), &bytes),
        }
    }

    pub(in crate::service) fn open_verification(
        &self,
        id: uuid::Uuid,
        credential: CredentialId,
        packed: &[u8],
    ) -> Result<Verification, ServiceError> {
        let place = Place::verification(id, &credential);
        let bytes = self.open(&place, packed)?;
        serde_json::from_slice(&bytes).map_err(|_| ServiceError::Unreadable { table: place.table })
    }

    /// A keyed fingerprint of account and client: of the client id and of every value in the token URL. Equal for
    /// two credentials of the same client; reveals nothing without the keyring.
    pub(in crate::service) fn fingerprint(&self, connector: &Connector, values: &FieldValues) -> Vec<u8> {
        let mut fields: Vec<&FieldId> = connector.token.url.references().filter_map(|reference| reference.field()).collect();
        fields.sort();
        fields.dedup();
        let named = fields.iter().map(|field| field.as_str()).chain([CLIENT_ID]);
        let parts: Vec<&[u8]> =
            named.flat_map(|field| [field.as_bytes(), values.expose(field).unwrap_or_default().as_bytes()]).collect();
        self.0.fingerprint.of(&parts).to_vec()
    }
}
