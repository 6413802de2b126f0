//! Creating an API key. The key is only in the response to the form: not in a URL, and not in the response to the
//! same form sent again.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use uuid::Uuid;

use super::list::{self, Shown};
use crate::{
    domain::{api_keys::Scope, credentials::form::FieldError, resources::ResourceKind},
    service::{
        access::caller::Person,
        api_keys::{KeyCreation, OFFERED_MAX, RawApiKey},
        resources::ResourceSummary,
    },
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{api_keys::ScopeView, users::settings_nav::SettingsNav},
    },
};

/// When a key can expire: the value in the form, and its label.
const ENDS: [(&str, &str); 5] =
    [("30", "After 30 days"), ("90", "After 90 days"), ("365", "After a year"), (ON_A_DATE, "On a date"), ("never", "Never")];
/// The expiry that is selected at first.
const FIRST_END: &str = "90";
/// The value for an expiry date, which has its own field.
const ON_A_DATE: &str = "date";

pub(crate) struct KeyForm {
    id: Uuid,
    raw: RawApiKey,
    /// One of [`ENDS`].
    ends: String,
    /// The expiry date.
    ends_on: String,
    /// True if the form only asks to show the owner's resources, and nothing is to be created yet.
    shows_resources: bool,
}

impl FromFields for KeyForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let id = fields.take_id("form")?;
        let (ends, ends_on) = (fields.take("expires"), fields.take("expires_on"));
        let on_a_date = ends == ON_A_DATE && !ends_on.trim().is_empty();
        let raw = RawApiKey {
            owner: fields.take("owner"),
            name: fields.take("name"),
            scopes: fields.take_all("scope"),
            restricted: fields.take("reach") == "some",
            resources: fields.take_all("resource"),
            expires: if on_a_date { ends_on.clone() } else { ends.clone() },
        };
        Ok(Self { id, raw, ends, ends_on, shows_resources: fields.take("action") == "resources" })
    }
}

struct ScopeChoice {
    scope: ScopeView,
    chosen: bool,
}

struct ResourceChoice<'a> {
    resource: &'a ResourceSummary,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "settings/key_new.html")]
struct NewKey<'a> {
    layout: Layout,
    nav: SettingsNav,
    form: &'a KeyForm,
    owners: Vec<Person>,
    /// The user that was typed, if they are among the owners.
    owner: Option<String>,
    scopes: Vec<ScopeChoice>,
    resources: Vec<ResourceChoice<'a>>,
    ends: [(&'static str, &'static str); 5],
    errors: &'a [FieldError],
}

impl NewKey<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    fn is_end(&self, value: &str) -> bool {
        self.form.ends == value
    }

    /// True if there may be resources that are not listed.
    fn has_more(&self) -> bool {
        let offered = |kind| self.resources.iter().filter(|choice| choice.resource.kind == kind).count();
        ResourceKind::ALL.into_iter().any(|kind| offered(kind) >= OFFERED_MAX)
    }

    const fn offered_max(&self) -> usize {
        OFFERED_MAX
    }
}

/// `GET /settings/keys/new`.
pub(crate) async fn show(State(state): State<WebState>, signed: SignedIn) -> Result<Response, PageError> {
    let raw = RawApiKey { owner: signed.person.email.clone(), ..RawApiKey::default() };
    let id = state.service.new_form();
    let form = KeyForm { id, raw, ends: FIRST_END.to_owned(), ends_on: String::new(), shows_resources: false };
    respond(&state, &signed, &form, &[]).await
}

/// `POST /settings/keys/new`: responds with the page of the new key, which contains the key.
pub(crate) async fn create(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(mut form): Form<KeyForm>,
) -> Result<Response, PageError> {
    if form.shows_resources {
        form.raw.restricted = true;
        return respond(&state, &signed, &form, &[]).await;
    }
    match state.service.create_api_key(&signed.caller, form.id, &form.raw).await? {
        KeyCreation::Created { id, key } => list::respond(&state, &signed, id, &Shown::Once(&key), false).await,
        KeyCreation::AlreadyMade(id) => list::respond(&state, &signed, id, &Shown::Before, false).await,
        KeyCreation::Invalid(errors) => respond(&state, &signed, &form, &errors).await,
    }
}

async fn respond(state: &WebState, signed: &SignedIn, form: &KeyForm, errors: &[FieldError]) -> Result<Response, PageError> {
    let owners = state.service.key_owners(&signed.caller).await?;
    let resources = state.service.key_resources(&signed.caller, &form.raw.owner).await?;
    let typed = form.raw.owner.trim();
    let owner = owners.iter().find(|owner| owner.email.eq_ignore_ascii_case(typed)).map(|owner| owner.name.clone());
    let wrong = !errors.is_empty();
    let scope = |scope: Scope| ScopeChoice {
        scope: ScopeView::new(scope, None),
        chosen: form.raw.scopes.iter().any(|word| word == scope.as_str()),
    };
    let resource = |resource| ResourceChoice { resource, chosen: is_chosen(form, resource) };
    let page = NewKey {
        layout: Layout::new(state, signed, Section::Settings, "New API key · Settings").with_error(wrong),
        nav: SettingsNav::new(signed, list::ADDRESS),
        form,
        owner,
        owners,
        scopes: Scope::ALL.map(scope).into(),
        resources: resources.iter().map(resource).collect(),
        ends: ENDS,
        errors,
    };
    layout::page(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

fn is_chosen(form: &KeyForm, resource: &ResourceSummary) -> bool {
    form.raw.resources.iter().any(|id| Uuid::try_parse(id).is_ok_and(|id| id == resource.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(rest: &str) -> RawApiKey {
        let body = format!("form=01890000-0000-7000-8000-000000000001&name=x&{rest}");
        KeyForm::from_fields(Fields::read(body.as_bytes())).ok().unwrap().raw
    }

    #[test]
    fn a_date_counts_only_where_an_end_on_a_date_was_chosen() {
        assert_eq!(posted("expires=30&expires_on=2027-01-31").expires, "30");
        assert_eq!(posted("expires=date&expires_on=2027-01-31").expires, "2027-01-31");
        // An empty date: the service asks for one, and doesn't create a key that never expires.
        assert_eq!(posted("expires=date&expires_on=+").expires, ON_A_DATE);
        assert_eq!(posted("").expires, "");
    }

    #[test]
    fn a_form_without_its_id_is_none_that_a_page_sends() {
        assert!(KeyForm::from_fields(Fields::read(b"name=x")).is_err());
    }
}
