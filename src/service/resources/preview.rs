//! Test and Preview: sends the real request with the credential, and shows the response as a table.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    domain::{
        access::permission::{Access, Permission},
        audit::event::{AuditAction, AuditOutcome, TargetKind},
        connectors::{Connector, context::Context},
        credentials::{
            CredentialId,
            values::FieldValues,
            verification::{Blame, Diagnosis},
        },
        naming::is_unseen,
        resources::{Endpoint, Resource},
        tokens::failure::FailureClass,
        usage::{TokenSource, Use, UseAction, UseOutcome},
    },
    service::{
        Service, ServiceError, access::caller::Caller, audit::record::target, tokens::broker::NoToken, usage::history::asker_of,
    },
    upstream::{ApiAnswer, ApiRequest},
};

/// The most records in a table.
const ROWS_MAX: usize = 20;
/// The most columns in a table.
const COLUMNS_MAX: usize = 12;
/// The most characters in a cell.
const CELL_MAX: usize = 80;
/// The most characters of a body, or bytes of a JSON text, that are shown.
const BODY_MAX: usize = 20_000;
/// Shown in place of an access token.
const HIDDEN: &str = "••••••••";

/// The result of a request.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Method and full URL; only method and path if the caller doesn't manage the credential, because the rest is
    /// made of its fields.
    pub request_line: String,
    /// The `Authorization` header with the token hidden, such as `Basic ••••••••`. Completely hidden if the caller
    /// doesn't manage the credential.
    pub authorization: String,
    pub result: PreviewResult,
}

/// The response to a request, or why there is none.
#[derive(Debug, Clone)]
pub enum PreviewResult {
    Answer {
        status: u16,
        /// How long the request took, in milliseconds.
        millis: u64,
        content_type: Option<String>,
        /// The records in the body, if it has any.
        table: Option<Table>,
        /// The beginning of the body as text; indented if it is JSON.
        body: String,
        /// True if the body is longer than what is shown.
        truncated: bool,
    },
    /// No response, or no token.
    Failed(Diagnosis),
}

/// The first records of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    /// Cells by row, one for each column.
    pub rows: Vec<Vec<String>>,
    /// The number of records in the response.
    pub records: usize,
}

impl Service {
    /// Refuses callers who may not send the requests of any resource.
    pub async fn may_preview(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.require(caller, Permission::MakeResources, "making the request of a resource").await
    }

    /// Sends the request with the credential. `None` if the caller has no such credential of this connector.
    ///
    /// The request is recorded before it is sent, so that no request goes unrecorded; a missing response is
    /// recorded too. `resource` is the resource that it is sent for, or `None` if that is still to be created.
    pub async fn preview(
        &self,
        caller: &Caller,
        resource: Option<&Resource>,
        connector: &Connector,
        credential: CredentialId,
        endpoint: &Endpoint,
        body: Option<&str>,
    ) -> Result<Option<Preview>, ServiceError> {
        self.may_preview(caller).await?;
        let Some((row, access)) = self.usable(caller, credential).await? else { return Ok(None) };
        if row.summary.connector != connector.id {
            return Ok(None);
        }
        let Some(mut brokered) = self.brokered(&row)? else { return Ok(None) };
        let about = match resource {
            Some(resource) => target(TargetKind::Resource, resource.id, &resource.name),
            None => target(TargetKind::Credential, credential, &row.summary.name),
        };
        // Without the path, because it is sealed where it is stored.
        let detail = format!("a {} request", endpoint.method.as_str());
        let audit = self.audit(caller, AuditAction::PreviewResource, about.clone(), AuditOutcome::Done, detail);
        let _call = self.begin_call(caller)?;
        self.0.store.record(&audit).await?;
        let request = ApiRequest { endpoint, body };
        let mut result = None;
        let mut refused = None;
        let begun = Instant::now();
        let mut source = TokenSource::None;
        // A token that the API rejects is replaced once. Even a writing request can be sent again, because a 401
        // means that it wasn't carried out. Changes of the credential in the meantime are read.
        for _ in 0..3 {
            let (token, came_from) = match self.token_and_source(&brokered, refused.as_ref(), Duration::ZERO).await {
                Ok(found) => found,
                Err(NoToken::Refused(refusal)) => {
                    result = Some(PreviewResult::Failed((*refusal.diagnosis).clone()));
                    break;
                }
                Err(NoToken::Gone) => {
                    let Some((row, _)) = self.usable(caller, credential).await? else { return Ok(None) };
                    let Some(changed) = self.brokered(&row)? else { return Ok(None) };
                    (brokered, refused) = (changed, None);
                    continue;
                }
                Err(NoToken::Failed(error)) => return Err(error),
            };
            source = came_from;
            let is_held = matches!(source, TokenSource::Memory | TokenSource::Database);
            let answer = self.0.upstream.api.call(connector, &brokered.values, &token.token, &request).await;
            let is_401 = answer.as_ref().is_ok_and(|answer| answer.status == 401);
            result = Some(answer.map_or_else(PreviewResult::Failed, shown));
            if refused.is_some() || !is_401 || !is_held {
                break;
            }
            refused = Some(token);
        }
        if let Some(result) = &result {
            let outcome = match result {
                PreviewResult::Answer { status, .. } => UseOutcome::Answered(*status),
                PreviewResult::Failed(diagnosis) => UseOutcome::Failed(FailureClass::of(diagnosis)),
            };
            let (asker, action, took) = (asker_of(caller), UseAction::Preview, begun.elapsed());
            let resource = resource.map(|resource| resource.id);
            self.count_use(&Use { at: self.now(), credential, resource, asker, action, token: source, outcome, took });
        }
        if let Some(PreviewResult::Failed(diagnosis)) = &result {
            let detail = format!("no answer: it failed at {}", diagnosis.stage.as_str());
            let audit = self.audit(caller, AuditAction::PreviewResource, about, AuditOutcome::Failed, detail);
            self.0.store.record(&audit).await?;
        }
        let managed = access == Access::Manage;
        Ok(result.map(|result| Preview {
            request_line: request_line(managed.then_some((connector, &brokered.values)), endpoint),
            authorization: if managed { authorization(connector, &brokered.values) } else { HIDDEN.to_owned() },
            result: if managed { result } else { without_fields(result) },
        }))
    }
}

