//! The form for editing a credential, and its unsaved input.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    drafts::{self, Draft, FormState, Typed, form_state},
    edit::{CredentialUpdate, Opened},
};
use crate::{
    domain::{
        connectors::{Connector, ConnectorId},
        credentials::{
            CredentialId, edit_form,
            form::{self, Kept, RawForm},
            verification::StageObserver,
        },
    },
    service::{Service, ServiceError, access::caller::Caller},
};

/// The form for editing a credential. Contains no secret.
#[derive(Debug, Clone)]
pub struct EditForm {
    pub connector: Arc<Connector>,
    /// The stored name.
    pub name: String,
    /// The values to show.
    pub form: FormState,
    /// The revision that the form was made from; sent back with it.
    pub revision: String,
}

/// The result of an edit with the form.
pub struct Edited {
    pub update: CredentialUpdate,
    /// The form to show again, unless the credential was updated or can't be edited. It has the current revision,
    /// so that sending it again confirms changes that were reported as outdated.
    pub again: Option<EditForm>,
}

impl Service {
    /// The form for editing a credential, with the caller's unsaved input or the stored values. The inner error
    /// says why there is none.
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

    /// The connector of a credential that the caller manages, whose fields its form has.
    pub async fn credential_connector(
        &self,
        caller: &Caller,
        id: CredentialId,
    ) -> Result<Result<Arc<Connector>, CredentialUpdate>, ServiceError> {
        Ok(self.opened(caller, id).await?.map(|opened| opened.connector))
    }

    /// Changes a credential with the form. The input is kept until that is done. Runs to its end as
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

    /// Keeps the input if it can't be saved now because the session expired.
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
                    // The change is stored; the draft expires by itself.
                    tracing::error!(error = &error as &dyn std::error::Error, "could not delete the draft of an edit");
                }
                None
            }
            CredentialUpdate::NotFound | CredentialUpdate::Unusable => None,
            // Read again, because the form is to be sent from what is stored now.
            CredentialUpdate::Outdated => self.opened(caller, id).await?.ok().map(|present| self.form_again(&present, form)),
            CredentialUpdate::Invalid(_) | CredentialUpdate::Rejected(_) => {
                let mut again = self.form_again(&opened, form);
                // The form keeps its original revision, so that a second attempt doesn't overwrite someone else's
                // change.
                again.revision = expected.to_owned();
                Some(again)
            }
        };
        Ok(Edited { update, again })
    }

    /// Keeps the input in a draft of this credential's form. Returns what was kept from an earlier attempt.
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
            // The id isn't this form's to use.
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
}
