//! Users who can sign in: their email address, their role, and whether their account is active.

use uuid::Uuid;

use crate::domain::{form_errors::FormError, time::Timestamp};

/// Identifies an account.
pub type UserId = Uuid;

/// In bytes (RFC 5321 section 4.5.3.1.3, without the angle brackets).
pub const EMAIL_MAX: usize = 254;

/// From most to least powerful. [`Permission`](crate::domain::access::permission::Permission) says what each
/// role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything that an editor may do, plus users, groups, API keys and the audit trail.
    Administrator,
    /// Everything that an operator may do, plus credentials.
    Editor,
    /// Uses credentials and creates resources; never sees or changes a credential's fields.
    Operator,
    /// Only looks.
    Viewer,
}

impl Role {
    /// From most to least powerful.
    pub const ALL: [Self; 4] = [Self::Administrator, Self::Editor, Self::Operator, Self::Viewer];

    /// The value stored in the database and used in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Editor => "editor",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    Active,
    /// Can't sign in; sessions and API keys don't work.
    Disabled,
}

impl UserState {
    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|state| state.as_str() == word)
    }
}

/// The address that a user signs in with. Compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Parses what a person typed. The error is a sentence for that person.
    ///
    /// Accepts what browsers accept in `<input type=email>`, and addresses in other scripts. Doesn't check
    /// whether the address exists.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let address = typed.trim();
        let wrong = || Err(FormError::NotAnEmail.say());
        if address.len() > EMAIL_MAX {
            return Err(FormError::EmailTooLong.with(&[("most", &EMAIL_MAX.to_string())]));
        }
        let Some((local, domain)) = address.rsplit_once('@') else { return wrong() };
        let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let in_domain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
        let in_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        if local.is_empty() || !local.chars().all(in_local) || !domain.chars().all(in_domain) || !domain.split('.').all(is_label) {
            return wrong();
        }
        Ok(Self(address.to_owned()))
    }

    /// As it was typed, without surrounding blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for two spellings of one address.
    pub fn key(&self) -> String {
        email_key(&self.0)
    }
}

/// The key for comparing addresses: see [`Email::key`]. For text that isn't an address, the key matches no
/// user. NUL is replaced because PostgreSQL rejects it in text.
pub fn email_key(text: &str) -> String {
    crate::domain::naming::name_key(text.trim()).replace('\0', "\u{fffd}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub state: UserState,
    pub has_password: bool,
    pub has_second_factor: bool,
    pub created_at: Timestamp,
    /// The last sign-in.
    pub signed_in_at: Option<Timestamp>,
    /// Increases with every change of name, email address, role, state, password or second factor.
    pub version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_and_compared_without_case() {
        for good in ["ana@example.com", " Ana.B+x@EXAMPLE.com ", "o'neil@mail.example", "root@localhost", "jürgen@bücher.example"]
        {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@-x.example",
            "a b@example.com",
            "ana@exa mple.com",
            "ana@example..com",
            "a\r\nb@c.de",
            "<a@b.de>",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(250))).is_err());
        assert_eq!(Email::parse(" Ana@Example.COM").unwrap().key(), Email::parse("ana@example.com").unwrap().key());
    }

    #[test]
    fn words_are_read_back() {
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        assert_eq!(Role::parse("root"), None);
        for state in [UserState::Active, UserState::Disabled] {
            assert_eq!(UserState::parse(state.as_str()), Some(state));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_one_plain_address(typed in prop_oneof!["\\PC{0,300}", "[a-zé@.\\-+<>, \r\n\t\0\u{202e}]{0,60}"]) {
            if let Ok(email) = Email::parse(&typed) {
                let text = email.as_str();
                prop_assert!(text.len() <= EMAIL_MAX && text.contains('@'));
                let odd = |c: char| c.is_whitespace() || c.is_control() || "<>(),:;\"\\[]".contains(c);
                prop_assert!(!text.contains(odd), "{text:?}");
                prop_assert_eq!(Email::parse(text), Ok(email.clone()));
                prop_assert_eq!(email_key(&email.key()), email.key());
            }
        }
    }
}