/// The diagnosis for users who don't manage the credential: says that it doesn't work, and nothing about its
/// fields.
pub(in crate::service) fn for_users(diagnosis: Diagnosis) -> Diagnosis {
    let (summary, remedy) = match diagnosis.blame {
        Blame::Input => ("The credential didn't work.", "Ask the credential's owner to check it, or use another one."),
        Blame::Service | Blame::ThisServer => ("Keytile couldn't complete the request to the service.", "Try again later."),
    };
    Diagnosis { summary: summary.into(), remedy: remedy.into(), fields: Vec::new(), service: None, ..diagnosis }
}

fn without_fields(result: PreviewResult) -> PreviewResult {
    match result {
        PreviewResult::Failed(diagnosis) => PreviewResult::Failed(for_users(diagnosis)),
        answer => answer,
    }
}

/// Method and URL; only method and path if the values must not be shown.
fn request_line(seen: Option<(&Connector, &FieldValues)>, endpoint: &Endpoint) -> String {
    let base = seen.map(|(connector, values)| connector.api.base_url.preview(&Context::new(&connector.fields, values)));
    let base = base.unwrap_or_default();
    let mut line = format!("{} {}{}", endpoint.method.as_str(), base.trim_end_matches('/'), endpoint.path.as_str());
    if !endpoint.query.is_empty() {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&endpoint.query).finish();
        line.push('?');
        line.push_str(&query);
    }
    line
}

/// The `Authorization` header as it is shown: with dots in place of the token and of every secret.
fn authorization(connector: &Connector, values: &FieldValues) -> String {
    let mut shown = FieldValues::default();
    for (field, value) in values.iter() {
        if let crate::domain::credentials::values::FieldValue::Plain(_) = value {
            shown.insert(field.clone(), value.clone());
        }
    }
    let hidden = HIDDEN.into();
    connector.api.authorization.render_plain(&Context::new(&connector.fields, &shown).with_access_token(&hidden))
}

fn shown(answer: ApiAnswer) -> PreviewResult {
    let millis = u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX);
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let (body, whole) = match &json {
        Some(json) => indented(json),
        None => {
            let text = String::from_utf8_lossy(&answer.body);
            let mut shown = text.chars().filter(is_shown);
            let body: String = shown.by_ref().take(BODY_MAX).collect();
            (body, shown.next().is_none())
        }
    };
    PreviewResult::Answer {
        status: answer.status,
        millis,
        content_type: answer.content_type,
        table: json.as_ref().filter(|_| (200..300).contains(&answer.status)).and_then(table),
        truncated: answer.truncated || !whole,
        body,
    }
}

