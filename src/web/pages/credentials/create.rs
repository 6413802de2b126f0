//! Save: verifies and stores the overlay's form. Script asks for `application/x-ndjson` and gets a line for each
//! stage as it ends, and a last line with the outcome; without script, the response is a page.

use std::{collections::BTreeMap, convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use futures_util::{
    FutureExt,
    future::BoxFuture,
    stream::{self, Stream},
};
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::overlay;
use crate::{
    domain::{
        connectors::{Connector, FieldId},
        credentials::{
            CredentialId,
            form::RawForm,
            verification::{StageObserver, StageReport, Unobserved},
        },
    },
    service::{ServiceError, credentials::create::SaveOutcome},
    web::{
        http::{
            error::{self, PageError},
            extract::{Fields, Flow, Form, FromFields},
        },
        session::{SignedIn, sign_in_address},
        state::WebState,
        views::{
            credentials::{
                form::{FormView, Problem},
                verification::outcome_word,
            },
            resources::flow::base,
        },
    },
};

/// The media type of JSON values, one per line.
const LINES: &str = "application/x-ndjson";

/// The form of a credential, as it was submitted.
pub(crate) struct SaveForm {
    pub(in crate::web::pages) draft: Uuid,
    raw: RawForm,
}

impl FromFields for SaveForm {
    fn from_fields(mut fields: Fields) -> Result<Self, PageError> {
        let draft = fields.take_id("draft")?;
        let (name, description) = (fields.take("name"), fields.take("description"));
        // Only the connector knows which fields are secret, so all are treated as secret.
        let mut typed = BTreeMap::new();
        for (id, value) in fields.rest().filter_map(|(id, value)| Some((FieldId::new(&id)?, value))) {
            // If a field is repeated, the first counts, as in every other form.
            typed.entry(id).or_insert_with(|| SecretString::from(value));
        }
        Ok(Self { draft, raw: RawForm { name, description, fields: typed } })
    }
}

impl SaveForm {
    /// The values of the fields that the connector has.
    pub(in crate::web::pages) fn for_connector(mut self, connector: &Connector) -> (Uuid, RawForm) {
        self.raw.fields.retain(|id, _| connector.field(id.as_str()).is_some());
        (self.draft, self.raw)
    }
}

/// `POST /{kind}/new/{connector}/credentials/new`.
pub(crate) async fn save(
    State(state): State<WebState>,
    signed: SignedIn,
    flow: Flow,
    headers: HeaderMap,
    Form(form): Form<SaveForm>,
) -> Result<Response, PageError> {
    let (draft, raw) = form.for_connector(&flow.connector);
    let by_script = is_by_script(&headers);
    if signed.session.is_none() {
        state.service.keep_form(&signed.caller, &flow.connector, draft, &raw).await?;
        return Ok(signed_out(&format!("{}/credentials/new", base(&flow)), by_script));
    }
    if by_script {
        let (service, caller, connector) = (state.service.clone(), signed.caller.clone(), Arc::clone(&flow.connector));
        let saving = move |observer| async move { service.save_credential(caller, connector, draft, raw, observer).await };
        return Ok(as_lines(saving, move |outcome| last_line(&state, &signed, &flow, outcome)));
    }
    let saving =
        state.service.save_credential(signed.caller.clone(), Arc::clone(&flow.connector), draft, raw, Arc::new(Unobserved));
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    match saving.await? {
        SaveOutcome::Saved(id) => Ok(Redirect::to(&location(&flow, id)).into_response()),
        SaveOutcome::Invalid { errors, form } => {
            overlay::respond(&state, &signed, &flow, &form, Problem::Invalid(&errors), invalid).await
        }
        SaveOutcome::Rejected { verification, form } => {
            overlay::respond(&state, &signed, &flow, &form, Problem::Rejected(&verification), invalid).await
        }
    }
}

/// True if script sends the form and reads the response line by line.
pub(in crate::web::pages) fn is_by_script(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted == LINES)
}

