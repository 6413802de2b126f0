//! A form field about an account: a label, an input, a help text, and an error.

use crate::domain::credentials::form::FieldError;

pub(crate) const PASSWORD_HELP: &str = "12 to 256 characters. Several unrelated words make a strong password.";

/// A field as shown by `parts/account_field.html`.
pub(crate) struct AccountField<'a> {
    /// The name in the form; unique on its page, because ids are made from it.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// The `type` of the input.
    pub(crate) kind: &'static str,
    /// The `autocomplete` of the input.
    pub(crate) autocomplete: &'static str,
    /// Empty for type `password`.
    pub(crate) value: &'a str,
    pub(crate) help: Option<&'static str>,
    pub(crate) error: Option<&'a str>,
    /// True for the field with the initial focus.
    pub(crate) first: bool,
}

impl<'a> AccountField<'a> {
    /// A field with the value that was typed before.
    pub(crate) fn text(name: &'static str, label: &'static str, autocomplete: &'static str, value: &'a str) -> Self {
        Self { name, label, kind: "text", autocomplete, value, help: None, error: None, first: false }
    }

    /// A field whose value is never shown.
    pub(crate) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self { name, label, kind: "password", autocomplete, value: "", help: None, error: None, first: false }
    }

    pub(crate) fn email(name: &'static str, label: &'static str, value: &'a str) -> Self {
        Self { kind: "email", ..Self::text(name, label, "username", value) }
    }

    pub(crate) fn with_help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// Adds the error of this field, if there is one. The field with the first error gets the focus.
    pub(crate) fn with_errors(self, errors: &'a [FieldError]) -> Self {
        let error = errors.iter().find(|error| error.field == self.name).map(|error| error.message.as_str());
        let first = errors.first().is_some_and(|error| error.field == self.name);
        Self { error, first, ..self }
    }

    /// For another user's account: a browser must not fill it in.
    pub(crate) fn of_another(self) -> Self {
        Self { autocomplete: "off", ..self }
    }

    /// Gives the field the initial focus.
    pub(crate) fn first(self) -> Self {
        Self { first: true, ..self }
    }

    /// True for codes, which must not be autocorrected.
    pub(crate) fn is_code(&self) -> bool {
        self.kind == "email" || matches!(self.autocomplete, "one-time-code" | "new-password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_with_the_field_of_its_first_error() {
        let errors = [FieldError::new("name", "Enter a name."), FieldError::new("password", "Too short.")];
        let begins = |field: AccountField<'_>| field.with_errors(&errors).first;
        assert!(begins(AccountField::text("name", "Name", "name", "")));
        assert!(!begins(AccountField::password("password", "Password", "new-password")));
        assert!(!begins(AccountField::email("email", "Email address", "")));
    }
}
