//! The audit trail, for administrators: a page of it, filtered by person, object, action and time, and its export.

use std::io;

use askama::Template;
use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::{
        audit::{AuditCredential, event::AuditAction},
        credentials::form::FieldError,
        time::Timestamp,
    },
    service::audit::trail::{AuditExport, AuditFilter},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::audit::{EventView, label},
    },
};

/// The query of the page, as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    person: String,
    target: String,
    action: String,
    from: String,
    until: String,
    before: String,
}

/// The parsed input, with its errors.
#[derive(Default)]
struct Reading {
    filter: AuditFilter,
    /// The person as shown in the form.
    person: String,
    errors: Vec<FieldError>,
    /// The credentials to choose from, if several have the name that was typed.
    choices: Vec<AuditCredential>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditTrail<'a> {
    layout: Layout,
    wanted: &'a Wanted,
    person: &'a str,
    people: Vec<String>,
    actions: Vec<(&'static str, &'static str)>,
    errors: &'a [FieldError],
    choices: &'a [AuditCredential],
    events: Vec<EventView>,
    /// The URL of the next page.
    next: Option<String>,
    is_first_page: bool,
    is_filtered: bool,
}

impl AuditTrail<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// True for the field of the first error.
    fn begins_with(&self, field: &str) -> bool {
        self.errors.first().is_some_and(|error| error.field == field)
    }

    /// The URL of the events on a credential, with the other filters unchanged.
    fn address_of(&self, credential: &Uuid) -> String {
        self.wanted.address(&[("target", &credential.to_string())])
    }
}

impl Wanted {
    fn is_filtered(&self) -> bool {
        [&self.person, &self.target, &self.action, &self.from, &self.until].into_iter().any(|typed| !typed.trim().is_empty())
    }

    /// The URL of the same page with some values replaced.
    fn address(&self, replaced: &[(&str, &str)]) -> String {
        let typed = [
            ("person", &self.person),
            ("target", &self.target),
            ("action", &self.action),
            ("from", &self.from),
            ("until", &self.until),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in typed {
            if replaced.iter().all(|(other, _)| *other != name) && !value.trim().is_empty() {
                query.append_pair(name, value.trim());
            }
        }
        for (name, value) in replaced {
            query.append_pair(name, value);
        }
        format!("/audit?{}", query.finish())
    }
}

/// `GET /audit`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let people = state.service.audit_people(&signed.caller).await?;
    let reading = read(&state, &signed, &wanted).await?;
    let before = wanted.before.parse::<i64>().ok();
    let usable = reading.errors.is_empty() && reading.choices.is_empty();
    let page = match usable {
        true => state.service.audit_page(&signed.caller, &reading.filter, before).await?,
        false => Default::default(),
    };
    let view = AuditTrail {
        layout: Layout::new(&state, &signed, Section::Audit, "Audit").with_error(!reading.errors.is_empty()),
        wanted: &wanted,
        person: &reading.person,
        people,
        actions: AuditAction::ALL.iter().map(|action| (action.as_str(), label(*action))).collect(),
        errors: &reading.errors,
        choices: &reading.choices,
        events: page.events.iter().map(|event| EventView::new(event, &page.places)).collect(),
        next: page.next.map(|seq| wanted.address(&[("before", &seq.to_string())])),
        is_first_page: before.is_none(),
        is_filtered: wanted.is_filtered(),
    };
    let status = if reading.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::page(status, &view)
}

impl FromFields for Wanted {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self {
            person: fields.take("person"),
            target: fields.take("target"),
            action: fields.take("action"),
            from: fields.take("from"),
            until: fields.take("until"),
            before: String::new(),
        })
    }
}

/// `POST /audit/export`: the events that the filter selects, one JSON object per line, oldest first.
pub(crate) async fn export(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(wanted): Form<Wanted>,
) -> Result<Response, PageError> {
    let reading = read(&state, &signed, &wanted).await?;
    if !reading.errors.is_empty() || !reading.choices.is_empty() {
        // The page shows its errors itself; its own form never sends such a request.
        return Err(PageError::BadRequest);
    }
    let export = state.service.export_audit(&signed.caller, &reading.filter).await?;
    let lines = stream::try_unfold(export, |mut export: AuditExport| async move {
        match export.next().await {
            Ok(lines) => Ok(lines.map(|lines| (lines, export))),
            // The status has already been sent, so the connection is broken off: an incomplete export must not look
            // complete.
            Err(error) => {
                PageError::internal(error);
                Err(io::Error::other("the export was broken off"))
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"keytile-audit.jsonl\"")),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Parses the input. A caller without the permission to read the trail is refused here.
async fn read(state: &WebState, signed: &SignedIn, wanted: &Wanted) -> Result<Reading, PageError> {
    let service = &state.service;
    let mut reading = Reading { person: wanted.person.trim().to_owned(), ..Reading::default() };
    let person = wanted.person.trim();
    if !person.is_empty() {
        match service.audit_person(&signed.caller, person).await? {
            Some((id, email)) => {
                reading.filter.actor = Some(id);
                reading.person = email;
            }
            None => reading.errors.push(FieldError::new("person", "No account has this email address or ID.")),
        }
    }
    let target = wanted.target.trim();
    if let Ok(id) = Uuid::try_parse(target) {
        reading.filter.target = Some(id);
    } else if !target.is_empty() {
        let mut found = service.audit_credentials(&signed.caller, target).await?;
        match found.len() {
            0 => reading.errors.push(FieldError::new(
                "target",
                "No credential has this name. To find a deleted one, use the link beside an event.",
            )),
            1 => reading.filter.target = found.pop().map(|credential| credential.id),
            _ => reading.choices = found,
        }
    }
    if !wanted.action.is_empty() {
        reading.filter.action = AuditAction::parse(&wanted.action);
        if reading.filter.action.is_none() {
            reading.errors.push(FieldError::new("action", "Choose an action from the list."));
        }
    }
    for (field, typed) in [("from", wanted.from.trim()), ("until", wanted.until.trim())] {
        if typed.is_empty() {
            continue;
        }
        match (Timestamp::parse_utc(typed), field) {
            (Some((at, _)), "from") => reading.filter.from = Some(at),
            // A minute is included completely.
            (Some((at, exact)), _) => reading.filter.until = Some(at.plus(exact)),
            (None, _) => {
                reading.errors.push(FieldError::new(field, "Enter a date and time, such as 2026-01-31 12:00."));
            }
        }
    }
    Ok(reading)
}
