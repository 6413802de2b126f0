//! Which account belongs to a person from the identity provider, and whether they may sign in.
//!
//! An account is found by issuer and subject, which never change. It is found by its email address only once, and
//! only if the provider has verified the address: otherwise anyone who can enter any address at the provider could
//! take over the account of another user.

use crate::{
    domain::{
        access::{group_role::RoleRules, permission::Permission},
        audit::{
            Audit,
            event::{AuditAction, AuditOutcome, TargetKind},
        },
        naming::{NAME_MAX, Name},
        users::{Email, Role, User, UserId, UserState},
    },
    service::{
        Service, ServiceError,
        access::caller::{Caller, Person},
        audit::record::target,
    },
    store::{Identity, IdentityLink, IdentityUserInsert, NewUser, UserChange, UserChanged},
    upstream::ExternalIdentity,
};

/// Why a person whom the provider has authenticated may not sign in. Each variant displays as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// Their groups give them no role.
    #[error("None of your groups has access to Keytile. Ask an administrator for access.")]
    NoRole,
    /// Their account is disabled.
    #[error("Your Keytile account is disabled. Ask an administrator if you need it.")]
    Disabled,
    /// An account needs an email address.
    #[error(
        "The identity provider didn't send an email address that Keytile can use. An administrator can change this (scope “email”)."
    )]
    NoAddress,
    /// There is an account with this address, and the provider hasn't verified the address.
    #[error(
        "An account with your email address already exists, but the identity provider doesn't confirm that the address is yours. Verify your address with the identity provider, or ask a Keytile administrator."
    )]
    AddressNotVerified,
    /// The account with this address belongs to another person at the provider.
    #[error(
        "The account with your email address is linked to another identity at the identity provider. Ask a Keytile administrator."
    )]
    AddressOfAnother,
}

impl SignInRefusal {
    /// The reason in words, for the audit trail.
    const fn detail(self) -> &'static str {
        match self {
            Self::NoRole => "in no group that has a role",
            Self::Disabled => "the account is disabled",
            Self::NoAddress => "the provider sent no usable email address",
            Self::AddressNotVerified => "the provider has not verified the email address of an account",
            Self::AddressOfAnother => "the account with this email address is linked to another identity at the provider",
        }
    }
}

/// How often to try when another change happens at the same moment.
const TRIES: usize = 3;

impl Service {
    /// The user to sign in and their version, after creating or updating the account as the provider says; or why
    /// they may not sign in. A refusal is recorded.
    pub(in crate::service) async fn person_of(
        &self,
        visitor: &Caller,
        roles: &RoleRules,
        identity: &ExternalIdentity,
    ) -> Result<Result<(Person, i64), SignInRefusal>, ServiceError> {
        let key = Identity { issuer: &identity.issuer, subject: &identity.subject };
        let role = roles.role_of(&identity.groups);
        for _ in 0..TRIES {
            let user = match self.0.store.user_of_identity(key).await? {
                Some(user) => user,
                None => match self.first_time(visitor, roles, role, identity).await? {
                    First::Come(user) => return Ok(Ok((person(&user), user.version))),
                    First::LookAgain => continue,
                    First::Refused(refusal, user) => {
                        self.0.store.record(&self.refusal(visitor, refusal, user.as_ref(), identity)).await?;
                        return Ok(Err(refusal));
                    }
                },
            };
            if user.state == UserState::Disabled {
                let refusal = SignInRefusal::Disabled;
                self.0.store.record(&self.refusal(visitor, refusal, Some(&user), identity)).await?;
                return Ok(Err(refusal));
            }
            let role = match (roles.decide(), role) {
                (false, _) => user.role,
                (true, Some(role)) => role,
                (true, None) => {
                    // Someone who has lost all groups must not stay signed in for days.
                    let refusal = SignInRefusal::NoRole;
                    let audit = self.refusal(visitor, refusal, Some(&user), identity);
                    self.0.store.end_sessions_of_refused(user.id, &audit).await?;
                    self.0.epoch.forget();
                    return Ok(Err(refusal));
                }
            };
            if let Some(come) = self.bring_up_to_date(visitor, &user, role, identity).await? {
                return Ok(Ok(come));
            }
        }
        Err(ServiceError::Interrupted)
    }

