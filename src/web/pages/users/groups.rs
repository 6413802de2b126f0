//! Settings: groups, their names and their members.

use std::slice;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::{
        access::{
            group::{Group, GroupMember, GroupShare},
            permission::Access,
        },
        credentials::form::FieldError,
        users::UserState,
    },
    service::access::groups::{GroupDetail, GroupOutcome, GroupShares},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id, id_of},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::users::{account_field::AccountField, settings_nav::SettingsNav},
    },
};

const ADDRESS: &str = "/settings/groups";

/// The query of these pages.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    after: Option<String>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "settings/groups.html")]
struct GroupsPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    groups: &'a [Group],
    next: Option<Uuid>,
    is_first_page: bool,
    field: AccountField<'a>,
    deleted: bool,
}

#[derive(Template)]
#[template(path = "settings/group.html")]
struct GroupPage<'a> {
    layout: Layout,
    nav: SettingsNav,
    detail: &'a GroupDetail,
    is_first_page: bool,
    name: AccountField<'a>,
    member: AccountField<'a>,
    done: Option<&'static str>,
}

impl GroupPage<'_> {
    fn is_disabled(&self, member: &GroupMember) -> bool {
        member.state == UserState::Disabled
    }
}

#[derive(Template)]
#[template(path = "settings/group_delete.html")]
struct DeletePage<'a> {
    layout: Layout,
    found: &'a GroupShares,
    /// The number of shares that are not listed.
    more: i64,
}

impl DeletePage<'_> {
    fn access(&self, share: &GroupShare) -> &'static str {
        if share.access == Access::Manage { "can manage" } else { "can use" }
    }
}

/// `GET /settings/groups`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    list(&state, &signed, &wanted, "", None).await
}

pub(crate) struct NameForm {
    name: String,
}

impl FromFields for NameForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { name: fields.take("name") })
    }
}

/// `POST /settings/groups`: creates a group.
pub(crate) async fn add(
    State(state): State<WebState>,
    signed: SignedIn,
    Form(form): Form<NameForm>,
) -> Result<Response, PageError> {
    match state.service.add_group(&signed.caller, &form.name).await? {
        GroupOutcome::Done(id) => Ok(done(id, "added")),
        GroupOutcome::Invalid(error) => list(&state, &signed, &Wanted::default(), &form.name, Some(&error)).await,
        GroupOutcome::NotFound => Err(PageError::NotFound),
    }
}

/// `GET /settings/groups/{id}`.
pub(crate) async fn show_one(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    one(&state, &signed, id, &wanted, Typed::default()).await
}

/// `POST /settings/groups/{id}`: renames it.
pub(crate) async fn rename(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(form): Form<NameForm>,
) -> Result<Response, PageError> {
    let outcome = state.service.rename_group(&signed.caller, id, &form.name).await?;
    let typed = Typed { name: Some(&form.name), ..Typed::default() };
    after_change(&state, &signed, id, outcome, "renamed", typed).await
}

pub(crate) struct EmailForm {
    email: String,
}

impl FromFields for EmailForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { email: fields.take("email") })
    }
}

/// `POST /settings/groups/{id}/members`: adds a user.
pub(crate) async fn add_member(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(form): Form<EmailForm>,
) -> Result<Response, PageError> {
    let outcome = state.service.add_to_group(&signed.caller, id, &form.email).await?;
    let typed = Typed { email: &form.email, ..Typed::default() };
    after_change(&state, &signed, id, outcome, "joined", typed).await
}

pub(crate) struct MemberForm {
    member: Uuid,
}

impl FromFields for MemberForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        Ok(Self { member: fields.take_id("member")? })
    }
}

/// `POST /settings/groups/{id}/members/remove`: removes a user.
pub(crate) async fn remove_member(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Form(form): Form<MemberForm>,
) -> Result<Response, PageError> {
    let outcome = state.service.remove_from_group(&signed.caller, id, form.member).await?;
    after_change(&state, &signed, id, outcome, "left", Typed::default()).await
}