/// The beginning of a JSON text, indented, and whether it is complete. Writing stops at the limit, because
/// indenting can make a small but deeply nested body a hundred times larger.
fn indented(json: &Value) -> (String, bool) {
    struct Beginning(Vec<u8>);
    impl io::Write for Beginning {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = BODY_MAX.saturating_sub(self.0.len());
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut beginning = Beginning(Vec::new());
    let whole = serde_json::to_writer_pretty(&mut beginning, json).is_ok();
    // The last character may be incomplete.
    let text = String::from_utf8_lossy(&beginning.0);
    (text.trim_end_matches('\u{FFFD}').chars().filter(is_shown).collect(), whole)
}

/// False for characters that are invisible or change the direction of text. Line breaks and tabs are kept.
fn is_shown(c: &char) -> bool {
    !is_unseen(*c) || matches!(c, '\n' | '\t')
}

/// The records of a JSON response: of an array, of the array that a HAL response embeds, or the one object.
fn table(json: &Value) -> Option<Table> {
    let records: Vec<&serde_json::Map<String, Value>> = match json {
        Value::Array(records) => records.iter().filter_map(Value::as_object).collect(),
        Value::Object(object) => match object.get("_embedded") {
            Some(Value::Object(embedded)) => {
                embedded.values().find_map(Value::as_array)?.iter().filter_map(Value::as_object).collect()
            }
            _ => vec![object],
        },
        _ => return None,
    };
    let mut columns: Vec<String> = Vec::new();
    for name in records.iter().take(ROWS_MAX).flat_map(|record| record.keys()) {
        let plumbing = name == "_links" || name == "_embedded";
        if !plumbing && columns.len() < COLUMNS_MAX && !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    if columns.is_empty() {
        return None;
    }
    let cells = |record: &&serde_json::Map<String, Value>| columns.iter().map(|column| cell(record.get(column))).collect();
    let rows = records.iter().take(ROWS_MAX).map(cells).collect();
    Some(Table { rows, records: records.len(), columns: columns.iter().map(|column| fitting(column)).collect() })
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => fitting(text),
        Some(other) => fitting(&other.to_string()),
    }
}

/// The text of a cell.
fn fitting(text: &str) -> String {
    let text: String = text.chars().filter(is_shown).take(CELL_MAX + 1).collect();
    if text.chars().count() <= CELL_MAX {
        return text;
    }
    text.chars().take(CELL_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_found_in_hal_and_in_plain_arrays() {
        let hal = json!({"total": 9, "_embedded": {"users": [{"id": 1, "name": "Ana", "_links": {}}, {"id": 2, "active": true}]}, "_links": {}});
        let found = table(&hal).unwrap();
        assert_eq!(found.columns, ["id", "name", "active"]);
        assert_eq!(found.rows, [["1", "Ana", ""], ["2", "", "true"]]);
        assert_eq!(found.records, 2);
        let plain = table(&json!([{"a": {"b": [1]}}, {"a": null}])).unwrap();
        assert_eq!(plain.rows, [["{\"b\":[1]}"], [""]]);
        let one = table(&json!({"account": "acme", "_links": {}})).unwrap();
        assert_eq!((one.columns, one.records), (vec!["account".to_owned()], 1));
        for none in [json!([]), json!([1, 2]), json!("x"), json!({"_links": {}})] {
            assert_eq!(table(&none), None);
        }
    }

    #[test]
    fn deep_nesting_does_not_blow_up() {
        let deep = (0..100).fold(json!("ä"), |inner, _| json!([inner, "é".repeat(500)]));
        let (text, whole) = indented(&deep);
        assert!(!whole && text.len() <= BODY_MAX && text.starts_with("[\n  ["), "{}", text.len());
        assert_eq!(indented(&json!({"a": 1})), ("{\n  \"a\": 1\n}".to_owned(), true));
    }

    #[test]
    fn nothing_that_is_shown_hides_or_turns_round() {
        let hostile = "a\u{1b}[31m\0\u{9b}\u{202e}\u{2028}b";
        let json = json!([{ hostile: hostile, "list": [hostile] }]);
        let found = table(&json).unwrap();
        assert_eq!(found.columns, ["a[31mb", "list"]);
        assert_eq!(found.rows[0][0], "a[31mb");
        let (body, _) = indented(&json);
        for text in [&found.rows[0][1], &body] {
            assert!(!text.chars().any(|c| is_unseen(c) && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn tables_are_bounded() {
        let record: serde_json::Map<String, Value> = (0..40).map(|n| (format!("c{n}"), json!("x".repeat(500)))).collect();
        let found = table(&Value::Array(vec![Value::Object(record); 100])).unwrap();
        assert_eq!((found.columns.len(), found.rows.len(), found.records), (COLUMNS_MAX, ROWS_MAX, 100));
        assert_eq!(found.rows[0][0].chars().count(), CELL_MAX);
    }
}