/// The session expired while the user was typing. The input is kept; this page restores it after the sign-in.
pub(in crate::web::pages) fn signed_out(page: &str, by_script: bool) -> Response {
    let location = sign_in_address(page);
    if by_script {
        let line = Line::Saved { outcome: "signed_out", location };
        return ([(header::CONTENT_TYPE, HeaderValue::from_static(LINES))], line.to_text()).into_response();
    }
    Redirect::to(&location).into_response()
}

/// The URL of the tiles with the saved credential selected.
fn location(flow: &Flow, id: CredentialId) -> String {
    format!("{}/authenticate?credential={id}&saved=1", base(flow))
}

/// The form without the page around it.
#[derive(Template)]
#[template(path = "overlay/form.html")]
struct Fragment<'a> {
    form: FormView<'a>,
}

/// One line of the stream.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub(in crate::web::pages) enum Line {
    /// A stage has ended.
    Stage { stage: &'static str, outcome: &'static str, label: &'static str, millis: u64 },
    /// The outcome `saved` or `signed_out`, with the URL to go to.
    Saved { outcome: &'static str, location: String },
    /// The outcome `invalid` or `rejected`, with the form to show.
    Again { outcome: &'static str, html: String },
    /// The outcome `error`, which was logged.
    Error { outcome: &'static str, message: &'static str },
}

impl Line {
    const ERROR: Self = Self::Error { outcome: "error", message: "internal error" };

    /// The form again, with its errors.
    pub(in crate::web::pages) fn again(outcome: &'static str, form: FormView<'_>) -> Self {
        match (Fragment { form }).render() {
            Ok(html) => Self::Again { outcome, html },
            Err(error) => {
                PageError::internal(error);
                Self::ERROR
            }
        }
    }

    /// The line for an error.
    pub(in crate::web::pages) fn failed(error: ServiceError) -> Self {
        if matches!(error, ServiceError::TooMany) {
            let message = "you have several requests in progress, so wait for them to finish";
            return Self::Error { outcome: "error", message };
        }
        PageError::internal(error);
        Self::ERROR
    }

    fn of(report: &StageReport) -> Self {
        Self::Stage {
            stage: report.stage.as_str(),
            outcome: outcome_word(report.outcome),
            label: report.stage.label(),
            millis: report.micros / 1_000,
        }
    }

    fn to_text(&self) -> String {
        // Strings and numbers always serialize.
        let mut text = serde_json::to_string(self).unwrap_or_else(|_| r#"{"outcome":"error"}"#.into());
        text.push('\n');
        text
    }
}

/// Forwards stages as they end.
struct Live(mpsc::UnboundedSender<StageReport>);

impl StageObserver for Live {
    fn stage_ended(&self, report: &StageReport) {
        // Sending fails if the browser has gone; the Save continues.
        let _ = self.0.send(report.clone());
    }
}

/// The response to script: a line for each stage, and a last line that `last` makes from the outcome.
pub(in crate::web::pages) fn as_lines<T: Send + 'static, W: Future<Output = Result<T, ServiceError>> + Send + 'static>(
    work: impl FnOnce(Arc<dyn StageObserver>) -> W,
    last: impl FnOnce(Result<T, ServiceError>) -> Line + Send + 'static,
) -> Response {
    let (sender, stages) = mpsc::unbounded_channel();
    let saving = work(Arc::new(Live(sender)));
    // The response has already begun, so a panic must become a last line rather than a status.
    let saving = AssertUnwindSafe(saving).catch_unwind();
    let last = move |outcome: std::thread::Result<_>| match outcome {
        Ok(outcome) => last(outcome),
        Err(payload) => {
            error::panicked(payload);
            Line::ERROR
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(LINES)),
        // Asks a reverse proxy not to buffer the lines.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(lines(stages, Box::pin(saving), last))).into_response()
}

fn last_line(state: &WebState, signed: &SignedIn, flow: &Flow, outcome: Result<SaveOutcome, ServiceError>) -> Line {
    let again = |outcome, form: &_, problem: Problem<'_>| Line::again(outcome, overlay::view(state, signed, flow, form, problem));
    match outcome {
        Ok(SaveOutcome::Saved(id)) => Line::Saved { outcome: "saved", location: location(flow, id) },
        Ok(SaveOutcome::Invalid { errors, form }) => again("invalid", &form, Problem::Invalid(&errors)),
        Ok(SaveOutcome::Rejected { verification, form }) => again("rejected", &form, Problem::Rejected(&verification)),
        Err(error) => Line::failed(error),
    }
}

/// A line for each stage until the work is done, the stages that arrived in the meantime, then the last line.
fn lines<T: Send + 'static>(
    stages: mpsc::UnboundedReceiver<StageReport>,
    work: BoxFuture<'static, T>,
    last: impl FnOnce(T) -> Line + Send + 'static,
) -> impl Stream<Item = Result<String, Infallible>> + Send + 'static {
    stream::unfold((stages, Some((work, last))), |(mut stages, mut rest)| async move {
        let (work, _) = rest.as_mut()?;
        let done = tokio::select! {
            biased;
            Some(report) = stages.recv() => return Some((Ok(Line::of(&report).to_text()), (stages, rest))),
            done = work => done,
        };
        let mut text = String::new();
        while let Ok(report) = stages.try_recv() {
            text.push_str(&Line::of(&report).to_text());
        }
        let (_, last) = rest.take()?;
        text.push_str(&last(done).to_text());
        Some((Ok(text), (stages, None)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::verification::{Stage, StageOutcome};
    use futures_util::StreamExt;

    fn report(stage: Stage) -> StageReport {
        StageReport { stage, outcome: StageOutcome::Passed, micros: 12_345 }
    }

    #[tokio::test]
    async fn stages_come_before_the_work_is_done_and_the_outcome_comes_last() {
        let (sender, stages) = mpsc::unbounded_channel();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let observer = Live(sender);
        let late = Arc::new(Live(observer.0.clone()));
        let work = Box::pin(async move {
            let _ = finished.await;
            late.stage_ended(&report(Stage::Tls));
        });
        let mut lines = Box::pin(lines(stages, work, |()| Line::Saved { outcome: "saved", location: "/x?credential=1".into() }));
        observer.stage_ended(&report(Stage::Address));
        let first = lines.next().await.unwrap().unwrap();
        assert_eq!(first, "{\"stage\":\"address\",\"outcome\":\"passed\",\"label\":\"Address\",\"millis\":12}\n");
        finish.send(()).unwrap();
        let rest: String = lines.map(|line| line.unwrap()).collect().await;
        let rest: Vec<_> = rest.lines().collect();
        assert_eq!(
            rest,
            [
                "{\"stage\":\"tls\",\"outcome\":\"passed\",\"label\":\"TLS\",\"millis\":12}",
                "{\"outcome\":\"saved\",\"location\":\"/x?credential=1\"}",
            ]
        );
    }

    #[test]
    fn a_line_is_one_line() {
        let line = Line::Again { outcome: "invalid", html: "<form>\n\"</form>".into() };
        assert_eq!(line.to_text(), "{\"outcome\":\"invalid\",\"html\":\"<form>\\n\\\"</form>\"}\n");
    }

    #[test]
    fn only_fields_of_the_form_are_read() {
        let draft = "01890000-0000-7000-8000-000000000001";
        let body = format!("draft={draft}&name=A&description=B&client_id=c&Not-a-field=x&client_id=d");
        let form = SaveForm::from_fields(Fields::read(body.as_bytes())).ok().unwrap();
        assert_eq!(form.draft.to_string(), draft);
        assert_eq!((form.raw.name.as_str(), form.raw.description.as_str()), ("A", "B"));
        let ids: Vec<_> = form.raw.fields.keys().map(FieldId::as_str).collect();
        assert_eq!(ids, ["client_id"]);
        assert_eq!(form.raw.typed(&FieldId::new("client_id").unwrap()), "c", "the first of two counts");
        assert!(matches!(SaveForm::from_fields(Fields::read(b"name=A")), Err(PageError::BadRequest)));
    }
}