/// `GET /settings/groups/{id}/delete`: lists the shares that will be removed.
pub(crate) async fn ask_delete(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    let found = state.service.group_shares(&signed.caller, id).await?.ok_or(PageError::NotFound)?;
    let named = i64::try_from(found.shares.len()).unwrap_or(i64::MAX);
    let page = DeletePage {
        layout: Layout::new(&state, &signed, Section::Settings, format!("Delete {}?", found.group.name)),
        more: found.group.shares.saturating_sub(named),
        found: &found,
    };
    layout::ok(&page)
}

/// `POST /settings/groups/{id}/delete`.
pub(crate) async fn delete(State(state): State<WebState>, signed: SignedIn, Id(id): Id) -> Result<Response, PageError> {
    state.service.delete_group(&signed.caller, id).await?;
    Ok(Redirect::to(&format!("{ADDRESS}?done=deleted")).into_response())
}

async fn after_change(
    state: &WebState,
    signed: &SignedIn,
    id: Uuid,
    outcome: GroupOutcome,
    word: &str,
    typed: Typed<'_>,
) -> Result<Response, PageError> {
    match outcome {
        GroupOutcome::Done(id) => Ok(done(id, word)),
        GroupOutcome::Invalid(error) => one(state, signed, id, &Wanted::default(), Typed { error: Some(&error), ..typed }).await,
        GroupOutcome::NotFound => Err(PageError::NotFound),
    }
}

fn done(id: Uuid, word: &str) -> Response {
    Redirect::to(&format!("{ADDRESS}/{id}?done={word}")).into_response()
}

fn words(done: &str) -> Option<&'static str> {
    Some(match done {
        "added" => "Group created. Add its members below.",
        "renamed" => "Group renamed.",
        "joined" => "Person added. They can use what is shared with this group.",
        "left" => "Person removed.",
        _ => return None,
    })
}

async fn list(
    state: &WebState,
    signed: &SignedIn,
    wanted: &Wanted,
    typed: &str,
    error: Option<&FieldError>,
) -> Result<Response, PageError> {
    let after = id_of(wanted.after.as_deref());
    let found = state.service.groups(&signed.caller, after).await?;
    let page = GroupsPage {
        layout: Layout::new(state, signed, Section::Settings, "Groups · Settings").with_error(error.is_some()),
        nav: SettingsNav::new(signed, ADDRESS),
        groups: &found.groups,
        next: found.next,
        is_first_page: after.is_none(),
        field: AccountField::text("name", "Name", "off", typed).with_errors(errors_of(error)),
        deleted: wanted.done.as_deref() == Some("deleted"),
    };
    layout::page(status(error.is_some()), &page)
}

/// The input on the page of a group, and its errors.
#[derive(Default)]
struct Typed<'a> {
    /// The typed name; `None` for the group's current name.
    name: Option<&'a str>,
    email: &'a str,
    error: Option<&'a FieldError>,
}

async fn one(state: &WebState, signed: &SignedIn, id: Uuid, wanted: &Wanted, typed: Typed<'_>) -> Result<Response, PageError> {
    let after = id_of(wanted.after.as_deref());
    let detail = state.service.group(&signed.caller, id, after).await?.ok_or(PageError::NotFound)?;
    let page = GroupPage {
        layout: Layout::new(state, signed, Section::Settings, format!("{} · Groups", detail.group.name))
            .with_error(typed.error.is_some()),
        nav: SettingsNav::new(signed, ADDRESS),
        is_first_page: after.is_none(),
        name: AccountField::text("name", "Group name", "off", typed.name.unwrap_or(&detail.group.name))
            .with_errors(errors_of(typed.error)),
        member: AccountField::email("email", "Email address of a person to add", typed.email)
            .of_another()
            .with_errors(errors_of(typed.error)),
        done: wanted.done.as_deref().and_then(words),
        detail: &detail,
    };
    layout::page(status(typed.error.is_some()), &page)
}

fn errors_of(error: Option<&FieldError>) -> &[FieldError] {
    error.map(slice::from_ref).unwrap_or_default()
}

const fn status(failed: bool) -> StatusCode {
    if failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
}
