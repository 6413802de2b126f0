//! Drafts: what was typed into an overlay and has not been saved. Sealed, bound to one session, and gone
//! 15 minutes after the last try.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;

use super::{Service, ServiceError, sessions::Session};
use crate::{
    crypto::envelope::Place,
    domain::{
        connector::{Connector, FieldId},
        credential::CredentialId,
        form::{self, RawForm},
        time::Timestamp,
        values::{FieldValue, FieldValues},
    },
    store::{DraftRow, DraftState, NewDraft},
};

/// How long a draft is kept after the last try.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Name and description are sealed with the values, under ids that no connector may use.
const NAME: &str = "name";
const DESCRIPTION: &str = "description";

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
    /// When it was typed, if this form was brought back from an earlier visit.
    pub restored_from: Option<Timestamp>,
}

/// A draft that is open, or the credential it became.
pub(super) enum Draft {
    Open { values: FieldValues, version: i64 },
    Saved(CredentialId),
}

impl Service {
    /// A form to fill in: the session's unsaved draft for this connector, or an empty one.
    pub async fn open_form(&self, session: &Session, connector: &Connector) -> Result<FormState, ServiceError> {
        if let Some(row) = self.0.store.latest_open_draft(&session.hash, &connector.id, self.now()).await? {
            let values = self.draft_values(&row)?;
            return Ok(form_state(row.id, connector, &values, Some(row.updated_at)));
        }
        Ok(form_state(self.new_id(), connector, &FieldValues::default(), None))
    }

    /// Forgets a draft of this session.
    pub async fn discard_draft(&self, session: &Session, draft: Uuid) -> Result<(), ServiceError> {
        self.0.store.delete_draft(draft, &session.hash).await?;
        Ok(())
    }

    /// The session's draft of this id.
    pub(super) async fn draft(&self, session: &Session, id: Uuid) -> Result<Option<Draft>, ServiceError> {
        let Some(row) = self.0.store.draft(id, &session.hash, self.now()).await? else { return Ok(None) };
        Ok(Some(match row.state {
            DraftState::SavedAs(credential) => Draft::Saved(credential),
            DraftState::Open(_) => Draft::Open { values: self.draft_values(&row)?, version: row.version },
        }))
    }

    /// Keeps what was typed, under this id, or under a new one if the id is taken: by another session, or
    /// by a form that has been saved. Returns the state of the form to show again.
    pub(super) async fn keep_draft(
        &self,
        session: &Session,
        connector: &Connector,
        id: Uuid,
        raw: &RawForm,
        kept: Option<&FieldValues>,
        version: i64,
    ) -> Result<FormState, ServiceError> {
        let mut values = form::values_as_typed(connector, raw, kept);
        for (own, typed) in [(NAME, &raw.name), (DESCRIPTION, &raw.description)] {
            if let Some(field) = FieldId::new(own) {
                values.insert(field, FieldValue::Plain(typed.chars().take(form::TYPED_MAX).collect()));
            }
        }
        let mut state = form_state(id, connector, &values, None);
        if !self.put_draft(session, connector, id, &values, version).await? {
            state.draft = self.new_id();
            self.put_draft(session, connector, state.draft, &values, 1).await?;
        }
        Ok(state)
    }

    async fn put_draft(
        &self,
        session: &Session,
        connector: &Connector,
        id: Uuid,
        values: &FieldValues,
        version: i64,
    ) -> Result<bool, ServiceError> {
        let now = self.now();
        let draft = NewDraft {
            id,
            session: session.hash,
            connector: connector.id.clone(),
            sealed: self.0.keyring.seal_packed(&Place::draft(id, version, &session.hash, &connector.id), &values.to_bytes()),
            version,
            updated_at: now,
            expires_at: now.plus(LIFETIME),
        };
        Ok(self.0.store.put_draft(&draft).await?)
    }

    fn draft_values(&self, row: &DraftRow) -> Result<FieldValues, ServiceError> {
        let place = Place::draft(row.id, row.version, &row.session, &row.connector);
        let DraftState::Open(sealed) = &row.state else { return Ok(FieldValues::default()) };
        let bytes = self.open(&place, sealed)?;
        FieldValues::from_bytes(&bytes).ok_or(ServiceError::Unreadable { table: place.table })
    }
}

fn form_state(draft: Uuid, connector: &Connector, values: &FieldValues, restored_from: Option<Timestamp>) -> FormState {
    let mut state = FormState {
        draft,
        name: values.plain(NAME).unwrap_or_default().to_owned(),
        description: values.plain(DESCRIPTION).unwrap_or_default().to_owned(),
        values: BTreeMap::new(),
        kept_secrets: BTreeSet::new(),
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
