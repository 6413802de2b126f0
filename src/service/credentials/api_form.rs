//! The input of API clients, turned into the form that people fill in: a credential to create or change.

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
            form::{self, FieldError, FieldFault, RawForm},
            verification::{StageObserver, Unobserved, Verification},
        },
    },
    service::{
        Service, ServiceError,
        access::caller::Caller,
        api_keys::idempotency::{Once, Seen},
    },
    store::DraftKey,
};

/// A credential that an API client wants to create.
pub struct ProgramCredential {
    pub name: String,
    /// May be empty.
    pub description: String,
    /// The values of the connector's fields, by field id.
    pub fields: BTreeMap<String, SecretString>,
}

/// The changes that an API client wants in a credential. Absent values stay unchanged.
#[derive(Default)]
pub struct CredentialPatch {
    pub name: Option<String>,
    pub description: Option<String>,
    /// New values, by field id; `None` resets a field to the value that it has when nothing is typed.
    pub fields: BTreeMap<String, Option<SecretString>>,
}

/// The result of creating a credential.
pub enum CredentialCreation {
    /// Stored now, or earlier by the same request.
    Created(CredentialId),
    /// Fields are invalid; nothing was stored.
    Invalid(Vec<FieldError>),
    /// The service rejected the values or couldn't be reached; nothing was stored. `failure` says why.
    Rejected(Box<Verification>),
    /// Another request has used this idempotency key.
    KeyUsed,
}

impl Service {
    /// Creates a credential for an API client, verified as Save does. If that fails nothing is kept, since the
    /// client has the values. A repeated call with the same `once` creates nothing new.
    ///
    /// Runs to its end even if the caller goes away.
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
        // Checked early, so that nobody waits for a verification only to learn that the name is taken. The
        // constraint of the database decides.
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
            // A request with the same key was faster.
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

    /// Changes a credential as an API client asks. Absent secrets are kept; for the rest see
    /// [`Self::update_credential`]. `expected` is the revision that the client has seen, if it must still be
    /// current.
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

/// The form of a new credential. Errors are unknown fields, and secrets that are not set.
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

/// The form of a stored credential with an API client's changes.
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
                let message = format!("Send the {} whole, or leave it out to keep the stored one.", field.label);
                errors.push(FieldError::new(id, message));
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
        let message = format!("{} has no such field. Its fields are {}.", connector.name, known.join(", "));
        FieldError::new(id, message).coded(FieldFault::Unknown)
    })
}
