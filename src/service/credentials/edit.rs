//! Editing a credential: the input is parsed, verified if it affects the connection to the service, and replaces
//! the stored values in one step. If anything goes wrong, the credential stays unchanged.

use std::sync::Arc;

use super::verify::Verified;
use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        connectors::{Connector, Field},
        credentials::{
            CredentialId, CredentialSummary, edit_form,
            form::{CredentialInput, FieldError, Kept, RawForm},
            values::FieldValues,
            verification::{StageObserver, Verification},
        },
        form_errors::FormError,
        users::UserId,
    },
    service::{Service, ServiceError, access::caller::Caller, audit::record::target},
    store::{CredentialChange, CredentialChanged, CredentialRow, NewValues},
};

const WANTED: &str = "editing a credential";

/// The result of an edit.
pub enum CredentialUpdate {
    /// The credential is as requested.
    Updated {
        /// The labels of what was changed; empty if nothing had to change.
        changed: Vec<String>,
        /// True if new values were verified and stored.
        verified: bool,
    },
    /// Fields are invalid; nothing was changed.
    Invalid(Vec<FieldError>),
    /// The service rejected the values or couldn't be reached; nothing was changed. `failure` says why.
    Rejected(Box<Verification>),
    /// The credential was changed in the meantime; nothing was changed now.
    Outdated,
    /// Its connector no longer exists, or its stored values can't be opened.
    Unusable,
    NotFound,
}

/// A credential that the caller manages, opened.
pub(in crate::service) struct Opened {
    pub(in crate::service) manager: UserId,
    pub(in crate::service) row: CredentialRow,
    pub(in crate::service) connector: Arc<Connector>,
    pub(in crate::service) values: FieldValues,
}

impl Service {
    /// The revision of a credential: changes with its name, its description and the version of its values, and is
    /// the `expected` of [`Self::update_credential`]. A keyed hash, which reveals nothing without the keyring.
    pub fn revision(&self, credential: &CredentialSummary) -> String {
        let digest = self.0.fingerprint.of(&[credential.name.as_bytes(), credential.description.as_bytes()]);
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digest}", credential.version)
    }

    /// Changes a credential. Empty or absent secrets are kept, everything else is set as in `raw`, including the
    /// connector's defaults. `expected` is the revision that the caller has seen, if it must still be current.
    ///
    /// If only name and description change, nothing is verified and `version` stays the same. Otherwise the values
    /// are verified first, and a kept secret may only be sent to where it was verified.
    ///
    /// Runs to its end even if the caller goes away; repeating the call tells whether it was done.
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

    pub(in crate::service) async fn opened(
        &self,
        caller: &Caller,
        id: CredentialId,
    ) -> Result<Result<Opened, CredentialUpdate>, ServiceError> {
        let Some((manager, row)) = self.managed(caller, id, WANTED).await? else { return Ok(Err(CredentialUpdate::NotFound)) };
        let Some(connector) = self.catalogue().get(row.summary.connector.as_str()).cloned() else {
            return Ok(Err(CredentialUpdate::Unusable));
        };
        Ok(match self.open_values(&row.summary, &row.secret) {
            Ok(values) => Ok(Opened { manager, row, connector, values }),
            Err(error) => {
                tracing::error!(credential = %id, error = &error as &dyn std::error::Error, "cannot decrypt a credential");
                Err(CredentialUpdate::Unusable)
            }
        })
    }

    pub(in crate::service) async fn update(
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
                // A masked secret is reported only once.
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
        // Checked early, so that nobody waits for a verification only to learn that the name is taken. The
        // constraint of the database decides.
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
            verification: self.sealed_verification(id, version, &verified.verification),
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
                if let Some(verified) = &verified {
                    self.count_verification(caller, id, &verified.verification);
                    if let Err(error) = self.keep_token(id, version, &verified.token).await {
                        // The change is stored; another token is fetched when it is needed.
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "could not store the first access token for the changed values"
                        );
                    }
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

    /// The credential has changed since the form was made: someone edited it, or the same form was sent twice and
    /// the other request was faster.
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

/// The labels of the secrets that were typed, now or in an earlier attempt. They are verified even if they equal
/// the stored ones.
fn typed_secrets<'a>(connector: &'a Connector, raw: &RawForm, tried: Option<&Kept>) -> impl Iterator<Item = &'a str> {
    let typed = move |field: &&Field| {
        !raw.typed(&field.id).trim().is_empty() || tried.is_some_and(|tried| tried.values.get(&field.id).is_some())
    };
    connector.fields.iter().filter(|field| field.secret).filter(typed).map(|field| field.label.as_str())
}

fn same_values(stored: &FieldValues, input: &FieldValues) -> bool {
    *stored.to_bytes() == *input.to_bytes()
}

/// The labels of what differs from the stored values.
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
        // A field that the connector no longer has, or that it now treats as secret.
        changed.push("fields of the connector".to_owned());
    }
    changed
}

fn name_taken(caller: &Caller, connector: &Connector, opened: &Opened, input: &CredentialInput) -> CredentialUpdate {
    let name = input.name.as_str();
    let error = match &opened.row.owner {
        Some(owner) if Some(owner.id) != caller.user() => {
            let parts = [("owner", owner.name.as_str()), ("service", &connector.name), ("name", name)];
            FieldError::of("name", FormError::CredentialNameTakenByOwner, &parts)
        }
        _ => super::create::name_taken(connector, name),
    };
    CredentialUpdate::Invalid(vec![error])
}
