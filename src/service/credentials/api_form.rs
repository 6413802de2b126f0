//! What programs send, as the form that people fill in: a credential to be created or changed.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use super::{
    create::{NewStored, name_taken},
    edit::{CredentialUpdate, Opened},
};
use crate::{
    domain::{
        access::permission::Permission,
        connectors::{Connector, Field, FieldId},
        credentials::{
            CredentialId,
            edit_form::without_masked,
            form::{self, FieldError, RawForm},
            verification::{StageObserver, Unobserved, Verification},
        },
        form_errors::FormError,
    },
    service::{
        Service, ServiceError,
        access::caller::Caller,
        api_keys::idempotency::{Once, Seen},
    },
    store::DraftKey,
};

/// A credential that a program wants to have created.
pub struct ProgramCredential {
    /// Its name.
    pub name: String,
    /// Its description, or an empty text.
    pub description: String,
    /// The values of the connector's fields, by their ids.
    pub fields: BTreeMap<String, SecretString>,
}

/// What a program wants changed of a credential. What it leaves out stays.
#[derive(Default)]
pub struct CredentialPatch {
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Other values of fields, by their ids; `None` for the value that a field has when nothing is typed.
    pub fields: BTreeMap<String, Option<SecretString>>,
}

/// How creating a credential ended.
pub enum CredentialCreation {
    /// It is stored, or was stored before by the same request.
    Created(CredentialId),
    /// Fields are wrong; nothing was stored.
    Invalid(Vec<FieldError>),
    /// The service, or the way to it, did not accept the values; nothing was stored. `failure` says why.
    Rejected(Box<Verification>),
    /// Another request has used this idempotency key.
    KeyUsed,
}

impl Service {
    /// Creates a credential for a program. It is verified as Save does; nothing of it is kept where it is not created,
    /// since the program has it. Asked again with the same `once`, it is created no second time.
    ///
    /// Runs to its end even when the caller goes away.
    pub async fn create_credential(
        &self,
        caller: Caller,
        connector: Arc<Connector>,
        once: Option<Once>,
        wanted: ProgramCredential,
    ) -> Result<CredentialCreation, ServiceError> {
        let service = self.clone();
        self.to_its_end(async move { service.create(&caller, &connector, once.as_ref(), wanted).await }).await
    }

    async fn create(
        &self,
        caller: &Caller,
        connector: &Connector,
        once: Option<&Once>,
        wanted: ProgramCredential,
    ) -> Result<CredentialCreation, ServiceError> {
        const WANTED: &str = "adding a credential";
        let owner = self.require_person(caller, Permission::MakeCredentials, WANTED).await?;
        self.require_unlimited(caller, Permission::MakeCredentials, WANTED).await?;
        if let Some(once) = once {
            match self.credential_of(owner, once).await? {
                Seen::Not => {}
                Seen::Done(credential) => return Ok(CredentialCreation::Created(credential)),
                Seen::Other => return Ok(CredentialCreation::KeyUsed),
            }
        }
        let raw = match form_of_program(connector, wanted.name, wanted.description, wanted.fields) {
            Ok(raw) => raw,
            Err(errors) => return Ok(CredentialCreation::Invalid(errors)),
        };
        let input = match form::parse(connector, &raw, None) {
            Ok(input) => input,
            Err(errors) => return Ok(CredentialCreation::Invalid(errors)),
        };
        let taken = || Ok(CredentialCreation::Invalid(vec![name_taken(connector, input.name.as_str())]));
        // Asked for early, so that nobody waits for a verification only to hear that the name is taken. What
        // decides is the constraint of the database.
        if self.0.store.credential_named(&connector.id, owner, &input.name.key()).await?.is_some() {
            return match self.done_meanwhile(owner, once).await? {
                Some(credential) => Ok(CredentialCreation::Created(credential)),
                None => taken(),
            };
        }
        let verified = match self.verify_new(caller, connector, &input.values, &Unobserved).await? {
            Ok(verified) => verified,
            Err(verification) => return Ok(CredentialCreation::Rejected(verification)),
        };
        let draft = match once {
            None => None,
            Some(once) if self.begin_once(owner, once).await? => Some(DraftKey { id: once.id, owner }),
            // The same key was used while this one was verified.
            Some(once) => match self.credential_of(owner, once).await? {
                Seen::Done(credential) => return Ok(CredentialCreation::Created(credential)),
                Seen::Not | Seen::Other => return Ok(CredentialCreation::KeyUsed),
            },
        };
        match self.store_new(caller, owner, connector, &input, &verified, draft).await? {
            NewStored::Now(credential) | NewStored::Before(credential) => Ok(CredentialCreation::Created(credential)),
            NewStored::NameTaken => match self.done_meanwhile(owner, once).await? {
                Some(credential) => Ok(CredentialCreation::Created(credential)),
                None => taken(),
            },
        }
    }

