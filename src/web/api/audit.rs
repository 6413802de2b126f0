//! The audit trail in the API, for keys of administrators.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    caller::ApiCaller,
    problems::failed,
    query::{ApiQuery, limit, wrong, wrong_cursor},
};
use crate::{
    domain::{
        audit::{AuditRecord, event::AuditAction},
        time::Timestamp,
    },
    service::audit::trail::AuditFilter,
    web::{http::problem::Problem, state::WebState},
};

/// Which events are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only events of this account and its API keys.
    #[param(value_type = Option<Uuid>)]
    actor: Option<String>,
    /// Only events on this item.
    #[param(value_type = Option<Uuid>)]
    target: Option<String>,
    /// Only events with this action, such as `credential.add`.
    action: Option<String>,
    /// Only events at or after this time.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only events before this time.
    #[param(format = DateTime)]
    until: Option<String>,
    /// The maximum number of items, from 1 to 100; 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(pattern = "^[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// An event of the audit trail.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventBody {
    /// Position in the chain, starting at 1.
    seq: i64,
    /// When it happened.
    #[schema(format = DateTime)]
    at: String,
    /// The kind of actor: `person`, `api_key`, `server` or `nobody`.
    actor_kind: String,
    /// The actor's account. For an API key, the account of its owner.
    actor: Option<Uuid>,
    /// The email address, the key's name, or the command.
    actor_name: String,
    /// What was done or attempted.
    #[schema(example = "credential.add")]
    action: String,
    /// The kind of item affected.
    target_kind: Option<String>,
    /// The item affected.
    target: Option<Uuid>,
    /// The item's name at that time.
    target_name: String,
    /// The outcome: `done`, `failed` or `refused`.
    #[schema(example = "done")]
    outcome: String,
    /// The client's network address.
    address: String,
    /// The request's id.
    request: String,
    /// More details, as text.
    detail: String,
}

impl From<AuditRecord> for EventBody {
    fn from(record: AuditRecord) -> Self {
        Self {
            seq: record.seq,
            at: Timestamp::from_millis(record.at).to_rfc3339(),
            actor_kind: record.actor_kind,
            actor: record.actor,
            actor_name: record.actor_name,
            action: record.action,
            target_kind: record.target_kind,
            target: record.target,
            target_name: record.target_name,
            outcome: record.outcome,
            address: record.address,
            request: record.request,
            detail: record.detail,
        }
    }
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEventList {
    /// The events.
    items: Vec<EventBody>,
    /// The `cursor` for the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Lists events of the audit trail
///
/// Newest first. The key must belong to an administrator and must not be limited to some resources.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "list_audit_events", tag = "audit", params(AuditQuery),
    security(("api_key" = ["admin"])),
    responses((status = 200, description = "A page of events.", body = AuditEventList)),
)]
pub(crate) async fn list(
    State(state): State<WebState>,
    ApiCaller(caller): ApiCaller,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<Response, Problem> {
    let filter = AuditFilter {
        actor: id("actor", query.actor.as_deref())?,
        target: id("target", query.target.as_deref())?,
        action: action(query.action.as_deref())?,
        from: time("from", query.from.as_deref())?,
        until: time("until", query.until.as_deref())?,
    };
    let before = query.cursor.map(|cursor| cursor.parse().map_err(|_| wrong_cursor())).transpose()?;
    let limit = limit(query.limit.as_deref())?;
    let (events, next) = state.service.audit_records(&caller, &filter, before, limit).await.map_err(failed)?;
    let items = events.into_iter().map(EventBody::from).collect();
    Ok(Json(AuditEventList { items, next_cursor: next.map(|seq| seq.to_string()) }).into_response())
}

fn id(name: &str, typed: Option<&str>) -> Result<Option<Uuid>, Problem> {
    typed.map(|typed| Uuid::try_parse(typed).map_err(|_| wrong(name, "Send an id.", "invalid"))).transpose()
}

fn action(typed: Option<&str>) -> Result<Option<AuditAction>, Problem> {
    let known = |typed| AuditAction::parse(typed).ok_or_else(|| wrong("action", "Unknown action.", "invalid"));
    typed.map(known).transpose()
}

fn time(name: &str, typed: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let read = |typed| {
        let time = Timestamp::parse_utc(typed).map(|(time, _)| time);
        time.ok_or_else(|| wrong(name, "Send a time such as 2026-01-31T12:00:00Z.", "invalid"))
    };
    typed.map(read).transpose()
}
