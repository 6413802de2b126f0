//! Save: keep what was typed, read it, verify it, seal and store it. Nothing that has not been verified is
//! stored as a credential, and nothing that was typed is lost.

use std::sync::Arc;

use tracing::Instrument;
use uuid::Uuid;

use super::{
    Service, ServiceError,
    drafts::{Draft, FormState},
    sessions::Session,
    verify::Verified,
};
use crate::{
    crypto::envelope::Place,
    domain::{
        connector::Connector,
        credential::CredentialId,
        form::{self, CredentialInput, FieldError, RawForm},
        verification::{StageObserver, Verification},
    },
    store::{CredentialInsert, DraftKey, NewCredential},
};

/// How a Save ended.
pub enum SaveOutcome {
    /// Stored, or stored before by the same form.
    Saved(CredentialId),
    /// Fields are wrong; nothing was stored as a credential.
    Invalid {
        /// An error for each field that is wrong.
        errors: Vec<FieldError>,
        /// The form to show again.
        form: FormState,
    },
    /// The service, or the way to it, did not accept the values. `verification.failure` says why.
    Rejected {
        /// What was found.
        verification: Box<Verification>,
        /// The form to show again.
        form: FormState,
    },
}

impl Service {
    /// Saves a credential. Runs to its end even when the caller goes away, so that a lost connection does
    /// not leave it open whether the credential was stored; sending the same form again answers that.
    pub async fn save_credential(
        &self,
        session: Session,
        connector: Arc<Connector>,
        draft: Uuid,
        raw: RawForm,
        observer: Arc<dyn StageObserver>,
    ) -> Result<SaveOutcome, ServiceError> {
        let service = self.clone();
        let work = async move { service.save(&session, &connector, draft, &raw, &*observer).await };
        self.0.tasks.spawn(work.in_current_span()).await.map_err(|_| ServiceError::Interrupted)?
    }

    async fn save(
        &self,
        session: &Session,
        connector: &Connector,
        draft: Uuid,
        raw: &RawForm,
        observer: &dyn StageObserver,
    ) -> Result<SaveOutcome, ServiceError> {
        let (kept, version) = match self.draft(session, draft).await? {
            Some(Draft::Saved(credential)) => return Ok(SaveOutcome::Saved(credential)),
            Some(Draft::Open { values, version }) => (Some(values), version + 1),
            None => (None, 1),
        };
        let form = self.keep_draft(session, connector, draft, raw, kept.as_ref(), version).await?;
        let input = match form::parse(connector, raw, kept.as_ref()) {
            Ok(input) => input,
            Err(errors) => return Ok(SaveOutcome::Invalid { errors, form }),
        };
        // Asked for early, so that nobody waits for a verification only to hear that the name is taken. What
        // decides is the constraint of the database.
        if self.0.store.credential_named(&connector.id, &input.name.key()).await?.is_some() {
            return Ok(name_taken(connector, &input, form));
        }
        let verified = match self.verify(connector, &input.values, observer).await {
            Ok(verified) => verified,
            Err(verification) => return Ok(SaveOutcome::Rejected { verification: Box::new(verification), form }),
        };
        let id = self.new_id();
        let draft = DraftKey { id: form.draft, session: session.hash };
        let new = self.sealed_credential(id, connector, &input, &verified, draft);
        match self.0.store.insert_credential(&new).await? {
            CredentialInsert::Inserted => {
                self.keep_token(id, 1, &verified.token).await?;
                Ok(SaveOutcome::Saved(id))
            }
            CredentialInsert::AlreadySaved(credential) => Ok(SaveOutcome::Saved(credential)),
            CredentialInsert::NameTaken => Ok(name_taken(connector, &input, form)),
        }
    }

    fn sealed_credential<'a>(
        &self,
        id: CredentialId,
        connector: &'a Connector,
        input: &'a CredentialInput,
        verified: &Verified,
        draft: DraftKey,
    ) -> NewCredential<'a> {
        NewCredential {
            id,
            connector: &connector.id,
            name: &input.name,
            description: &input.description,
            fingerprint: self.fingerprint(connector, &input.values),
            created_at: self.now(),
            secret: self.0.keyring.seal(&Place::credential_secret(id, 1, &connector.id), &input.values.to_bytes()),
            verification: self.sealed_verification(id, &verified.verification),
            draft: Some(draft),
        }
    }
}

fn name_taken(connector: &Connector, input: &CredentialInput, form: FormState) -> SaveOutcome {
    let message = format!("There is already a {} credential named “{}”. Choose another name.", connector.name, input.name.as_str());
    SaveOutcome::Invalid { errors: vec![FieldError::new("name", message)], form }
}
