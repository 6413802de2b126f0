//! The users and contacts in the sandbox, the same at every start. All are invented.

use serde::Serialize;

/// Users of every account.
pub(super) const USERS: usize = 120;
/// Contacts of every account at the start.
pub(super) const CONTACTS: usize = 60;

const GIVEN: [&str; 20] = [
    "Amara",
    "Björn",
    "Chidi",
    "Dolores",
    "Emre",
    "Fatima",
    "Grégoire",
    "Hana",
    "Ingrid",
    "Jamal",
    "Kateřina",
    "Liang",
    "Marisol",
    "Nikos",
    "Oksana",
    "Priya",
    "Quentin",
    "Rosa",
    "Siobhán",
    "Tomasz",
];
const FAMILY: [&str; 17] = [
    "Abara",
    "Bergström",
    "Castellanos",
    "Demir",
    "Eklund",
    "Fontaine",
    "Grabowski",
    "Haddad",
    "Iwasaki",
    "Jovanović",
    "Keller",
    "Lindqvist",
    "Moreau",
    "Novák",
    "Okonkwo",
    "Petrova",
    "Quiroga",
];
const TEAMS: [&str; 5] = ["Support", "Sales", "Billing", "Onboarding", "Quality"];
const COMPANIES: [&str; 6] =
    ["Harbour Tools", "Northfield Dairy", "Pine & Sons", "Quarter Post", "Redwell Books", "Silverline Rail"];

/// Someone who works at the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) team: &'static str,
    pub(super) active: bool,
    pub(super) created_at: String,
}

/// Someone who calls the account, or is called by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Contact {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) company: Option<String>,
    pub(super) emails: Vec<String>,
    pub(super) phones: Vec<String>,
    pub(super) created_at: String,
}

pub(super) fn users(account: &str) -> Vec<User> {
    (0..USERS)
        .map(|index| {
            let (given, family) = name(index);
            User {
                id: id("user", index),
                name: format!("{given} {family}"),
                email: format!("{}.{}@{account}.example", ascii(given), ascii(family)),
                team: TEAMS[index % TEAMS.len()],
                active: index % 11 != 10,
                created_at: date(index),
            }
        })
        .collect()
}

/// The contacts of every account at the start.
pub(super) fn contacts() -> Vec<Contact> {
    (0..CONTACTS)
        .map(|index| {
            // Different names from the users'.
            let (given, family) = name(USERS + index);
            let company = COMPANIES[index % COMPANIES.len()];
            Contact {
                id: id("contact", index),
                name: format!("{given} {family}"),
                company: (index % 4 != 3).then(|| company.to_owned()),
                emails: vec![format!("{}.{}@customer.example", ascii(given), ascii(family))],
                // From a range that is reserved for fiction.
                phones: if index % 5 == 4 { vec![] } else { vec![format!("+1202555{:04}", 100 + index)] },
                created_at: date(USERS + index),
            }
        })
        .collect()
}

/// 24 hexadecimal digits, like TalkDesk's ids.
pub(super) fn id(kind: &str, index: usize) -> String {
    let kind_digit = if kind == "user" { 'a' } else { 'b' };
    format!("{kind_digit}57e{index:020x}")
}

/// A different pair for each of the first 340 numbers, because 20 and 17 have no common divisor.
fn name(index: usize) -> (&'static str, &'static str) {
    (GIVEN[index % GIVEN.len()], FAMILY[index % FAMILY.len()])
}

fn date(index: usize) -> String {
    format!("2024-{:02}-{:02}T{:02}:{:02}:00Z", 1 + index % 12, 1 + index % 28, 8 + index % 10, index * 7 % 60)
}

fn ascii(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfd().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nobody_is_there_twice() {
        let users = users("acme");
        let contacts = contacts();
        assert_eq!((users.len(), contacts.len()), (USERS, CONTACTS));
        let names = users.iter().map(|user| &user.name).chain(contacts.iter().map(|contact| &contact.name));
        assert_eq!(names.collect::<HashSet<_>>().len(), USERS + CONTACTS);
        let ids = users.iter().map(|user| &user.id).chain(contacts.iter().map(|contact| &contact.id));
        assert_eq!(ids.inspect(|id| assert_eq!(id.len(), 24)).collect::<HashSet<_>>().len(), USERS + CONTACTS);
    }

    #[test]
    fn addresses_are_plain_ascii_and_lead_nowhere() {
        for user in users("acme") {
            assert!(user.email.is_ascii() && user.email.ends_with("@acme.example"), "{}", user.email);
        }
    }
}
