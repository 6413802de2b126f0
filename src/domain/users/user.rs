//! People who may sign in: their e-mail address, their role, and whether their account is in use.

use uuid::Uuid;

use crate::domain::form_errors::FormError;

/// Identifies an account.
pub type UserId = Uuid;

/// The most bytes an e-mail address may have (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_MAX: usize = 254;

/// What somebody may do, from most to least. Who may do what is said by
/// [`Permission`](crate::domain::access::permission::Permission).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything that an editor may, and accounts, API keys, connectors and the audit trail.
    Administrator,
    /// Credentials and resources.
    Editor,
    /// Chooses tiles and creates resources; never sees or changes a credential's fields.
    Operator,
    /// Looks only.
    Viewer,
}

impl Role {
    /// All roles, from most to least.
    pub const ALL: [Self; 4] = [Self::Administrator, Self::Editor, Self::Operator, Self::Viewer];

    /// The word that is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Editor => "editor",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// It can.
    Active,
    /// It cannot; its sessions and keys are void.
    Disabled,
}

impl UserState {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|state| state.as_str() == word)
    }
}

/// An e-mail address that somebody signs in with. It is compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address as a person typed it. The error is a sentence for that person.
    ///
    /// Takes what browsers take in `<input type=email>` and addresses of other scripts as well; whether an
    /// address exists is not looked up.
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

    /// The address as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common.
    pub fn key(&self) -> String {
        email_key(&self.0)
    }
}

/// The key by which addresses are compared: see [`Email::key`]. That of what is no address is nobody's, and is text that
/// every database takes, which PostgreSQL does not do with a NUL.
pub fn email_key(text: &str) -> String {
    crate::domain::naming::name_key(text.trim()).replace('\0', "\u{fffd}")
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
