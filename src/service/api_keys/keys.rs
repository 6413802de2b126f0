//! API keys as administrators see them: made, listed, revoked. A key is shown once, when it is made; what is
//! stored is its hash. How a key is checked is in [`super::authenticate`].

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    crypto::{hash, random},
    domain::{
        access::permission::Permission,
        api_keys::{ApiKeyId, ApiKeyText, Scope, Scopes, parse_expiry},
        audit::event::{AuditAction, TargetKind},
        credentials::form::FieldError,
        form_errors::FormError,
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
/// The most resources of each kind that are offered to choose from.
pub const OFFERED_MAX: usize = 200;
/// The most accounts that are offered to choose from. Any other can be typed.
const OWNERS_MAX: i64 = 500;

/// What was typed to make a key, as it came.
#[derive(Debug, Clone, Default)]
pub struct RawApiKey {
    /// The e-mail address of the account that it acts as.
    pub owner: String,
    /// The name.
    pub name: String,
    /// The words of its scopes.
    pub scopes: Vec<String>,
    /// True if it is only for `resources`.
    pub restricted: bool,
    /// The ids of the resources that it is for.
    pub resources: Vec<String>,
    /// When it ends: see [`parse_expiry`].
    pub expires: String,
}

/// How the making of a key ended.
pub enum KeyCreation {
    /// Made. This is the only time that the key is known.
    Created {
        /// The id by which it is listed.
        id: ApiKeyId,
        /// The key.
        key: ApiKeyText,
    },
    /// The same form has made this key before; it cannot be shown again.
    AlreadyMade(ApiKeyId),
    /// Fields are wrong: `owner`, `name`, `scopes`, `resources` or `expires`.
    Invalid(Vec<FieldError>),
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It can.
    Active,
    /// It was revoked, at this time.
    Revoked(Timestamp),
    /// Its time is over.
    Expired,
    /// The account that it acts as is disabled.
    OwnerDisabled,
}

/// A key in a list.
#[derive(Debug, Clone)]
pub struct KeySummary {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// Its first letters.
    pub hint: String,
    /// The account that it acts as.
    pub owner: Person,
    /// What it may do.
    pub scopes: Scopes,
    /// True if it is only for some resources.
    pub restricted: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Whether it can be used.
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

/// A page of keys.
pub struct KeyPage {
    /// The keys, newest first.
    pub keys: Vec<KeySummary>,
    /// Where the next page begins (`after`), if there is one.
    pub next: Option<ApiKeyId>,
}

/// One key.
pub struct KeyDetail {
    /// What lists show of it.
    pub summary: KeySummary,
    /// The resources that it is only for; empty if it is for all, or if all of these were deleted.
    pub resources: Vec<ApiKeyResource>,
}

impl Service {
    /// Makes a key. `form` identifies the form, so that submitting it twice makes one.
    pub async fn create_api_key(&self, caller: &Caller, form: Uuid, raw: &RawApiKey) -> Result<KeyCreation, ServiceError> {
        self.require(caller, Permission::ManageKeys, "creating an API key").await?;
        let now = self.now();
        let mut errors = Vec::new();
        let name = Name::parse(&raw.name).map_err(|message| errors.push(FieldError::new("name", message)));
        let owner = self.0.store.api_key_owner(&email_key(&raw.owner)).await?.map(Person::from);
        if owner.is_none() {
            errors.push(FieldError::new("owner", FormError::OwnerUnknown.say()));
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
                let field = if raw.restricted { "resources" } else { "owner" };
                KeyCreation::Invalid(vec![FieldError::of(field, FormError::ResourceDeleted, &[])])
            }
        })
    }

    /// Keys, newest first, at most 50, beginning behind one.
    pub async fn api_keys(&self, caller: &Caller, after: Option<ApiKeyId>) -> Result<KeyPage, ServiceError> {
        self.require(caller, Permission::ManageKeys, "seeing API keys").await?;
        let mut rows = self.0.store.api_keys_page(after, PAGE + 1).await?;
        let next = pagination::cut(&mut rows, |row| row.id);
        let now = self.now();
        Ok(KeyPage { keys: rows.into_iter().map(|row| KeySummary::new(row, now)).collect(), next })
    }

    /// One key; `None` if there is none of this id.
    pub async fn api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<Option<KeyDetail>, ServiceError> {
        self.require(caller, Permission::ManageKeys, "seeing an API key").await?;
        let Some(row) = self.0.store.api_key(id).await? else { return Ok(None) };
        let resources = if row.restricted { self.0.store.resources_of_api_key(id).await? } else { Vec::new() };
        Ok(Some(KeyDetail { summary: KeySummary::new(row, self.now()), resources }))
    }

    /// Revokes a key, at once and for ever. False if there is none of this id.
    pub async fn revoke_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<bool, ServiceError> {
        self.require(caller, Permission::ManageKeys, "revoking an API key").await?;
        let Some(row) = self.0.store.api_key(id).await? else { return Ok(false) };
        let audit = self.done(caller, AuditAction::RevokeKey, target(TargetKind::ApiKey, id, row.name));
        self.0.store.revoke_api_key(id, self.now(), &audit).await?;
        self.0.epoch.forget();
        Ok(true)
    }

    /// Accounts that a key can act as, to choose from: the first 500 by e-mail address.
    pub async fn key_owners(&self, caller: &Caller) -> Result<Vec<Person>, ServiceError> {
        self.require(caller, Permission::ManageKeys, "choosing the account of an API key").await?;
        Ok(self.0.store.api_key_owners(OWNERS_MAX).await?.into_iter().map(Person::from).collect())
    }

    /// What the account of an e-mail address can see, to limit a key to: the newest [`OFFERED_MAX`] sources and as
    /// many destinations. Empty if there is no such account.
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

    /// The resources that were chosen for a key: the error is a sentence.
    async fn chosen_resources(&self, owner: &Person, chosen: &[String]) -> Result<Result<Vec<ResourceId>, String>, ServiceError> {
        if chosen.is_empty() {
            return Ok(Err(FormError::ResourcesMissing.say()));
        }
        if chosen.len() > RESOURCES_MAX {
            return Ok(Err(FormError::TooManyResources.with(&[("most", &RESOURCES_MAX.to_string())])));
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
        let beginning = || word.chars().take(40).collect::<String>();
        let wrong = || FormError::ScopeUnknown.with(&[("word", &beginning()), ("scopes", &known())]);
        scopes.push(Scope::parse(word).ok_or_else(wrong)?);
    }
    Scopes::new(scopes).ok_or_else(|| "Choose at least one scope.".to_owned())
}

/// What the audit trail says of a new key.
fn in_words(owner: &Person, new: &NewApiKey<'_>) -> String {
    let resources = new.resources.map(|resources| format!(", for {} resource(s) only", resources.len())).unwrap_or_default();
    let end = match new.expires_at {
        Some(end) => format!("expires in {} day(s)", end.since(new.created_at).as_secs().div_ceil(24 * 3_600)),
        None => "never expires".to_owned(),
    };
    format!("{}{resources}; {end}; acts as {}", new.scopes.to_words(), owner.email)
}
