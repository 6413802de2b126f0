//! The form in which a credential is edited, and what was typed into it and has not been saved.

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

impl Service {
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
                    tracing::error!(error = &error as &dyn std::error::Error, "could not delete the draft of an edit");
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
}
