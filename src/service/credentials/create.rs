//! Save: keep the input in a draft, parse it, verify it, seal and store it. Nothing is stored as a credential
//! without being verified, and no input is lost.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    drafts::{Draft, FormState, Typed},
    verify::Verified,
};
use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        connectors::Connector,
        credentials::{
            CredentialId,
            form::{self, CredentialInput, FieldError, Kept, RawForm},
            values::FieldValues,
            verification::{StageObserver, Verification},
        },
        form_errors::FormError,
        naming::name_key,
        users::UserId,
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target},
    store::{CredentialInsert, DraftKey, NewCredential},
};

/// The result of Save.
pub enum SaveOutcome {
    /// Stored now, or earlier by the same form.
    Saved(CredentialId),
    /// Fields are invalid; nothing was stored as a credential.
    Invalid {
        /// At least one for each invalid field.
        errors: Vec<FieldError>,
        /// The form to show again.
        form: FormState,
    },
    /// The service rejected the values or couldn't be reached. `verification.failure` says why.
    Rejected {
        verification: Box<Verification>,
        /// The form to show again.
        form: FormState,
    },
}

/// The result of storing a verified credential.
pub(in crate::service) enum NewStored {
    Now(CredentialId),
    /// The same draft was stored earlier, as this credential.
    Before(CredentialId),
    /// The owner has another credential with this name.
    NameTaken,
}

/// The result of keeping the input in a draft.
enum Keeping {
    /// Kept. `before` is the previous content of the draft.
    Kept { before: Option<Kept>, form: FormState },
    /// The same form has been saved as this credential.
    SavedBefore(CredentialId),
}

impl Service {
    /// Saves a credential. Runs to its end even if the caller goes away; sending the same form again then tells
    /// whether the credential was stored.
    pub async fn save_credential(
        &self,
        caller: Caller,
        connector: Arc<Connector>,
        draft: Uuid,
        raw: RawForm,
        observer: Arc<dyn StageObserver>,
    ) -> Result<SaveOutcome, ServiceError> {
        let service = self.clone();
        self.to_its_end(async move { service.save(&caller, &connector, draft, &raw, &*observer).await }).await
    }

