//! Editing a credential: what was typed is read, verified where it is a matter of the service, and takes the place of
//! what is stored in one step. Until then, and if anything goes wrong, the credential is what it was.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Service, ServiceError,
    audit::target,
    caller::Caller,
    drafts::{self, Draft, FormState, Typed, form_state},
    verify::Verified,
};
use crate::{
    crypto::envelope::Place,
    domain::{
        account::UserId,
        audit::{AuditAction, AuditOutcome, TargetKind},
        connector::{Connector, ConnectorId, Field},
        credential::{CredentialId, CredentialSummary},
        edit_form,
        form::{self, CredentialInput, FieldError, Kept, RawForm},
        permission::Permission,
        values::FieldValues,
        verification::{StageObserver, Verification},
    },
    store::{CredentialChange, CredentialChanged, CredentialRow, NewValues},
};

const WANTED: &str = "editing a credential";

/// How an edit ended.
pub enum CredentialUpdate {
    /// The credential is what was asked for.
    Updated {
        /// The labels of what was changed; empty if it was so before.
        changed: Vec<String>,
        /// Whether new values were verified and took over.
        verified: bool,
    },
    /// Fields are wrong; nothing was changed.
    Invalid(Vec<FieldError>),
    /// The service, or the way to it, did not accept the values; nothing was changed. `failure` says why.
    Rejected(Box<Verification>),
    /// Somebody changed the credential meanwhile; nothing was changed now.
    Outdated,
    /// Its connector is gone, or its stored values do not open.
    Unusable,
    /// There is no such credential for this caller.
    NotFound,
}

/// The form in which a credential is edited. Holds no secret.
#[derive(Debug, Clone)]
pub struct EditForm {
    /// The connector.
    pub connector: Arc<Connector>,
    /// The name that is stored.
    pub name: String,
    /// The values to show.
    pub form: FormState,
    /// What the form was made from; to be sent with it.
    pub revision: String,
}

/// How an edit by the form ended.
pub struct Edited {
    /// What came of it.
    pub update: CredentialUpdate,
    /// The form to show again, unless the credential was updated or cannot be edited. Its revision is the present one:
    /// sending it again changes what has been shown as outdated.
    pub again: Option<EditForm>,
}

/// A credential that the caller manages, opened.
struct Opened {
    manager: UserId,
    row: CredentialRow,
    connector: Arc<Connector>,
    values: FieldValues,
}

