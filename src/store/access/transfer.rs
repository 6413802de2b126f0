//! Transfers ownership of everything one user owns to another, in one transaction: credentials and resources
//! change owner, and API keys are revoked. Nothing has to be sealed again, because no seal includes the
//! owner.

use std::collections::HashSet;

use sqlx::FromRow;
use uuid::Uuid;

use super::epoch::bump_access_epoch;
use crate::{
    domain::{
        access::transfer::{Owned, Renamed, Transferred, told_apart},
        audit::{
            Audit, AuditTarget,
            event::{AuditAction, TargetKind},
        },
        naming::name_key,
        time::Timestamp,
        users::{Role, UserId, UserState},
    },
    store::{
        Store, StoreError,
        api_keys::{REVOKE_KEYS, revoked_keys},
        audit::append::append_audit,
        database::{reading, transaction},
        queries,
    },
};

/// Attempts if one of the two users creates something at the same time.
const ATTEMPTS: usize = 5;

/// Who hands over to whom.
#[derive(Debug, Clone)]
pub struct HandOver<'a> {
    pub from: UserId,
    /// Added to names that are already taken.
    pub from_name: &'a str,
    pub to: UserId,
    /// For the audit trail.
    pub to_email: &'a str,
    /// Whether a user with this role can own this much.
    pub can_own: fn(Role, &Owned) -> bool,
    /// When the API keys are revoked.
    pub at: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandOverResult {
    /// It is done.
    Done(Transferred),
    /// The receiver's role cannot own this much.
    RoleTooLow(Owned),
    /// The new owner doesn't exist or isn't active.
    NotActive,
    /// The two users kept creating things during every attempt.
    Busy,
}

/// A credential or resource that is transferred.
#[derive(FromRow)]
struct Thing {
    id: Uuid,
    /// The scope in which names are unique: the connector of a credential, the kind of a resource.
    kind: String,
    name: String,
    name_key: String,
    description: String,
}

impl Store {
    pub async fn owned_by(&self, owner: UserId) -> Result<Owned, StoreError> {
        let (credentials, resources, api_keys) =
            reading!(self, pool => sqlx::query_as(queries::OWNED).bind(owner).fetch_one(pool).await?);
        Ok(Owned { credentials, resources, api_keys })
    }