    /// Handles a person's first sign-in: their account is linked by its address, or created.
    async fn first_time(
        &self,
        visitor: &Caller,
        roles: &RoleRules,
        role: Option<Role>,
        identity: &ExternalIdentity,
    ) -> Result<First, ServiceError> {
        let refused = |refusal, user| Ok(First::Refused(refusal, user));
        let Some(email) = identity.email.as_deref().and_then(|email| Email::parse(email).ok()) else {
            return refused(SignInRefusal::NoAddress, None);
        };
        let key = Identity { issuer: &identity.issuer, subject: &identity.subject };
        match self.0.store.user_of_email(&email).await? {
            // Checked first, so that someone with an address of their choice at the provider learns nothing about
            // the account except that it exists, which they need to know to get help.
            Some(_) if !identity.email_verified => refused(SignInRefusal::AddressNotVerified, None),
            // Two addresses that Keytile treats as equal can belong to different people: `straße.example` and
            // `strasse.example` are two domains.
            Some(user) if !user.email.eq_ignore_ascii_case(email.as_str()) => refused(SignInRefusal::AddressNotVerified, None),
            Some(user) if user.state == UserState::Disabled => refused(SignInRefusal::Disabled, Some(user)),
            Some(user) if roles.decide() && role.is_none() => refused(SignInRefusal::NoRole, Some(user)),
            Some(user) => {
                let by = Caller::person(person(&user), visitor.origin.clone());
                let audit = self
                    .done(&by, AuditAction::LinkIdentity, target(TargetKind::User, user.id, &user.email))
                    .saying(format!("by verified email address: {identity}"));
                match self.0.store.link_identity(user.id, user.version, key, &audit).await? {
                    IdentityLink::Linked | IdentityLink::IdentityTaken | IdentityLink::Outdated => Ok(First::LookAgain),
                    IdentityLink::OfAnother => refused(SignInRefusal::AddressOfAnother, Some(user)),
                }
            }
            None => {
                let Some(role) = role else { return refused(SignInRefusal::NoRole, None) };
                let name = name_of(identity).map_or_else(|| Name::parse(local_part(&email)), Ok);
                let Ok(name) = name else { return refused(SignInRefusal::NoAddress, None) };
                let (id, now) = (self.new_id(), self.now());
                let new = NewUser { id, email: &email, name: &name, role, password: None, created_at: now };
                let made = Person { id, email: email.as_str().to_owned(), name: name.as_str().to_owned(), role };
                let by = Caller::person(made, visitor.origin.clone());
                let verified = if identity.email_verified { "verified" } else { "not verified" };
                let detail = format!("by single sign-on as {}, email address {verified}: {identity}", role.as_str());
                let audit = self.done(&by, AuditAction::AddUser, target(TargetKind::User, id, email.as_str())).saying(detail);
                match self.0.store.insert_user_of_identity(&new, key, &audit).await? {
                    IdentityUserInsert::Inserted => self.made(id).await,
                    IdentityUserInsert::EmailTaken | IdentityUserInsert::IdentityTaken => Ok(First::LookAgain),
                }
            }
        }
    }

    async fn made(&self, id: UserId) -> Result<First, ServiceError> {
        self.0.epoch.forget();
        Ok(self.0.store.user(id).await?.map_or(First::LookAgain, First::Come))
    }

