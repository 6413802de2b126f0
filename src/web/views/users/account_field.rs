//! A field of a form about an account: a label, an input, what to type, and what is wrong with it.

use crate::domain::credentials::form::FieldError;

/// What a new password has to be.
pub(crate) const PASSWORD_HELP: &str = "12 to 256 characters. Several unrelated words make a strong password.";

/// A field as `parts/account_field.html` shows it.
pub(crate) struct AccountField<'a> {
    /// The name that is sent; unique on its page, since the ids are made of it.
    pub(crate) name: &'static str,
    /// What it is called.
    pub(crate) label: &'static str,
    /// The type of the input.
    pub(crate) kind: &'static str,
    /// What a browser may fill in.
    pub(crate) autocomplete: &'static str,
    /// What it holds; nothing where the type is `password`.
    pub(crate) value: &'a str,
    /// What to type.
    pub(crate) help: Option<&'static str>,
    /// What is wrong with what was typed.
    pub(crate) error: Option<&'a str>,
    /// True for the one that the page begins with.
    pub(crate) first: bool,
}

impl<'a> AccountField<'a> {
    /// A field that holds what was typed before.
    pub(crate) fn text(name: &'static str, label: &'static str, autocomplete: &'static str, value: &'a str) -> Self {
        Self { name, label, kind: "text", autocomplete, value, help: None, error: None, first: false }
    }

    /// A field whose value is never shown.
    pub(crate) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self { name, label, kind: "password", autocomplete, value: "", help: None, error: None, first: false }
    }

    /// The same for an e-mail address.
    pub(crate) fn email(name: &'static str, label: &'static str, value: &'a str) -> Self {
        Self { kind: "email", ..Self::text(name, label, "username", value) }
    }

    /// The same with words on what to type.
    pub(crate) fn with_help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// The same with what is wrong with it. The page begins with the field of the first error.
    pub(crate) fn with_errors(self, errors: &'a [FieldError]) -> Self {
        let error = errors.iter().find(|error| error.field == self.name).map(|error| error.message.as_str());
        let first = errors.first().is_some_and(|error| error.field == self.name);
        Self { error, first, ..self }
    }

    /// The same, about somebody else: a browser fills in nothing.
    pub(crate) fn of_another(self) -> Self {
        Self { autocomplete: "off", ..self }
    }

    /// The same as the one that the page begins with.
    pub(crate) fn first(self) -> Self {
        Self { first: true, ..self }
    }

    /// True for what is no word of a language, so that nothing is to be corrected in it.
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
