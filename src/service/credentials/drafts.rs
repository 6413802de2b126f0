//! Drafts: what was typed into an overlay and has not been saved. Sealed, bound to one person, and gone
//! 15 minutes after the last try.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    crypto::envelope::Place,
    domain::{
        access::permission::Permission,
        connectors::{Connector, ConnectorId, FieldId},
        credentials::{
            CredentialId,
            form::{Kept, RawForm},
            values::{FieldValue, FieldValues},
        },
        time::Timestamp,
        users::UserId,
    },
    service::{Service, ServiceError, access::caller::Caller},
    store::{DraftRow, DraftState, NewDraft},
};

/// How long a draft is kept after the last try.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const NAME: &str = "name";
const DESCRIPTION: &str = "description";
const SECRETS_FOR: &str = "draft";

/// The state of the overlay's form. Holds no secret.
#[derive(Debug, Clone)]
pub struct FormState {
    /// Identifies the form; a hidden input `draft`. Submitting it twice saves once.
    pub draft: Uuid,
    /// As typed.
    pub name: String,
    /// As typed.
    pub description: String,
    /// As typed, without secrets.
    pub values: BTreeMap<FieldId, String>,
    /// Secret fields whose value is kept from the last try.
    pub kept_secrets: BTreeSet<FieldId>,
    /// Those of them whose value is the one that is stored, when a credential is edited.
    pub stored_secrets: BTreeSet<FieldId>,
    /// When it was typed, if this form was brought back from an earlier visit.
    pub restored_from: Option<Timestamp>,
}

/// A draft that is open, or the credential it became.
pub(in crate::service) enum Draft {
    Open { kept: Kept, version: i64 },
    Saved(CredentialId),
}

impl Service {
    /// A form to fill in: the caller's unsaved draft for this connector, or an empty one.
    pub async fn open_form(&self, caller: &Caller, connector: &Connector) -> Result<FormState, ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        if let Some(form) = self.restored(owner, connector, &connector.id).await? {
            return Ok(form);
        }
        Ok(form_state(self.new_id(), connector, &FieldValues::default(), None))
    }

    /// The newest form of this kind that somebody has not saved.
    pub(in crate::service) async fn restored(
        &self,
        owner: UserId,
        connector: &Connector,
        of: &ConnectorId,
    ) -> Result<Option<FormState>, ServiceError> {
        let Some(row) = self.0.store.latest_open_draft(owner, of, self.now()).await? else { return Ok(None) };
        let kept = self.open_draft(&row).await?;
        Ok(kept.map(|kept| form_state(row.id, connector, &kept.values, Some(row.updated_at))))
    }

    /// Forgets a draft of the caller.
    pub async fn discard_draft(&self, caller: &Caller, draft: Uuid) -> Result<(), ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        self.0.store.delete_draft(draft, owner).await?;
        Ok(())
    }

    /// Somebody's draft of this id, if it is one of this form (the id of the connector, or [`edit_form`]): what was
    /// typed for one service is never sent to another.
    pub(in crate::service) async fn draft(&self, owner: UserId, of: &ConnectorId, id: Uuid) -> Result<Option<Draft>, ServiceError> {
        let found = self.0.store.draft(id, owner, self.now()).await?;
        let Some(row) = found.filter(|row| row.connector == *of) else { return Ok(None) };
        if let DraftState::SavedAs(credential) = row.state {
            return Ok(Some(Draft::Saved(credential)));
        }
        let kept = self.open_draft(&row).await?;
        Ok(kept.map(|kept| Draft::Open { kept, version: row.version }))
    }

    /// Keeps what was typed, sealed, under this id, and returns the form to show again. `None` if the id is
    /// taken: by somebody else, or by a form that has been saved.
    pub(in crate::service) async fn keep_draft(
        &self,
        owner: UserId,
        connector: &Connector,
        of: &ConnectorId,
        (id, version): (Uuid, i64),
        typed: &Typed<'_>,
    ) -> Result<Option<FormState>, ServiceError> {
        let now = self.now();
        let draft = NewDraft {
            id,
            owner,
            connector: of.clone(),
            sealed: self.0.keyring.seal_packed(&Place::draft(id, version, &owner, of), &typed.to_bytes()),
            version,
            updated_at: now,
            expires_at: now.plus(LIFETIME),
        };
        let kept = self.0.store.put_draft(&draft).await?;
        Ok(kept.then(|| form_state(id, connector, &typed.values, None)))
    }

    /// The form to show again where nothing could be kept: without secrets, since they are gone.
    pub(in crate::service) fn unkept_form(&self, connector: &Connector, typed: &Typed<'_>) -> FormState {
        let mut form = form_state(self.new_id(), connector, &typed.values, None);
        form.kept_secrets.clear();
        form
    }

    /// What is kept in a draft. One that does not open is deleted, so that it does not stand in the way of
    /// every next form until its time is over; that is logged.
    async fn open_draft(&self, row: &DraftRow) -> Result<Option<Kept>, ServiceError> {
        let DraftState::Open(sealed) = &row.state else { return Ok(None) };
        let opened = self.open(&Place::draft(row.id, row.version, &row.owner, &row.connector), sealed);
        let kept = opened.map(|bytes| FieldValues::from_bytes(&bytes).and_then(kept_of));
        if let Ok(Some(kept)) = kept {
            return Ok(Some(kept));
        }
        let cause = kept.err();
        tracing::error!(draft = %row.id, error = cause.as_ref().map(|error| error as &dyn std::error::Error), "cannot decrypt a draft; deleting it");
        self.0.store.delete_draft(row.id, row.owner).await?;
        Ok(None)
    }
}