impl Service {
    /// Says by what a credential of this name, description and version of its values is told from what it was before
    /// and will be: the `expected` of [`Self::update_credential`]. Says nothing to somebody without the keyring.
    pub fn revision(&self, credential: &CredentialSummary) -> String {
        let digest = self.0.fingerprint.of(&[credential.name.as_bytes(), credential.description.as_bytes()]);
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digest}", credential.version)
    }

    /// Changes a credential. A secret that is empty or absent is kept, everything else is as `raw` says, defaults of
    /// the connector included. `expected` is the revision that the caller has seen, if that matters.
    ///
    /// Nothing is verified and `version` stays where only name and description change. Otherwise the values are
    /// verified first, and a kept secret must go where it was verified.
    ///
    /// Runs to its end even when the caller goes away; asking for the same again answers whether it was done.
    pub async fn update_credential(
        &self,
        caller: Caller,
        id: CredentialId,
        expected: Option<String>,
        raw: RawForm,
        observer: Arc<dyn StageObserver>,
    ) -> Result<CredentialUpdate, ServiceError> {
        let service = self.clone();
        let work = async move {
            match service.opened(&caller, id).await? {
                Ok(opened) => service.update(&caller, &opened, expected.as_deref(), &raw, None, &*observer).await,
                Err(obstacle) => Ok(obstacle),
            }
        };
        self.to_its_end(work).await
    }

    /// The form to edit a credential with: what the caller typed and did not save, or what is stored. The error says
    /// why there is none.
    pub async fn edit_form(&self, caller: &Caller, id: CredentialId) -> Result<Result<EditForm, CredentialUpdate>, ServiceError> {
        let opened = match self.opened(caller, id).await? {
            Ok(opened) => opened,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let of = self.form_of(id)?;
        let restored = self.restored(opened.manager, &opened.connector, &of).await?;
        let form = restored.unwrap_or_else(|| {
            let mut form = form_state(self.new_id(), &opened.connector, &opened.values, None);
            form.kept_secrets.clear();
            form.name.clone_from(&opened.row.summary.name);
            form.description.clone_from(&opened.row.summary.description);
            form
        });
        Ok(Ok(self.form_again(&opened, form)))
    }

    /// The connector of a credential that the caller manages, whose fields a form of it has.
    pub async fn credential_connector(
        &self,
        caller: &Caller,
        id: CredentialId,
    ) -> Result<Result<Arc<Connector>, CredentialUpdate>, ServiceError> {
        Ok(self.opened(caller, id).await?.map(|opened| opened.connector))
    }

    /// Changes a credential by the form: what was typed is kept until that is done. Runs to its end as
    /// [`Self::update_credential`] does.
    pub async fn edit_credential(
        &self,
        caller: Caller,
        id: CredentialId,
        expected: String,
        draft: Uuid,
        raw: RawForm,
        observer: Arc<dyn StageObserver>,
    ) -> Result<Edited, ServiceError> {
        let service = self.clone();
        self.to_its_end(async move { service.edit(&caller, id, &expected, draft, &raw, &*observer).await }).await
    }

    /// Keeps what was typed when it cannot be saved now, because the session ran out.
    pub async fn keep_edit(&self, caller: &Caller, id: CredentialId, draft: Uuid, raw: &RawForm) -> Result<(), ServiceError> {
        if let Ok(opened) = self.opened(caller, id).await? {
            let (raw, _) = edit_form::without_masked(&opened.connector, raw);
            self.keep_edited(&opened, &self.form_of(id)?, draft, &raw).await?;
        }
        Ok(())
    }

    async fn edit(
        &self,
        caller: &Caller,
        id: CredentialId,
        expected: &str,
        draft: Uuid,
        raw: &RawForm,
        observer: &dyn StageObserver,
    ) -> Result<Edited, ServiceError> {
        let opened = match self.opened(caller, id).await? {
            Ok(opened) => opened,
            Err(update) => return Ok(Edited { update, again: None }),
        };
        let (unmasked, _) = edit_form::without_masked(&opened.connector, raw);
        let (tried, form) = self.keep_edited(&opened, &self.form_of(id)?, draft, &unmasked).await?;
        let update = self.update(caller, &opened, Some(expected), raw, tried.as_ref(), observer).await?;
        let again = match &update {
            CredentialUpdate::Updated { .. } => {
                if let Err(error) = self.0.store.delete_draft(form.draft, opened.manager).await {
                    // The change is stored; the draft ends by itself.
                    tracing::error!(error = &error as &dyn std::error::Error, "the draft of an edit could not be deleted");
                }
                None
            }
            CredentialUpdate::NotFound | CredentialUpdate::Unusable => None,
            // Read again: the form is to be sent from what is stored now.
            CredentialUpdate::Outdated => self.opened(caller, id).await?.ok().map(|present| self.form_again(&present, form)),
            CredentialUpdate::Invalid(_) | CredentialUpdate::Rejected(_) => {
                let mut again = self.form_again(&opened, form);
                // What the form was made from stays what it was, so that nothing of somebody else's is lost by a second try.
                again.revision = expected.to_owned();
                Some(again)
            }
        };
        Ok(Edited { update, again })
    }

    /// Keeps what was typed in a draft of this credential's form; answers what was kept of an earlier try.
    async fn keep_edited(
        &self,
        opened: &Opened,
        of: &ConnectorId,
        draft: Uuid,
        raw: &RawForm,
    ) -> Result<(Option<Kept>, FormState), ServiceError> {
        let (manager, connector) = (opened.manager, &*opened.connector);
        let (before, version) = match self.draft(manager, of, draft).await? {
            Some(Draft::Open { kept, version }) => (Some(kept), version + 1),
            Some(Draft::Saved(_)) | None => (None, 1),
        };
        let kept = form::keep(connector, raw, before.as_ref());
        let typed = Typed::new(raw, &kept);
        let form = match self.keep_draft(manager, connector, of, (draft, version), &typed).await? {
            Some(form) => form,
            // The id is not this form's to use.
            None => {
                let form = self.keep_draft(manager, connector, of, (self.new_id(), 1), &typed).await?;
                form.unwrap_or_else(|| self.unkept_form(connector, &typed))
            }
        };
        Ok((before, form))
    }

    fn form_again(&self, opened: &Opened, mut form: FormState) -> EditForm {
        for field in opened.connector.fields.iter().filter(|field| field.secret) {
            if opened.values.get(&field.id).is_some() && form.kept_secrets.insert(field.id.clone()) {
                form.stored_secrets.insert(field.id.clone());
            }
        }
        EditForm {
            connector: Arc::clone(&opened.connector),
            name: opened.row.summary.name.clone(),
            form,
            revision: self.revision(&opened.row.summary),
        }
    }

    fn form_of(&self, id: CredentialId) -> Result<ConnectorId, ServiceError> {
        drafts::edit_form(id).ok_or(ServiceError::Unreadable { table: "drafts" })
    }

    async fn opened(&self, caller: &Caller, id: CredentialId) -> Result<Result<Opened, CredentialUpdate>, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, WANTED).await? else { return Ok(Err(CredentialUpdate::NotFound)) };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()).cloned() else {
            return Ok(Err(CredentialUpdate::Unusable));
        };
        Ok(match self.open_values(&row.summary, &row.secret) {
            Ok(values) => Ok(Opened { manager, row, connector, values }),
            Err(error) => {
                tracing::error!(credential = %id, error = &error as &dyn std::error::Error, "a credential does not open");
                Err(CredentialUpdate::Unusable)
            }
        })
    }

    async fn update(
        &self,
        caller: &Caller,
        opened: &Opened,
        expected: Option<&str>,
        raw: &RawForm,
        tried: Option<&Kept>,
        observer: &dyn StageObserver,
    ) -> Result<CredentialUpdate, ServiceError> {
        let (connector, summary) = (&*opened.connector, &opened.row.summary);
        let (raw, mut masked) = edit_form::without_masked(connector, raw);
        let input = match edit_form::parse_edit(connector, &raw, tried, &opened.values) {
            Ok(input) if masked.is_empty() => input,
            Ok(_) => return Ok(CredentialUpdate::Invalid(masked)),
            Err(errors) => {
                // A masked secret is told about once.
                let others: Vec<_> =
                    errors.into_iter().filter(|error| masked.iter().all(|masked| masked.field != error.field)).collect();
                masked.extend(others);
                return Ok(CredentialUpdate::Invalid(masked));
            }
        };
        let mut changed = changed_labels(connector, opened, &input);
        let typed: Vec<&str> = typed_secrets(connector, &raw, tried).collect();
        if changed.is_empty() && typed.is_empty() {
            return Ok(CredentialUpdate::Updated { changed, verified: false });
        }
        if expected.is_some_and(|expected| expected != self.revision(summary)) {
            return self.outdated(caller, opened, &input).await;
        }
        // Asked for early, so that nobody waits for a verification only to hear that the name is taken. What
        // decides is the constraint of the database.
        let owner = opened.row.owner.as_ref();
        if let Some(owner) = owner
            && let Some(other) = self.0.store.credential_named(&connector.id, owner.id, &input.name.key()).await?
            && other != summary.id
        {
            return Ok(name_taken(caller, connector, opened, &input));
        }
        let verified = if same_values(&opened.values, &input.values) && typed.is_empty() {
            None
        } else {
            if changed.is_empty() {
                changed.extend(typed.iter().map(|label| (*label).to_owned()));
            }
            let _call = self.begin_call(caller)?;
            match self.verify(connector, &input.values, observer).await {
                Ok(verified) => Some(verified),
                Err(verification) => return self.rejected(caller, opened, verification).await,
            }
        };
        self.take_over(caller, opened, &input, changed, verified).await
    }

    async fn rejected(&self, caller: &Caller, opened: &Opened, found: Verification) -> Result<CredentialUpdate, ServiceError> {
        let stage = found.failure.as_ref().map(|failure| failure.stage.as_str()).unwrap_or_default();
        let detail = format!("not changed: the verification of the new values failed at {stage}");
        let about = target(TargetKind::Credential, opened.row.summary.id, &opened.row.summary.name);
        self.0.store.record(&self.audit(caller, AuditAction::VerifyCredential, about, AuditOutcome::Failed, detail)).await?;
        Ok(CredentialUpdate::Rejected(Box::new(found)))
    }

    async fn take_over(
        &self,
        caller: &Caller,
        opened: &Opened,
        input: &CredentialInput,
        changed: Vec<String>,
        verified: Option<Verified>,
    ) -> Result<CredentialUpdate, ServiceError> {
        let (connector, summary) = (&*opened.connector, &opened.row.summary);
        let (id, version) = (summary.id, summary.version + 1);
        let values = verified.as_ref().map(|verified| NewValues {
            secret: self.0.keyring.seal(&Place::credential_secret(id, version, &connector.id), &input.values.to_bytes()),
            fingerprint: self.fingerprint(connector, &input.values),
            verification: self.sealed_verification(id, &verified.verification),
        });
        let change = CredentialChange {
            manager: opened.manager,
            before: summary,
            name: &input.name,
            description: &input.description,
            at: self.now(),
            values,
        };
        let about = target(TargetKind::Credential, id, input.name.as_str());
        let audit = self.audit(caller, AuditAction::ChangeCredential, about, AuditOutcome::Done, changed.join(", "));
        let result = self.0.store.change_credential(&change, &audit).await?;
        self.0.epoch.forget();
        match result {
            CredentialChanged::Changed => {
                if let Some(verified) = &verified
                    && let Err(error) = self.keep_token(id, version, &verified.token).await
                {
                    // The change is stored; another token is fetched when one is needed.
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the first access token of changed values could not be kept"
                    );
                }
                Ok(CredentialUpdate::Updated { changed, verified: verified.is_some() })
            }
            CredentialChanged::NameTaken => Ok(name_taken(caller, connector, opened, input)),
            CredentialChanged::Outdated => self.outdated(caller, opened, input).await,
            CredentialChanged::NotAllowed => {
                let detail = format!("{WANTED}: the account was disabled or its role changed meanwhile");
                let about = target(TargetKind::Credential, id, &summary.name);
                let audit = self.audit(caller, AuditAction::ChangeCredential, about, AuditOutcome::Refused, detail);
                self.0.store.record(&audit).await?;
                Err(ServiceError::Refused(Permission::MakeCredentials))
            }
        }
    }

    /// The credential is not what the form was made from any more: because somebody changed it, or because the same
    /// form was sent twice and the other half was quicker.
    async fn outdated(&self, caller: &Caller, before: &Opened, input: &CredentialInput) -> Result<CredentialUpdate, ServiceError> {
        let present = match self.opened(caller, before.row.summary.id).await? {
            Ok(present) => present,
            Err(obstacle) => return Ok(obstacle),
        };
        if !changed_labels(&present.connector, &present, input).is_empty() {
            return Ok(CredentialUpdate::Outdated);
        }
        let verified = present.row.summary.version != before.row.summary.version;
        Ok(CredentialUpdate::Updated { changed: changed_labels(&before.connector, before, input), verified })
    }
}

