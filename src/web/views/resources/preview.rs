//! The result of a Test or a Preview as pages show it.

use crate::{
    service::resources::preview::{Preview, PreviewResult, Table},
    web::views::credentials::verification::DiagnosisView,
};

pub(crate) struct PreviewView<'a> {
    /// Method and URL.
    pub(crate) request_line: &'a str,
    /// The `Authorization` header with the token hidden.
    pub(crate) authorization: &'a str,
    /// The response, if there was one.
    pub(crate) answer: Option<AnswerView<'a>>,
    /// Why there was none.
    pub(crate) failure: Option<DiagnosisView<'a>>,
}

/// A response.
pub(crate) struct AnswerView<'a> {
    pub(crate) status: u16,
    /// True for 2xx.
    pub(crate) success: bool,
    /// The meaning of another status, in a sentence.
    pub(crate) explanation: &'static str,
    /// How long it took, in milliseconds.
    pub(crate) millis: u64,
    /// May be empty.
    pub(crate) content_type: &'a str,
    pub(crate) table: Option<&'a Table>,
    /// The beginning of the body.
    pub(crate) body: &'a str,
    /// True if the body is longer.
    pub(crate) truncated: bool,
}

impl<'a> PreviewView<'a> {
    pub(crate) fn new(preview: &'a Preview) -> Self {
        let (answer, failure) = match &preview.result {
            PreviewResult::Answer { status, millis, content_type, table, body, truncated } => {
                let answer = AnswerView {
                    status: *status,
                    success: (200..300).contains(status),
                    explanation: explanation(*status),
                    millis: *millis,
                    content_type: content_type.as_deref().unwrap_or_default(),
                    table: table.as_ref().filter(|table| !table.columns.is_empty() && !table.rows.is_empty()),
                    body,
                    truncated: *truncated,
                };
                (Some(answer), None)
            }
            PreviewResult::Failed(diagnosis) => (None, Some(DiagnosisView::new(diagnosis))),
        };
        Self { request_line: &preview.request_line, authorization: &preview.authorization, answer, failure }
    }

    /// The outcome in a sentence, for the heading and for screen readers.
    pub(crate) fn outcome(&self) -> String {
        match (&self.answer, &self.failure) {
            (Some(answer), _) if answer.success => format!("Success: {} in {} ms", answer.status, answer.millis),
            (Some(answer), _) => format!("The service responded with {} in {} ms", answer.status, answer.millis),
            (None, Some(failure)) => failure.summary.to_owned(),
            (None, None) => String::new(),
        }
    }
}

const fn explanation(status: u16) -> &'static str {
    match status {
        300..400 => "The service sent a redirect. Keytile doesn't follow redirects with a credential.",
        400 | 422 => "The service rejected the request. Check the query parameters and the body.",
        401 => {
            "The service didn't accept the access token for this request. Check the credential's authorization prefix and scopes."
        }
        403 => "The service refused this request. Check the credential's scopes and the account's permissions.",
        404 => "The service found nothing at this path. Check it against the service's documentation.",
        405 => "The service doesn't allow this method for this path.",
        429 => "The service is limiting requests. Wait a moment and try again.",
        500.. => "The service reported an internal error. Try again later.",
        _ => "",
    }
}
