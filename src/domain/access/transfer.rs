//! New names for a transfer of ownership, when the new owner already has something with the same name.

use uuid::Uuid;

use crate::domain::{
    audit::event::TargetKind,
    naming::{NAME_MAX, name_key},
};

/// The most characters of the previous owner's name that go into the new name.
const FROM_MAX: usize = 40;

/// A name that says who it came from: `Sales (from Ana)`, cut to [`NAME_MAX`] characters. Counts up from 2
/// while `is_taken` says that its key is taken: `Sales (from Ana, 2)`. Returns the name and its key.
pub fn told_apart(name: &str, from: &str, is_taken: impl Fn(&str) -> bool) -> (String, String) {
    let from = cut(from, FROM_MAX);
    let mut number: u64 = 1;
    loop {
        let origin = if number == 1 { format!(" (from {from})") } else { format!(" (from {from}, {number})") };
        let room = NAME_MAX.saturating_sub(origin.chars().count());
        let candidate = cut(name, room) + &origin;
        let key = name_key(&candidate);
        if !is_taken(&key) {
            return (candidate, key);
        }
        number += 1;
    }
}

/// At most `max` characters of a text, ending in an ellipsis if it was longer.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    pub owned: Owned,
    /// Renamed because the new owner already had something with the same name.
    pub renamed: Vec<Renamed>,
}

/// The number of things that a user owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owned {
    pub credentials: i64,
    /// Sources and destinations.
    pub resources: i64,
    /// API keys that aren't revoked.
    pub api_keys: i64,
}

/// Something that was renamed in the transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Credential or resource.
    pub kind: TargetKind,
    pub id: Uuid,
    pub before: String,
    pub now: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::naming::Name;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn it_says_from_whom_and_counts_on() {
        assert_eq!(told_apart("Sales", "Ana", |_| false).0, "Sales (from Ana)");
        let taken = [name_key("SALES (from ana)"), name_key("Sales (from Ana, 2)")];
        let (name, key) = told_apart("Sales", "Ana", |key| taken.iter().any(|taken| taken == key));
        assert_eq!((name.as_str(), key), ("Sales (from Ana, 3)", name_key("Sales (from Ana, 3)")));
    }

    #[test]
    fn a_long_name_is_cut_and_stays_within_the_limit() {
        let (name, _) = told_apart(&"n".repeat(NAME_MAX), &"p".repeat(NAME_MAX), |_| false);
        assert_eq!(name.chars().count(), NAME_MAX);
        assert!(name.ends_with(&format!("n… (from {}…)", "p".repeat(FROM_MAX - 1))), "{name}");
    }

    proptest! {
        #[test]
        fn every_name_becomes_another_name_that_is_free(name in "\\PC{1,110}", from in "\\PC{1,110}", held in 0_usize..4) {
            let (Ok(name), Ok(from)) = (Name::parse(&name), Name::parse(&from)) else { return Ok(()) };
            let mut taken = HashSet::from([name.key()]);
            for _ in 0..=held {
                let (made, key) = told_apart(name.as_str(), from.as_str(), |key| taken.contains(key));
                let parsed = Name::parse(&made).map_err(TestCaseError::fail)?;
                prop_assert_eq!(parsed.key(), key.clone());
                prop_assert!(taken.insert(key));
            }
        }
    }
}
