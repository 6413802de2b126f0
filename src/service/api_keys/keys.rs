//! Managing API keys: creating, listing and revoking them. A key is shown once, when it is created; only its hash
//! is stored. Checking a key is in [`super::authenticate`].

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    crypto::{hash, random},
    domain::{
        access::permission::Permission,
        api_keys::{ApiKeyId, ApiKeyText, Scope, Scopes, parse_expiry},
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        naming::Name,
        resources::{ResourceId, ResourceKind},
        time::Timestamp,
        users::{UserState, email_key},
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Origin, Person},
        audit::record::target,
        pagination::{self, PAGE},
        resources::ResourceSummary,
    },
    store::{ApiKeyInsert, ApiKeyResource, ApiKeyRow, NewApiKey},
};

/// The most resources that a key can be limited to.
pub const RESOURCES_MAX: usize = 100;
/// The most resources of each kind to choose from.
pub const OFFERED_MAX: usize = 200;
/// The most users to choose from. Any other can be typed.
const OWNERS_MAX: i64 = 500;

/// The form for a new key, as it was submitted.
#[derive(Debug, Clone, Default)]
pub struct RawApiKey {
    /// The email address of the user that the key acts as.
    pub owner: String,
    pub name: String,
    /// Names of scopes.
    pub scopes: Vec<String>,
    /// True if the key is limited to `resources`.
    pub restricted: bool,
    /// The ids of the resources that the key is limited to.
    pub resources: Vec<String>,
    /// When the key expires: see [`parse_expiry`].
    pub expires: String,
}

/// The result of creating a key.
pub enum KeyCreation {
    /// Created. This is the only time that the key itself is known.
    Created { id: ApiKeyId, key: ApiKeyText },
    /// The same form has created this key before; it can't be shown again.
    AlreadyMade(ApiKeyId),
    /// Fields are invalid: `owner`, `name`, `scopes`, `resources` or `expires`.
    Invalid(Vec<FieldError>),
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Active,
    /// Revoked at this time.
    Revoked(Timestamp),
    Expired,
    /// The user that it acts as is disabled.
    OwnerDisabled,
}

/// A key in a list.
#[derive(Debug, Clone)]
pub struct KeySummary {
    pub id: ApiKeyId,
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// The user that it acts as.
    pub owner: Person,
    pub scopes: Scopes,
    /// True if it is limited to certain resources.
    pub restricted: bool,
    pub created_at: Timestamp,
    /// `None` if it doesn't expire.
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub state: KeyState,
}

impl KeySummary {
    fn new(row: ApiKeyRow, now: Timestamp) -> Self {
        let state = match row.revoked_at {
            Some(at) => KeyState::Revoked(at),
            None if row.owner_state == UserState::Disabled => KeyState::OwnerDisabled,
            None if row.expires_at.is_some_and(|end| end <= now) => KeyState::Expired,
            None => KeyState::Active,
        };
        Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            owner: row.owner.into(),
            scopes: row.scopes,
            restricted: row.restricted,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            state,
        }
    }
}

pub struct KeyPage {
    /// Newest first.
    pub keys: Vec<KeySummary>,
    /// The cursor (`after`) of the next page, if there is one.
    pub next: Option<ApiKeyId>,
}

pub struct KeyDetail {
    pub summary: KeySummary,
    /// The resources that it is limited to; empty if there is no limit, or if all of them were deleted.
    pub resources: Vec<ApiKeyResource>,
}

impl Service {
    /// Creates a key. `form` identifies the form, so that submitting it twice creates one key.
    pub async fn create_api_key(&self, caller: &Caller, form: Uuid, raw: &RawApiKey) -> Result<KeyCreation, ServiceError> {
        self.require(caller, Permission::ManageKeys, "creating an API key").await?;
        let now = self.now();
        let mut errors = Vec::new();
        let name = Name::parse(&raw.name).map_err(|message| errors.push(FieldError::new("name", message)));
        let owner = self.0.store.api_key_owner(&email_key(&raw.owner)).await?.map(Person::from);
        if owner.is_none() {
            errors.push(FieldError::new("owner", "No active account has this email address."));
        }
        let scopes = parse_scopes(&raw.scopes).map_err(|message| errors.push(FieldError::new("scopes", message)));
        let resources = match (&owner, raw.restricted) {
            (Some(owner), true) => {
                let chosen = self.chosen_resources(owner, &raw.resources).await?;
                chosen.map(Some).map_err(|message| errors.push(FieldError::new("resources", message)))
            }
            (None, _) | (_, false) => Ok(None),
        };
        let expires = parse_expiry(&raw.expires, now).map_err(|message| errors.push(FieldError::new("expires", message)));
        let (Ok(name), Some(owner), Ok(scopes), Ok(resources), Ok(expires_at)) = (name, owner, scopes, resources, expires) else {
            return Ok(KeyCreation::Invalid(errors));
        };
        let key = ApiKeyText::from_bytes(&Zeroizing::new(random::bytes()));
        let new = NewApiKey {
            id: self.new_id(),
            owner: owner.id,
            name: &name,
            hint: &key.hint(),
            hash: &hash::api_key_hash(&key),
            scopes,
            resources: resources.as_deref(),
            created_at: now,
            expires_at,
            form_id: form,
        };
        let audit = self
            .done(caller, AuditAction::AddKey, target(TargetKind::ApiKey, new.id, name.as_str()))
            .saying(in_words(&owner, &new));
        Ok(match self.0.store.insert_api_key(&new, &audit).await? {
            ApiKeyInsert::Inserted => {
                self.0.epoch.forget();
                KeyCreation::Created { id: new.id, key }
            }
            ApiKeyInsert::AlreadyMade(id) => KeyCreation::AlreadyMade(id),
            ApiKeyInsert::Gone => {
                let message = "The account or one of the resources was just deleted. Choose again.";
                KeyCreation::Invalid(vec![FieldError::new(if raw.restricted { "resources" } else { "owner" }, message)])
            }
        })
    }

