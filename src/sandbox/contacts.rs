//! Contacts that were created since the sandbox started.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;

use super::{
    hosts::Region,
    people::{self, Contact},
};
use crate::domain::time::Timestamp;

/// How many created contacts are kept for one account; the oldest go first.
pub(super) const CREATED_MAX: usize = 200;

/// The contacts created since the start, by account, newest first.
#[derive(Debug, Default)]
pub(super) struct CreatedContacts(Mutex<Created>);

#[derive(Debug, Default)]
struct Created {
    by_account: HashMap<(String, Region), VecDeque<Contact>>,
    number: usize,
}

impl CreatedContacts {
    /// Every contact of an account, the created ones first.
    pub(super) fn all(&self, account: &str, region: Region) -> Vec<Contact> {
        let created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = created.by_account.get(&(account.to_owned(), region)).into_iter().flatten().cloned();
        newest.chain(people::contacts()).collect()
    }

    /// Keeps a contact under an id of its own.
    pub(super) fn add(&self, account: &str, region: Region, new: NewContact, at: Timestamp) -> Contact {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = people::CONTACTS + created.number;
        created.number += 1;
        let contact = new.created(people::id("contact", index), at);
        let of_account = created.by_account.entry((account.to_owned(), region)).or_default();
        of_account.push_front(contact.clone());
        of_account.truncate(CREATED_MAX);
        contact
    }
}

/// The body of a request to create a contact. Ignores unknown keys, as TalkDesk does.
#[derive(Debug, Deserialize)]
pub(super) struct NewContact {
    name: String,
    company: Option<String>,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    phones: Vec<String>,
}

impl NewContact {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let new: Self = serde_json::from_slice(body).map_err(|error| format!("The body is not a contact: {error}."))?;
        if new.name.trim().is_empty() {
            return Err("The contact needs a name.".into());
        }
        if let Some(wrong) = new.emails.iter().find(|email| !email.contains('@')) {
            return Err(format!("{wrong:?} is not an email address."));
        }
        Ok(new)
    }

    fn created(self, id: String, at: Timestamp) -> Contact {
        let Self { name, company, emails, phones } = self;
        let created_at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default().to_string();
        Contact { id, name, company, emails, phones, created_at }
    }
}