/// What stands in the place of the connector in the draft of an edit: the form of this one credential. No edit is
/// offered as a new credential, and none of one credential for another.
pub(in crate::service) fn edit_form(credential: CredentialId) -> Option<ConnectorId> {
    ConnectorId::new(&format!("edit-{credential}"))
}

/// What was typed, in the shape in which a draft keeps it: name, description and the destinations of
/// secrets stand beside the values, under ids that no connector may use.
pub(in crate::service) struct Typed<'a> {
    values: FieldValues,
    secrets_for: &'a BTreeMap<FieldId, String>,
}

impl<'a> Typed<'a> {
    pub(in crate::service) fn new(raw: &RawForm, kept: &'a Kept) -> Self {
        let mut values = kept.values.clone();
        for (own, typed) in [(NAME, &raw.name), (DESCRIPTION, &raw.description)] {
            values.insert_own(own, typed);
        }
        Self { values, secrets_for: &kept.secrets_for }
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut values = self.values.clone();
        // A map of texts always serialises.
        values.insert_own(SECRETS_FOR, &serde_json::to_string(self.secrets_for).unwrap_or_default());
        values.to_bytes()
    }
}

fn kept_of(values: FieldValues) -> Option<Kept> {
    let secrets_for = serde_json::from_str(values.plain(SECRETS_FOR)?).ok()?;
    Some(Kept { values, secrets_for })
}

pub(in crate::service) fn form_state(
    draft: Uuid,
    connector: &Connector,
    values: &FieldValues,
    restored_from: Option<Timestamp>,
) -> FormState {
    let mut state = FormState {
        draft,
        name: values.plain(NAME).unwrap_or_default().to_owned(),
        description: values.plain(DESCRIPTION).unwrap_or_default().to_owned(),
        values: BTreeMap::new(),
        kept_secrets: BTreeSet::new(),
        stored_secrets: BTreeSet::new(),
        restored_from,
    };
    for field in &connector.fields {
        match values.get(&field.id) {
            Some(FieldValue::Secret(_)) => {
                state.kept_secrets.insert(field.id.clone());
            }
            Some(FieldValue::Plain(value)) => {
                state.values.insert(field.id.clone(), value.clone());
            }
            None => {
                if let Some(default) = &field.default {
                    state.values.insert(field.id.clone(), default.clone());
                }
            }
        }
    }
    state
}