    /// Changes a credential by what a program sends. A secret that is left out is kept; for the rest see
    /// [`Self::update_credential`]. `expected` is the revision that the program has seen, if that matters.
    pub async fn patch_credential(
        &self,
        caller: Caller,
        id: CredentialId,
        expected: Option<String>,
        patch: CredentialPatch,
        observer: Arc<dyn StageObserver>,
    ) -> Result<CredentialUpdate, ServiceError> {
        let service = self.clone();
        let work = async move {
            let opened = match service.opened(&caller, id).await? {
                Ok(opened) => opened,
                Err(obstacle) => return Ok(obstacle),
            };
            match patched(&opened, patch) {
                Ok(raw) => service.update(&caller, &opened, expected.as_deref(), &raw, None, &*observer).await,
                Err(errors) => Ok(CredentialUpdate::Invalid(errors)),
            }
        };
        self.to_its_end(work).await
    }
}

/// The form of a new credential. The error is one for each field that there is not, and for each secret that is none.
pub(in crate::service) fn form_of_program(
    connector: &Connector,
    name: String,
    description: String,
    fields: BTreeMap<String, SecretString>,
) -> Result<RawForm, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut raw = RawForm { name, description, fields: BTreeMap::new() };
    for (id, value) in fields {
        match field_of(connector, &id) {
            Ok(field) => drop(raw.fields.insert(field.id.clone(), value)),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(without_masked(connector, &raw).1);
    if errors.is_empty() { Ok(raw) } else { Err(errors) }
}

/// The form of a stored credential with what a program wants changed.
fn patched(opened: &Opened, patch: CredentialPatch) -> Result<RawForm, Vec<FieldError>> {
    let (connector, summary) = (&*opened.connector, &opened.row.summary);
    let mut errors = Vec::new();
    let mut raw = RawForm {
        name: patch.name.unwrap_or_else(|| summary.name.clone()),
        description: patch.description.unwrap_or_else(|| summary.description.clone()),
        fields: BTreeMap::new(),
    };
    for field in connector.fields.iter().filter(|field| !field.secret) {
        if let Some(value) = opened.values.plain(field.id.as_str()) {
            raw.fields.insert(field.id.clone(), value.into());
        }
    }
    for (id, value) in patch.fields {
        let field = match field_of(connector, &id) {
            Ok(field) => field,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let is_empty = value.as_ref().is_none_or(|value| value.expose_secret().trim().is_empty());
        match value {
            _ if field.secret && is_empty => {
                errors.push(FieldError::of(id, FormError::SecretMissingInPatch, &[("field", &field.label)]));
            }
            Some(value) => drop(raw.fields.insert(field.id.clone(), value)),
            None => drop(raw.fields.remove(&field.id)),
        }
    }
    if errors.is_empty() { Ok(raw) } else { Err(errors) }
}

fn field_of<'a>(connector: &'a Connector, id: &str) -> Result<&'a Field, FieldError> {
    connector.field(id).ok_or_else(|| {
        let known: Vec<&str> = connector.fields.iter().map(|field| FieldId::as_str(&field.id)).collect();
        FieldError::of(id, FormError::FieldUnknown, &[("service", &connector.name), ("fields", &known.join(", "))])
    })
}
