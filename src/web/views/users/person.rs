//! Users as Settings shows them: a row of the list, and the roles to choose from.

use super::account_field::AccountField;
use crate::{
    domain::{
        credentials::form::FieldError,
        time::Timestamp,
        users::{Role, User, UserState},
    },
    service::users::admin::RawPerson,
    web::views::relative_time::Age,
};

/// A row of the list of users.
pub(crate) struct PersonRow<'a> {
    /// The account.
    pub(crate) user: &'a User,
    /// The word of the role, as it is read.
    pub(crate) role: &'static str,
    pub(crate) disabled: bool,
    pub(crate) signed_in: Option<Age>,
}

impl<'a> PersonRow<'a> {
    /// The row of an account.
    pub(crate) fn new(user: &'a User, now: Timestamp) -> Self {
        Self {
            user,
            role: role_label(user.role),
            disabled: user.state == UserState::Disabled,
            signed_in: user.signed_in_at.map(|at| Age::of(at, now)),
        }
    }
}

/// The form fields about a user, as shown by `parts/person_fields.html`.
pub(crate) struct PersonFields<'a> {
    /// Email address and name.
    pub(crate) fields: [AccountField<'a>; 2],
    pub(crate) roles: Vec<RoleOption>,
    /// A note about the choice of a role.
    pub(crate) role_help: &'static str,
    pub(crate) role_error: Option<&'a str>,
    /// True if the role has the only error, so that it gets the focus.
    pub(crate) begins_with_role: bool,
}

impl<'a> PersonFields<'a> {
    pub(crate) fn new(typed: &'a RawPerson, role: &str, errors: &'a [FieldError], role_help: &'static str) -> Self {
        let of_role = |error: &&FieldError| error.field == "role";
        Self {
            fields: [
                AccountField::email("email", "Email address", &typed.email).of_another().with_errors(errors),
                AccountField::text("name", "Name", "off", &typed.name).with_errors(errors),
            ],
            roles: role_options(role),
            role_help,
            role_error: errors.iter().find(of_role).map(|error| error.message.as_str()),
            begins_with_role: errors.first().filter(of_role).is_some(),
        }
    }
}

pub(crate) struct RoleOption {
    /// The value in the form.
    pub(crate) word: &'static str,
    pub(crate) label: &'static str,
    /// What it may do.
    pub(crate) about: &'static str,
    pub(crate) chosen: bool,
}

/// The roles, from least to most rights, with one selected.
fn role_options(chosen: &str) -> Vec<RoleOption> {
    let option = |role: Role| RoleOption {
        word: role.as_str(),
        label: role_label(role),
        about: role_about(role),
        chosen: role.as_str() == chosen,
    };
    Role::ALL.into_iter().rev().map(option).collect()
}

pub(crate) const fn role_label(role: Role) -> &'static str {
    match role {
        Role::Administrator => "Administrator",
        Role::Editor => "Editor",
        Role::Operator => "Operator",
        Role::Viewer => "Viewer",
    }
}

const fn role_about(role: Role) -> &'static str {
    match role {
        Role::Administrator => "Can also manage people, groups and API keys, and read the audit trail",
        Role::Editor => "Can also add and manage credentials",
        Role::Operator => "Can also create sources and destinations with shared credentials",
        Role::Viewer => "Can view shared items",
    }
}

/// A point in time for people, in UTC: `27 Nov 2026, 16:05 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(point) => point.strftime("%-d %b %Y, %H:%M UTC").to_string(),
        Err(_) => "far in the future".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_can_be_chosen_and_one_is() {
        let options = role_options("editor");
        assert_eq!(options.iter().map(|option| option.word).collect::<Vec<_>>(), ["viewer", "operator", "editor", "administrator"]);
        assert_eq!(options.iter().filter(|option| option.chosen).map(|option| option.label).collect::<Vec<_>>(), ["Editor"]);
        assert!(role_options("").iter().all(|option| !option.chosen));
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(Timestamp::from_millis(1_764_259_500_000)), "27 Nov 2025, 16:05 UTC");
    }
}