    async fn save(
        &self,
        caller: &Caller,
        connector: &Connector,
        draft: Uuid,
        raw: &RawForm,
        observer: &dyn StageObserver,
    ) -> Result<SaveOutcome, ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        let (before, form) = match self.keep(owner, connector, draft, raw).await? {
            Keeping::Kept { before, form } => (before, form),
            Keeping::SavedBefore(credential) => return Ok(SaveOutcome::Saved(credential)),
        };
        let input = match form::parse(connector, raw, before.as_ref()) {
            Ok(input) => input,
            Err(errors) => return Ok(SaveOutcome::Invalid { errors, form }),
        };
        // Checked early, so that nobody waits for a verification only to learn that the name is taken. The
        // constraint of the database decides.
        if self.0.store.credential_named(&connector.id, owner, &input.name.key()).await?.is_some() {
            return self.name_taken(owner, connector, raw, form).await;
        }
        // The input is kept by now, so that it can be sent again.
        let verified = match self.verify_new(caller, connector, &input.values, observer).await? {
            Ok(verified) => verified,
            Err(verification) => return Ok(SaveOutcome::Rejected { verification, form }),
        };
        let draft = DraftKey { id: form.draft, owner };
        let mut inserted = self.store_new(caller, owner, connector, &input, &verified, Some(draft)).await?;
        if let NewStored::Before(other) = inserted
            && !self.bears_name(other, raw).await?
        {
            // During the verification, the same form was saved from another window.
            inserted = self.store_new(caller, owner, connector, &input, &verified, None).await?;
        }
        match inserted {
            NewStored::Now(credential) | NewStored::Before(credential) => Ok(SaveOutcome::Saved(credential)),
            NewStored::NameTaken => self.name_taken(owner, connector, raw, form).await,
        }
    }

    /// Verifies the values of a new credential. A rejection is recorded.
    pub(in crate::service) async fn verify_new(
        &self,
        caller: &Caller,
        connector: &Connector,
        values: &FieldValues,
        observer: &dyn StageObserver,
    ) -> Result<Result<Verified, Box<Verification>>, ServiceError> {
        let _call = self.begin_call(caller)?;
        let verification = match self.verify(connector, values, observer).await {
            Ok(verified) => return Ok(Ok(verified)),
            Err(verification) => verification,
        };
        let words = verification.failure.as_ref().map(|failure| failure.stage.as_str()).unwrap_or_default();
        let detail = format!("not saved: the verification of a {} credential failed at {words}", connector.id);
        self.0.store.record(&self.audit(caller, AuditAction::VerifyCredential, None, AuditOutcome::Failed, detail)).await?;
        Ok(Err(Box::new(verification)))
    }

    /// Stores a verified credential, and the access token from its verification. Uses up its draft, if it has one.
    pub(in crate::service) async fn store_new(
        &self,
        caller: &Caller,
        owner: UserId,
        connector: &Connector,
        input: &CredentialInput,
        verified: &Verified,
        draft: Option<DraftKey>,
    ) -> Result<NewStored, ServiceError> {
        let id = self.new_id();
        let new = self.sealed_credential(id, owner, connector, input, verified, draft);
        let about = target(TargetKind::Credential, id, input.name.as_str());
        match self.0.store.insert_credential(&new, &self.done(caller, AuditAction::AddCredential, about.clone())).await? {
            CredentialInsert::Inserted => {
                self.count_verification(caller, id, &verified.verification);
                if let Err(error) = self.keep_token(id, 1, &verified.token).await {
                    // The credential is stored; another token is fetched when it is needed.
                    tracing::error!(error = &error as &dyn std::error::Error, "could not store a credential's first access token");
                }
                Ok(NewStored::Now(id))
            }
            CredentialInsert::AlreadySaved(credential) => Ok(NewStored::Before(credential)),
            CredentialInsert::NameTaken => Ok(NewStored::NameTaken),
            CredentialInsert::NotAllowed => {
                let detail = "adding a credential: the account was disabled or its role changed meanwhile";
                let audit = self.audit(caller, AuditAction::AddCredential, about, AuditOutcome::Refused, detail);
                self.0.store.record(&audit).await?;
                Err(ServiceError::Refused(Permission::MakeCredentials))
            }
        }
    }

    /// Keeps the input if it can't be saved now because the session expired.
    pub async fn keep_form(&self, caller: &Caller, connector: &Connector, draft: Uuid, raw: &RawForm) -> Result<(), ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        self.keep(owner, connector, draft, raw).await?;
        Ok(())
    }

    /// Keeps the input in a draft, before anything else happens to it.
    async fn keep(&self, owner: UserId, connector: &Connector, draft: Uuid, raw: &RawForm) -> Result<Keeping, ServiceError> {
        let (before, version) = match self.draft(owner, &connector.id, draft).await? {
            Some(Draft::Saved(credential)) if self.bears_name(credential, raw).await? => {
                return Ok(Keeping::SavedBefore(credential));
            }
            Some(Draft::Open { kept, version }) => (Some(kept), version + 1),
            Some(Draft::Saved(_)) | None => (None, 1),
        };
        let kept = form::keep(connector, raw, before.as_ref());
        let typed = Typed::new(raw, &kept);
        let form = match self.keep_draft(owner, connector, &connector.id, (draft, version), &typed).await? {
            Some(form) => form,
            // The same form was saved a moment ago, or the id isn't this form's to use.
            None => match self.saved_before(owner, connector, draft, raw).await? {
                Some(credential) => return Ok(Keeping::SavedBefore(credential)),
                None => {
                    let form = self.keep_draft(owner, connector, &connector.id, (self.new_id(), 1), &typed).await?;
                    form.unwrap_or_else(|| self.unkept_form(connector, &typed))
                }
            },
        };
        Ok(Keeping::Kept { before, form })
    }

    /// The credential that this form was saved as, if it was.
    async fn saved_before(
        &self,
        owner: UserId,
        connector: &Connector,
        draft: Uuid,
        raw: &RawForm,
    ) -> Result<Option<CredentialId>, ServiceError> {
        let Some(Draft::Saved(id)) = self.draft(owner, &connector.id, draft).await? else { return Ok(None) };
        Ok(self.bears_name(id, raw).await?.then_some(id))
    }

    /// True if a credential that was saved from a form with this id has the name that this form asks for. A form
    /// with another name, such as one from a second window, hasn't been saved.
    async fn bears_name(&self, credential: CredentialId, raw: &RawForm) -> Result<bool, ServiceError> {
        let stored = self.0.store.credential(credential).await?;
        Ok(stored.is_some_and(|row| name_key(&row.summary.name) == name_key(raw.name.trim())))
    }

    /// The name is taken: by another credential of the owner, or by this form, sent twice, whose other request was
    /// faster. Names of other owners don't matter and aren't revealed.
    async fn name_taken(
        &self,
        owner: UserId,
        connector: &Connector,
        raw: &RawForm,
        form: FormState,
    ) -> Result<SaveOutcome, ServiceError> {
        if let Some(credential) = self.saved_before(owner, connector, form.draft, raw).await? {
            return Ok(SaveOutcome::Saved(credential));
        }
        Ok(SaveOutcome::Invalid { errors: vec![name_taken(connector, raw.name.trim())], form })
    }

    fn sealed_credential<'a>(
        &self,
        id: CredentialId,
        owner: UserId,
        connector: &'a Connector,
        input: &'a CredentialInput,
        verified: &Verified,
        draft: Option<DraftKey>,
    ) -> NewCredential<'a> {
        NewCredential {
            id,
            connector: &connector.id,
            owner,
            name: &input.name,
            description: &input.description,
            fingerprint: self.fingerprint(connector, &input.values),
            created_at: self.now(),
            secret: self.0.keyring.seal(&Place::credential_secret(id, 1, &connector.id), &input.values.to_bytes()),
            verification: self.sealed_verification(id, 1, &verified.verification),
            draft,
        }
    }
}

/// The error for a name that another credential of the owner has.
pub(in crate::service) fn name_taken(connector: &Connector, name: &str) -> FieldError {
    FieldError::of("name", FormError::CredentialNameTaken, &[("service", &connector.name), ("name", name)])
}
