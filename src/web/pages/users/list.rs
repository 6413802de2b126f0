//! Settings: all users, and adding one. A new user chooses a password with a link that is shown once.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::credentials::form::FieldError,
    service::users::{
        admin::{PersonAdded, RawPerson},
        password_links::PasswordLink,
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::users::{
            person::{PersonFields, PersonRow, moment},
            settings_nav::SettingsNav,
        },
    },
};

pub(crate) const ADDRESS: &str = "/settings/people";

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    q: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/people.html")]
struct People<'a> {
    layout: Layout,
    nav: SettingsNav,
    search: &'a str,
    people: Vec<PersonRow<'a>>,
    next: Option<Uuid>,
    is_first_page: bool,
    form: PersonFields<'a>,
    busy: bool,
}

/// `GET /settings/people`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    respond(&state, &signed, &wanted, &RawPerson::default(), &[], StatusCode::OK).await
}

pub(crate) struct PersonForm(pub(crate) RawPerson);

impl FromFields for PersonForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self(person_of(&mut fields)))
    }
}

/// Takes the fields about a user from a form.
pub(crate) fn person_of(fields: &mut Fields) -> RawPerson {
    RawPerson { email: fields.take("email"), name: fields.take("name"), role: fields.take("role") }
}

/// `POST /settings/people`: adds a user and shows their password link.
pub(crate) async fn add(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(PersonForm(typed)): Form<PersonForm>,
) -> Result<Response, PageError> {
    let again = async |errors: &[FieldError], status| respond(&state, &signed, &Wanted::default(), &typed, errors, status).await;
    match state.service.add_person(&signed.caller, &typed, None).await? {
        PersonAdded::Added { id, link: Some(link) } => show_link(&state, &signed, id, typed.name.trim(), &link, true),
        PersonAdded::Added { id, link: None } => Ok(Redirect::to(&format!("{ADDRESS}/{id}")).into_response()),
        PersonAdded::Invalid(errors) => again(&errors, StatusCode::UNPROCESSABLE_ENTITY).await,
        PersonAdded::Busy => again(&[], StatusCode::SERVICE_UNAVAILABLE).await,
    }
}

#[derive(Template)]
#[template(path = "settings/link.html")]
struct LinkPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    id: Uuid,
    name: &'a str,
    link: String,
    until: String,
    /// True after a user was added, false after a reset.
    added: bool,
}

/// Shows a password link once. Not a redirect, because only this response contains the link.
pub(crate) fn show_link(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    name: &str,
    link: &PasswordLink,
    added: bool,
) -> Result<Response, PageError> {
    let page = LinkPage {
        layout: Layout::new(state, signed, Section::Settings, format!("Link for {name} · Settings")),
        nav: SettingsNav::new(signed, ADDRESS),
        id,
        name,
        link: link.address(&state.settings.public_url).into(),
        until: moment(link.expires_at),
        added,
    };
    layout::ok(&page)
}

async fn respond(
    state: &WebState,
    signed: &SignedIn,
    wanted: &Wanted,
    typed: &RawPerson,
    errors: &[FieldError],
    status: StatusCode,
) -> Result<Response, PageError> {
    let search = wanted.q.as_deref().unwrap_or_default().trim();
    let after = id_of(wanted.after.as_deref());
    let page = state.service.people(&signed.caller, search, after).await?;
    let now = state.service.now();
    let view = People {
        layout: Layout::new(state, signed, Section::Settings, "People · Settings").with_error(!errors.is_empty()),
        nav: SettingsNav::new(signed, ADDRESS),
        search,
        people: page.people.iter().map(|user| PersonRow::new(user, now)).collect(),
        next: page.next,
        is_first_page: after.is_none(),
        form: PersonFields::new(
            typed,
            if typed.role.is_empty() { "editor" } else { &typed.role },
            errors,
            "Each role includes the ones before it.",
        ),
        busy: status == StatusCode::SERVICE_UNAVAILABLE,
    };
    layout::page(status, &view)
}