    /// A page of at most 50 keys, newest first, that come after `after`.
    pub async fn api_keys(&self, caller: &Caller, after: Option<ApiKeyId>) -> Result<KeyPage, ServiceError> {
        self.require(caller, Permission::ManageKeys, "seeing API keys").await?;
        let mut rows = self.0.store.api_keys_page(after, PAGE + 1).await?;
        let next = pagination::cut(&mut rows, |row| row.id);
        let now = self.now();
        Ok(KeyPage { keys: rows.into_iter().map(|row| KeySummary::new(row, now)).collect(), next })
    }

    /// One key, or `None` if there is no key with this id.
    pub async fn api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<Option<KeyDetail>, ServiceError> {
        self.require(caller, Permission::ManageKeys, "seeing an API key").await?;
        let Some(row) = self.0.store.api_key(id).await? else { return Ok(None) };
        let resources = if row.restricted { self.0.store.resources_of_api_key(id).await? } else { Vec::new() };
        Ok(Some(KeyDetail { summary: KeySummary::new(row, self.now()), resources }))
    }

    /// Revokes a key immediately and permanently. False if there is no key with this id.
    pub async fn revoke_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<bool, ServiceError> {
        self.require(caller, Permission::ManageKeys, "revoking an API key").await?;
        let Some(row) = self.0.store.api_key(id).await? else { return Ok(false) };
        let audit = self.done(caller, AuditAction::RevokeKey, target(TargetKind::ApiKey, id, row.name));
        self.0.store.revoke_api_key(id, self.now(), &audit).await?;
        self.0.epoch.forget();
        Ok(true)
    }

    /// Users that a key can act as: the first 500 by email address.
    pub async fn key_owners(&self, caller: &Caller) -> Result<Vec<Person>, ServiceError> {
        self.require(caller, Permission::ManageKeys, "choosing the account of an API key").await?;
        Ok(self.0.store.api_key_owners(OWNERS_MAX).await?.into_iter().map(Person::from).collect())
    }

    /// The resources that a key of this user can be limited to: the newest [`OFFERED_MAX`] sources and as many
    /// destinations. Empty if there is no such user.
    pub async fn key_resources(&self, caller: &Caller, owner: &str) -> Result<Vec<ResourceSummary>, ServiceError> {
        self.require(caller, Permission::ManageKeys, "choosing the resources of an API key").await?;
        let Some(owner) = self.0.store.api_key_owner(&email_key(owner)).await? else { return Ok(Vec::new()) };
        let as_owner = Caller::person(owner.into(), Origin::default());
        let mut offered = Vec::new();
        for kind in ResourceKind::ALL {
            let (mut after, mut count) = (None, 0);
            while count < OFFERED_MAX {
                let page = self.resources(&as_owner, kind, after).await?;
                count += page.resources.len();
                offered.extend(page.resources);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(offered)
    }

    /// The resources chosen for a key. The inner error is a sentence for the form.
    async fn chosen_resources(&self, owner: &Person, chosen: &[String]) -> Result<Result<Vec<ResourceId>, String>, ServiceError> {
        if chosen.is_empty() {
            return Ok(Err("Choose at least one resource, or allow all of them.".to_owned()));
        }
        if chosen.len() > RESOURCES_MAX {
            return Ok(Err(format!("Choose at most {RESOURCES_MAX} resources.")));
        }
        let as_owner = Caller::person(owner.clone(), Origin::default());
        let mut ids = Vec::with_capacity(chosen.len());
        for text in chosen {
            let Ok(id) = Uuid::try_parse(text.trim()) else {
                return Ok(Err(format!("“{}” is not the id of a resource.", text.chars().take(40).collect::<String>())));
            };
            let mut found = false;
            for kind in ResourceKind::ALL {
                found = found || self.resource_summary(&as_owner, kind, id).await?.is_some();
            }
            if !found {
                return Ok(Err(format!("{} can't see one of these resources, or it was deleted. Choose again.", owner.name)));
            }
            ids.push(id);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Ok(ids))
    }
}

fn parse_scopes(words: &[String]) -> Result<Scopes, String> {
    let mut scopes = Vec::with_capacity(words.len());
    for word in words {
        let known = || Scope::ALL.map(Scope::as_str).join(", ");
        let wrong = || format!("There is no scope “{}”. The scopes are {}.", word.chars().take(40).collect::<String>(), known());
        scopes.push(Scope::parse(word).ok_or_else(wrong)?);
    }
    Scopes::new(scopes).ok_or_else(|| "Choose at least one scope.".to_owned())
}

/// The details of a new key for the audit trail.
fn in_words(owner: &Person, new: &NewApiKey<'_>) -> String {
    let resources = new.resources.map(|resources| format!(", for {} resource(s) only", resources.len())).unwrap_or_default();
    let end = match new.expires_at {
        Some(end) => format!("expires in {} day(s)", end.since(new.created_at).as_secs().div_ceil(24 * 3_600)),
        None => "never expires".to_owned(),
    };
    format!("{}{resources}; {end}; acts as {}", new.scopes.to_words(), owner.email)
}
