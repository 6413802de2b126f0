//! Names and descriptions that people give to credentials and resources, with their limits.

use unicode_normalization::UnicodeNormalization;

/// The most characters a name may have.
pub const NAME_MAX: usize = 100;
/// The most characters a description may have.
pub const DESCRIPTION_MAX: usize = 2_000;

/// The name of a credential or a resource: 1 to 100 characters on one line, no blanks at its ends,
/// in Unicode normalisation form C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name as a person typed it. The error is a sentence for that person.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let name: String = typed.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 {
            return Err("Enter a name, for example the team or the account it is for.".into());
        }
        if length > NAME_MAX {
            return Err(format!("Use at most {NAME_MAX} characters; this name has {length}."));
        }
        if name.chars().any(is_unseen) {
            return Err("Remove the line break or control character from the name.".into());
        }
        Ok(Self(name))
    }

    /// The name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names have in common when they differ only in case or in compatible forms of the
    /// same characters (NFKC, then lower case). Names are unique by this key.
    pub fn key(&self) -> String {
        name_key(&self.0)
    }
}

/// The key by which names are compared and searched: see [`Name::key`].
pub fn name_key(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// A description: up to 2,000 characters, which may have line breaks, or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description(String);

impl Description {
    /// Reads a description as a person typed it. The error is a sentence for that person.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let text: String = typed.trim().replace("\r\n", "\n").nfc().collect();
        let length = text.chars().count();
        if length > DESCRIPTION_MAX {
            return Err(format!("Use at most {DESCRIPTION_MAX} characters; this description has {length}."));
        }
        if text.chars().any(|c| c != '\n' && c != '\t' && is_unseen(c)) {
            return Err("Remove the control character from the description.".into());
        }
        Ok(Self(text))
    }

    /// The description as it is shown; empty when none was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that would let one name look like another or break a line: controls, line and
/// paragraph separators, and the bidirectional overrides of Unicode (UAX #9).
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_counted_in_characters() {
        assert!(Name::parse(&"é".repeat(100)).is_ok());
        assert!(Name::parse(&"é".repeat(101)).is_err());
        assert!(Name::parse(" \t ").is_err());
        assert!(Name::parse("a\nb").is_err());
        assert!(Name::parse("a\u{202E}b").is_err());
        assert!(Description::parse(&"x".repeat(2_001)).is_err());
        assert_eq!(Description::parse(" a\r\nb ").unwrap().as_str(), "a\nb");
    }

    #[test]
    fn keys_ignore_case_and_compatible_forms() {
        let key = |s: &str| Name::parse(s).unwrap().key();
        assert_eq!(key("Support EU"), key("SUPPORT eu"));
        assert_eq!(key("Ａｃｍｅ"), key("acme"));
        assert_eq!(key("Cafe\u{301}"), key("CAFÉ"));
        assert_ne!(key("Support EU"), key("Support US"));
    }

    proptest! {
        #[test]
        fn a_parsed_name_parses_to_itself(typed in "\\PC{0,120}") {
            if let Ok(name) = Name::parse(&typed) {
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().chars().count() <= NAME_MAX);
                prop_assert_eq!(name_key(&name.key()), name.key());
            }
        }
    }
}
