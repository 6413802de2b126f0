//! Names and descriptions that people give to credentials and resources, with their limits.

use unicode_normalization::UnicodeNormalization;

/// In characters (Unicode code points).
pub const NAME_MAX: usize = 100;
/// In characters (Unicode code points).
pub const DESCRIPTION_MAX: usize = 2_000;

/// The name of a credential or resource: 1 to 100 characters on one line, no leading or trailing blanks, in
/// Unicode normalisation form C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Parses what a person typed. The error is a sentence for that person.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let name: String = typed.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 {
            return Err("Enter a name.".into());
        }
        if length > NAME_MAX {
            return Err(format!("Use at most {NAME_MAX} characters; this name has {length}."));
        }
        if name.chars().any(|c| is_unseen(c) || is_invisible(c)) {
            return Err("Remove the line break or invisible character from the name.".into());
        }
        if name.chars().all(is_joiner) {
            return Err("Enter a name that can be seen.".into());
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Equal for names that differ only in case, joiners or compatible forms of the same characters. Names
    /// are unique by this key.
    pub fn key(&self) -> String {
        name_key(&self.0)
    }
}

/// The key for comparing and searching names: see [`Name::key`].
pub fn name_key(text: &str) -> String {
    // Upper case first, so that “ß” matches “SS”, and the two small sigmas match each other.
    let folded = text.nfkc().filter(|c| !is_joiner(*c)).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.nfkc().collect()
}

/// Characters that join or vary their neighbours. Some scripts and emoji need them, but alone they show
/// nothing.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

/// Characters without width, which could make two different names look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{2060}'..='\u{2064}' | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FFA0}' | '\u{E0000}'..='\u{E007F}')
}

/// Up to 2,000 characters, including line breaks. May be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description(String);

impl Description {
    /// Parses what a person typed. The error is a sentence for that person.
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

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that could make one name look like another or break a line: control characters, line and
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
        for unseen in ["\u{200B}", "\u{AD}", "Tab\u{200B} A", "\u{200D}", "\u{3164}"] {
            assert!(Name::parse(unseen).is_err(), "{unseen:?}");
        }
        assert!(Name::parse("👩\u{200D}🚀 desk").is_ok());
        assert!(Description::parse(&"x".repeat(2_001)).is_err());
        assert_eq!(Description::parse(" a\r\nb ").unwrap().as_str(), "a\nb");
    }

    #[test]
    fn keys_ignore_case_and_compatible_forms() {
        let key = |s: &str| Name::parse(s).unwrap().key();
        assert_eq!(key("Support EU"), key("SUPPORT eu"));
        assert_eq!(key("Ａｃｍｅ"), key("acme"));
        assert_eq!(key("Cafe\u{301}"), key("CAFÉ"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("ΟΔΟΣ"), key("οδος"));
        assert_eq!(key("a\u{200D}b"), key("ab"));
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