    /// Updates the role and the name of an account as the provider says. `None` if it was changed in the meantime.
    async fn bring_up_to_date(
        &self,
        visitor: &Caller,
        user: &User,
        role: Role,
        identity: &ExternalIdentity,
    ) -> Result<Option<(Person, i64)>, ServiceError> {
        let (Ok(email), Ok(old_name)) = (Email::parse(&user.email), Name::parse(&user.name)) else {
            return Ok(Some((person(user), user.version)));
        };
        let name = name_of(identity).unwrap_or(old_name);
        let mut wanted = Person { role, name: name.as_str().to_owned(), ..person(user) };
        loop {
            if wanted == person(user) {
                return Ok(Some((wanted, user.version)));
            }
            let by = Caller::person(person(user), visitor.origin.clone());
            let audit = self.done(&by, AuditAction::ChangeUser, target(TargetKind::User, user.id, &user.email)).saying(
                match user.role == wanted.role {
                    true => "by single sign-on: name".into(),
                    false => format!("by single sign-on: role {} instead of {}", wanted.role.as_str(), user.role.as_str()),
                },
            );
            let change = UserChange {
                id: user.id,
                version: user.version,
                email: &email,
                name: &name,
                role: wanted.role,
                // A stolen session id must not gain rights.
                ends_sessions: rises(user.role, wanted.role),
            };
            let changed = self.0.store.change_user(&change, &audit).await?;
            self.0.epoch.forget();
            match changed {
                UserChanged::Changed => return Ok(Some((wanted, user.version + 1))),
                UserChanged::LastAdministrator => {
                    tracing::warn!(user = %user.id, "single sign-on would give the last administrator another role; keeping the role");
                    let about = target(TargetKind::User, user.id, &user.email);
                    let detail = format!("by single sign-on: role {}: this is the last administrator", wanted.role.as_str());
                    let audit = self.audit(&by, AuditAction::ChangeUser, about, AuditOutcome::Refused, detail);
                    self.0.store.record(&audit).await?;
                    wanted.role = user.role;
                }
                UserChanged::EmailTaken | UserChanged::Outdated => return Ok(None),
            }
        }
    }

    /// That somebody does not come in, to be recorded.
    fn refusal(&self, visitor: &Caller, refusal: SignInRefusal, user: Option<&User>, identity: &ExternalIdentity) -> Audit<'_> {
        let by = Caller::nobody(user.map_or("", |user| user.email.as_str()), visitor.origin.clone());
        let account = user.and_then(|user| target(TargetKind::User, user.id, &user.email));
        let detail = format!("single sign-on: {}: {identity}", refusal.detail());
        self.audit(&by, AuditAction::SignIn, account, AuditOutcome::Refused, detail)
    }
}

/// The result of a person's first sign-in.
enum First {
    /// They have an account now.
    Come(User),
    /// They have, or somebody was quicker.
    LookAgain,
    /// They do not come in; the account that it would have been.
    Refused(SignInRefusal, Option<User>),
}

fn person(user: &User) -> Person {
    Person { id: user.id, email: user.email.clone(), name: user.name.clone(), role: user.role }
}

fn rises(from: Role, to: Role) -> bool {
    Permission::ALL.into_iter().any(|permission| to.may(permission) && !from.may(permission))
}

/// The provider's name for the person, if it is a valid name.
fn name_of(identity: &ExternalIdentity) -> Option<Name> {
    identity.name.as_deref().and_then(|name| Name::parse(name).ok())
}

fn local_part(email: &Email) -> &str {
    let local = email.as_str().rsplit_once('@').map_or("", |(local, _)| local);
    let end = local.char_indices().nth(NAME_MAX).map_or(local.len(), |(index, _)| index);
    &local[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_rise_and_fall() {
        for (from, to, risen) in [
            (Role::Viewer, Role::Operator, true),
            (Role::Operator, Role::Administrator, true),
            (Role::Editor, Role::Editor, false),
            (Role::Administrator, Role::Viewer, false),
        ] {
            assert_eq!(rises(from, to), risen, "{from:?} {to:?}");
        }
    }

    #[test]
    fn somebody_without_a_name_is_called_by_their_address() {
        let long = format!("{}@example.com", "ü".repeat(110));
        for (email, name) in [("ana.b@example.com", "ana.b".to_owned()), (long.as_str(), "ü".repeat(100))] {
            assert_eq!(local_part(&Email::parse(email).unwrap()), name);
        }
    }
}
