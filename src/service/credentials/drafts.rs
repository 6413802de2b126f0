//! Drafts: input of the overlay that hasn't been saved. Sealed, bound to one user, and deleted 15 minutes after the
//! last attempt.

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

/// How long a draft is kept after the last attempt.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const NAME: &str = "name";
const DESCRIPTION: &str = "description";
const SECRETS_FOR: &str = "draft";

/// The state of the overlay's form. Contains no secret.
#[derive(Debug, Clone)]
pub struct FormState {
    /// Identifies the form; sent in the hidden input `draft`. Submitting it twice saves once.
    pub draft: Uuid,
    /// As typed.
    pub name: String,
    /// As typed.
    pub description: String,
    /// As typed, without secrets.
    pub values: BTreeMap<FieldId, String>,
    /// Secret fields whose value is kept from the last attempt.
    pub kept_secrets: BTreeSet<FieldId>,
    /// Those of `kept_secrets` that have the stored value, when a credential is edited.
    pub stored_secrets: BTreeSet<FieldId>,
    /// When it was typed, if the form is restored from an earlier visit.
    pub restored_from: Option<Timestamp>,
}

/// An open draft, or the credential that it was saved as.
pub(in crate::service) enum Draft {
    Open { kept: Kept, version: i64 },
    Saved(CredentialId),
}

impl Service {
    /// A form to fill in: the caller's unsaved draft for this connector, or an empty form.
    pub async fn open_form(&self, caller: &Caller, connector: &Connector) -> Result<FormState, ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        if let Some(form) = self.restored(owner, connector, &connector.id).await? {
            return Ok(form);
        }
        Ok(form_state(self.new_id(), connector, &FieldValues::default(), None))
    }

    /// The user's newest unsaved draft of this form.
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

    /// Deletes a draft of the caller.
    pub async fn discard_draft(&self, caller: &Caller, draft: Uuid) -> Result<(), ServiceError> {
        let owner = self.require_person(caller, Permission::MakeCredentials, "adding a credential").await?;
        self.0.store.delete_draft(draft, owner).await?;
        Ok(())
    }

    /// The user's draft with this id, if it belongs to this form (the id of the connector, or [`edit_form`]): input
    /// for one service must never be sent to another.
    pub(in crate::service) async fn draft(&self, owner: UserId, of: &ConnectorId, id: Uuid) -> Result<Option<Draft>, ServiceError> {
        let found = self.0.store.draft(id, owner, self.now()).await?;
        let Some(row) = found.filter(|row| row.connector == *of) else { return Ok(None) };
        if let DraftState::SavedAs(credential) = row.state {
            return Ok(Some(Draft::Saved(credential)));
        }
        let kept = self.open_draft(&row).await?;
        Ok(kept.map(|kept| Draft::Open { kept, version: row.version }))
    }

    /// Seals and keeps the input under this id, and returns the form to show again. `None` if the id is used by
    /// someone else, or by a form that has been saved.
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

    /// The form to show again if nothing could be kept. Secrets must be typed again.
    pub(in crate::service) fn unkept_form(&self, connector: &Connector, typed: &Typed<'_>) -> FormState {
        let mut form = form_state(self.new_id(), connector, &typed.values, None);
        form.kept_secrets.clear();
        form
    }

    /// The content of a draft. A draft that can't be opened is deleted and logged, because otherwise it would block
    /// every new form until it expires.
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

/// Stored in place of the connector in the draft of an edit: identifies the form of this one credential. So an edit
/// is never restored into the form of a new credential, or of another one.
pub(in crate::service) fn edit_form(credential: CredentialId) -> Option<ConnectorId> {
    ConnectorId::new(&format!("edit-{credential}"))
}

/// The input in the format of a draft: name, description and the destinations of secrets are stored next to the
/// values, under ids that connectors can't use.
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
        // A map of strings always serializes.
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
