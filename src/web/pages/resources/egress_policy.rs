//! The egress policy of a source or destination: which requests may be sent for it.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use crate::{
    domain::{
        credentials::form::FieldError,
        resources::{
            Method, ResourceKind,
            egress_policy::{RETRIES_MAX, RawPolicy},
        },
    },
    service::resources::{ResourceDetail, egress_policy::PolicyChange},
    web::{
        http::{
            error::PageError,
            extract::{Fields, Form, FromFields, Id, Kind},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::resources::flow::noun,
    },
};

const OUTDATED: &str = "This was changed while you were editing. Save again to replace it with what you typed here.";

#[derive(Template)]
#[template(path = "egress_policy.html")]
struct PolicyPage<'a> {
    layout: Layout,
    noun: &'static str,
    plural: &'static str,
    detail: &'a ResourceDetail,
    typed: &'a RawPolicy,
    errors: &'a [FieldError],
    problem: Option<&'static str>,
}

impl PolicyPage<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    fn methods(&self) -> [Method; 5] {
        Method::ALL
    }

    fn is_chosen(&self, method: &Method) -> bool {
        self.typed.methods.iter().any(|word| word == method.as_str())
    }

    const fn retries_max(&self) -> u8 {
        RETRIES_MAX
    }
}

/// `GET /{kind}/{id}/policy`.
pub(crate) async fn show(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
) -> Result<Response, PageError> {
    let detail = find(&state, &signed, kind, id).await?;
    respond(&state, &signed, kind, &detail, &detail.policy.to_raw(), &[], None)
}

/// `GET` and `POST /{kind}/{id}/contract`, its old address. Tells nothing of what is there, and so it asks nobody.
pub(crate) async fn moved(Kind(kind): Kind, Id(id): Id, address: Uri) -> Redirect {
    let query = address.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("/{}/{id}/policy{query}", kind.plural()))
}

/// A policy as it was typed, over the version that was seen.
pub(crate) struct PolicyForm {
    version: i64,
    typed: RawPolicy,
}

impl FromFields for PolicyForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let version = fields.take("version").parse().map_err(|_| PageError::BadRequest)?;
        let typed = RawPolicy {
            methods: fields.take_all("method"),
            prefixes: fields.take("prefixes"),
            body_mib: fields.take("body_mib"),
            per_minute: fields.take("per_minute"),
            retries: fields.take("retries"),
        };
        Ok(Self { version, typed })
    }
}

/// `POST /{kind}/{id}/policy`.
pub(crate) async fn change(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
    Form(form): Form<PolicyForm>,
) -> Result<Response, PageError> {
    let change = state.service.change_policy(&signed.caller, kind, id, form.version, &form.typed).await?;
    let (errors, problem) = match change {
        PolicyChange::Changed => {
            return Ok(Redirect::to(&format!("/{}/{id}?policy=1", kind.plural())).into_response());
        }
        PolicyChange::NotFound => return Err(PageError::NotFound),
        PolicyChange::Invalid(errors) => (errors, None),
        PolicyChange::Outdated => (Vec::new(), Some(OUTDATED)),
    };
    let detail = find(&state, &signed, kind, id).await?;
    respond(&state, &signed, kind, &detail, &form.typed, &errors, problem)
}

/// The resource, if the user may change it.
async fn find(state: &WebState, signed: &SignedIn, kind: ResourceKind, id: Uuid) -> Result<ResourceDetail, PageError> {
    // Checked first, so that a user who may only see the resource is refused, and the refusal recorded.
    state.service.resource_to_change(&signed.caller, kind, id).await?.ok_or(PageError::NotFound)
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    kind: ResourceKind,
    detail: &ResourceDetail,
    typed: &RawPolicy,
    errors: &[FieldError],
    problem: Option<&'static str>,
) -> Result<Response, PageError> {
    let wrong = !errors.is_empty() || problem.is_some();
    let title = format!("Allowed requests · {}", detail.resource.name);
    let page = PolicyPage {
        layout: Layout::new(state, signed, Section::Flows, title.as_str()).with_error(wrong),
        noun: noun(kind),
        plural: kind.plural(),
        detail,
        typed,
        errors,
        problem,
    };
    layout::page(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}