    /// Transfers everything. `audit` is the event for the whole transfer; each credential, resource and key
    /// gets its own event.
    pub async fn hand_over(&self, order: &HandOver<'_>, audit: &Audit<'_>) -> Result<HandOverResult, StoreError> {
        for _ in 0..ATTEMPTS {
            match self.try_hand_over(order, audit).await {
                Ok(Some(result)) => return Ok(result),
                Ok(None) => {}
                // A name that was free when it was chosen has been taken since.
                Err(StoreError::Failed(sqlx::Error::Database(error))) if error.is_unique_violation() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(HandOverResult::Busy)
    }

    /// `None` if something was created between reading and writing.
    async fn try_hand_over(&self, order: &HandOver<'_>, audit: &Audit<'_>) -> Result<Option<HandOverResult>, StoreError> {
        // Changes nothing, but keeps the new owner's role and state until the transaction ends.
        const RECEIVER: &str = "UPDATE users SET version = version WHERE id = $1 RETURNING role, state";
        const NAME_CREDENTIAL: &str = "UPDATE credentials SET name = $2, name_key = $3, search_key = $4 WHERE id = $1";
        const NAME_RESOURCE: &str = "UPDATE resources SET name = $2, name_key = $3 WHERE id = $1";
        const CREDENTIALS: &str = "UPDATE credentials SET owner = $2 WHERE owner = $1";
        const RESOURCES: &str = "UPDATE resources SET owner = $2 WHERE owner = $1";
        // The owner of a credential needs no share of it.
        const SHARES: &str =
            "DELETE FROM credential_shares WHERE person = $1 AND credential IN (SELECT id FROM credentials WHERE owner = $1)";
        let (from, to) = (order.from, order.to);
        transaction!(self, transaction => {
            let receiver: Option<(String, String)> = sqlx::query_as(RECEIVER).bind(to).fetch_optional(&mut *transaction).await?;
            let Some((role, state)) = receiver else { return Ok(Some(HandOverResult::NotActive)) };
            if UserState::parse(&state) != Some(UserState::Active) {
                return Ok(Some(HandOverResult::NotActive));
            }
            let role = Role::parse(&role).ok_or(StoreError::Row { table: "users", column: "role" })?;
            let credentials: Vec<Thing> =
                sqlx::query_as(queries::CREDENTIALS_OF_OWNER).bind(from).fetch_all(&mut *transaction).await?;
            let resources: Vec<Thing> = sqlx::query_as(queries::RESOURCES_OF_OWNER).bind(from).fetch_all(&mut *transaction).await?;
            let keys: Vec<(Uuid, String)> = sqlx::query_as(queries::KEYS_OF_OWNER).bind(from).fetch_all(&mut *transaction).await?;
            let owned = owned(credentials.len(), resources.len(), keys.len());
            if !(order.can_own)(role, &owned) {
                return Ok(Some(HandOverResult::RoleTooLow(owned)));
            }
            let theirs: Vec<Thing> = sqlx::query_as(queries::CREDENTIALS_OF_OWNER).bind(to).fetch_all(&mut *transaction).await?;
            let mut renamed = new_names(TargetKind::Credential, &credentials, &theirs, order.from_name);
            for ((thing, name), key) in &renamed {
                let search_key = format!("{key}\n{}", name_key(&thing.description));
                let update = sqlx::query(NAME_CREDENTIAL).bind(name.id).bind(&name.now).bind(key).bind(search_key);
                update.execute(&mut *transaction).await?;
            }
            let theirs: Vec<Thing> = sqlx::query_as(queries::RESOURCES_OF_OWNER).bind(to).fetch_all(&mut *transaction).await?;
            let of_resources = new_names(TargetKind::Resource, &resources, &theirs, order.from_name);
            for ((_, name), key) in &of_resources {
                sqlx::query(NAME_RESOURCE).bind(name.id).bind(&name.now).bind(key).execute(&mut *transaction).await?;
            }
            renamed.extend(of_resources);
            for (statement, things) in [(CREDENTIALS, &credentials), (RESOURCES, &resources)] {
                let moved = sqlx::query(statement).bind(from).bind(to).execute(&mut *transaction).await?.rows_affected();
                if moved != things.len() as u64 {
                    return Ok(None);
                }
            }
            sqlx::query(SHARES).bind(to).execute(&mut *transaction).await?;
            sqlx::query(REVOKE_KEYS).bind(from).bind(order.at.as_millis()).execute(&mut *transaction).await?;
            bump_access_epoch!(transaction);
            let renamed: Vec<Renamed> = renamed.into_iter().map(|((_, name), _)| name).collect();
            for event in events(audit, order, &owned, [&credentials, &resources], &keys, &renamed) {
                append_audit!(transaction, &event);
            }
            transaction.commit().await?;
            Ok(Some(HandOverResult::Done(Transferred { owned, renamed })))
        })
    }
}

fn owned(credentials: usize, resources: usize, api_keys: usize) -> Owned {
    let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
    Owned { credentials: count(credentials), resources: count(resources), api_keys: count(api_keys) }
}

/// The things that have to be renamed, with the new name and its key: one that neither user has for anything
/// else.
fn new_names<'t>(target: TargetKind, given: &'t [Thing], theirs: &[Thing], from: &str) -> Vec<((&'t Thing, Renamed), String)> {
    let key = |thing: &Thing| (thing.kind.clone(), thing.name_key.clone());
    let held: HashSet<(String, String)> = theirs.iter().map(key).collect();
    let mut taken: HashSet<(String, String)> = given.iter().map(key).chain(held.iter().cloned()).collect();
    let mut renamed = Vec::new();
    for thing in given.iter().filter(|thing| held.contains(&key(thing))) {
        let (now, name_key) = told_apart(&thing.name, from, |key| taken.contains(&(thing.kind.clone(), key.to_owned())));
        taken.insert((thing.kind.clone(), name_key.clone()));
        let name = Renamed { kind: target, id: thing.id, before: thing.name.clone(), now };
        renamed.push(((thing, name), name_key));
    }
    renamed
}

/// One event for the whole transfer, and one for each thing.
fn events<'a>(
    audit: &Audit<'a>,
    order: &HandOver<'_>,
    owned: &Owned,
    things: [&Vec<Thing>; 2],
    keys: &[(Uuid, String)],
    renamed: &[Renamed],
) -> Vec<Audit<'a>> {
    let whole = audit.clone().saying(format!(
        "to {}: {} credentials, {} resources, {} renamed, {} API keys revoked",
        order.to_email,
        owned.credentials,
        owned.resources,
        renamed.len(),
        owned.api_keys
    ));
    let event = |action, kind, id, name: &str, detail: String| {
        let mut audit = audit.clone();
        audit.event.action = action;
        audit.event.target = Some(AuditTarget { kind, id, name: name.to_owned() });
        audit.event.detail = detail;
        audit
    };
    let mut events = vec![whole];
    for (kind, things) in [TargetKind::Credential, TargetKind::Resource].into_iter().zip(things) {
        for thing in things {
            let new = renamed.iter().find(|renamed| renamed.id == thing.id && renamed.kind == kind);
            let name = new.map(|renamed| format!(", now named {}", renamed.now)).unwrap_or_default();
            events.push(event(AuditAction::HandOver, kind, thing.id, &thing.name, format!("to {}{name}", order.to_email)));
        }
    }
    events.extend(revoked_keys(audit, keys, "its owner handed everything over"));
    events
}