/// The labels of the secrets that were typed, now or in an earlier try: they are verified even where they are the stored ones.
fn typed_secrets<'a>(connector: &'a Connector, raw: &RawForm, tried: Option<&Kept>) -> impl Iterator<Item = &'a str> {
    let typed = move |field: &&Field| {
        !raw.typed(&field.id).trim().is_empty() || tried.is_some_and(|tried| tried.values.get(&field.id).is_some())
    };
    connector.fields.iter().filter(|field| field.secret).filter(typed).map(|field| field.label.as_str())
}

fn same_values(stored: &FieldValues, input: &FieldValues) -> bool {
    *stored.to_bytes() == *input.to_bytes()
}

/// What people call that which is different from what is stored.
fn changed_labels(connector: &Connector, opened: &Opened, input: &CredentialInput) -> Vec<String> {
    let mut changed = Vec::new();
    if input.name.as_str() != opened.row.summary.name {
        changed.push("Credential Name".to_owned());
    }
    if input.description.as_str() != opened.row.summary.description {
        changed.push("Credential Description".to_owned());
    }
    let differs = |id: &str| opened.values.expose(id) != input.values.expose(id);
    let fields = connector.fields.iter().filter(|field| differs(field.id.as_str()));
    changed.extend(fields.map(|field| field.label.clone()));
    if changed.is_empty() && !same_values(&opened.values, &input.values) {
        // A field that the connector no longer has, or has come to call secret.
        changed.push("fields of the connector".to_owned());
    }
    changed
}

fn name_taken(caller: &Caller, connector: &Connector, opened: &Opened, input: &CredentialInput) -> CredentialUpdate {
    let name = input.name.as_str();
    let who = match &opened.row.owner {
        Some(owner) if Some(owner.id) != caller.user() => format!("Its owner, {}, already has", owner.name),
        _ => "You already have".to_owned(),
    };
    let message = format!("{who} a {} credential named “{name}”. Choose another name.", connector.name);
    CredentialUpdate::Invalid(vec![FieldError::new("name", message)])
}
