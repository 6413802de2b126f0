//! Requests to a connector's API: the requests of sources and destinations, and the probe of a verification.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant as Deadline;
use zeroize::Zeroizing;

use super::{
    client::{
        exchange::{Answer, BodyLimit, Exchanger, Outgoing},
        progress::Progress,
    },
    diagnosis::{
        diagnose::{InputFault, NOT_YOUR_INPUT, Subject, mid_sentence, plain, with_words},
        redactor::Redactor,
        retry_after::{retry_after, wait_in_words},
    },
    limits::Limits,
    oauth::token_request::{add_headers, header_value, own_headers, refuse_user_information},
};
use crate::domain::{
    connectors::{CLIENT_ID, Connector, FieldId, context::Context},
    credentials::{
        values::{FieldValue, FieldValues},
        verification::{Blame, Diagnosis, FaultCode, Stage, StageOutcome, StageReport, Unobserved},
    },
    resources::{ApiPath, Endpoint, Method as ApiMethod},
    time::Clock,
};

/// Everything but the unreserved characters of RFC 3986 section 2.3. All servers decode that the same way, while
/// they differ on `+` for a space.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request of a source or destination.
#[derive(Clone, Copy)]
pub struct ApiRequest<'a> {
    pub endpoint: &'a Endpoint,
    /// A body, sent as `application/json`.
    pub body: Option<&'a str>,
}

/// The response of an API, whatever its status.
pub struct ApiAnswer {
    /// The status code. Redirects are returned like any other response and not followed.
    pub status: u16,
    /// The media type, without parameters and with secrets redacted.
    pub content_type: Option<String>,
    /// The body, cut at [`Limits::api_answer`](super::Limits::api_answer). Every occurrence of the access token or of
    /// a secret of the credential, in any encoding, is replaced by `[redacted]`.
    pub body: Vec<u8>,
    /// True if the body was longer than the limit.
    pub truncated: bool,
    /// The time from the start of the request to the end of the response.
    pub elapsed: Duration,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// The report of [`Stage::Probe`]: skipped if the connector has no probe.
    pub report: StageReport,
    /// Why the API rejects the token, if it does.
    pub notice: Option<Diagnosis>,
}

/// Calls the API of a connector.
pub struct ApiClient {
    exchanger: Arc<Exchanger>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl ApiClient {
    pub(super) fn new(exchanger: Arc<Exchanger>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { exchanger, limits, clock }
    }

    /// Sends one request of a resource to the API. Every status is an answer; the error says why
    /// there is none. An API that repeats the request does not give its secrets away.
    pub async fn call(
        &self,
        connector: &Connector,
        values: &FieldValues,
        access_token: &SecretString,
        request: &ApiRequest<'_>,
    ) -> Result<ApiAnswer, Diagnosis> {
        let begun = Instant::now();
        let deadline = Deadline::now() + self.limits.request;
        let outgoing = api_request(connector, values, access_token, request)?;
        let answer = self.exchange_with_api(connector, outgoing, self.limits.api_answer, deadline).await?;
        let elapsed = begun.elapsed();
        let redactor = Redactor::new(connector, values, Some(access_token));
        let mut body = redactor.body(&answer.body, answer.truncated);
        // The redaction mark may be longer than the secret that it replaces.
        let truncated = answer.truncated || body.len() > self.limits.api_answer;
        body.truncate(self.limits.api_answer);
        Ok(ApiAnswer { status: answer.status, content_type: redactor.content_type(&answer.headers), body, truncated, elapsed })
    }

    /// Checks whether the API accepts an access token. All its requests together take at most
    /// [`Limits::probe`](super::Limits::probe).
    pub async fn probe(&self, connector: &Connector, values: &FieldValues, access_token: &SecretString) -> ProbeOutcome {
        let Some(probe) = &connector.probe else {
            let report = StageReport { stage: Stage::Probe, outcome: StageOutcome::Skipped, micros: 0 };
            return ProbeOutcome { report, notice: None };
        };
        let begun = Instant::now();
        let deadline = Deadline::now() + self.limits.probe;
        let endpoint = Endpoint { method: ApiMethod::Get, path: probe.path.clone(), query: Vec::new() };
        let notice = match self.knock(connector, values, access_token, &endpoint, deadline).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) if answer.status == 401 => {
                let other = match &probe.compare {
                    Some(field) => self.option_that_works(connector, values, access_token, &endpoint, deadline, field).await,
                    None => None,
                };
                Some(self.refused(connector, values, access_token, &answer, other))
            }
            Ok(answer) => Some(self.refused(connector, values, access_token, &answer, None)),
            Err(diagnosis) => Some(Diagnosis { stage: Stage::Probe, ..diagnosis }),
        };
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outcome = if notice.is_none() { StageOutcome::Passed } else { StageOutcome::Failed };
        ProbeOutcome { report: StageReport { stage: Stage::Probe, outcome, micros }, notice }
    }

    async fn knock(
        &self,
        connector: &Connector,
        values: &FieldValues,
        access_token: &SecretString,
        endpoint: &Endpoint,
        deadline: Deadline,
    ) -> Result<Answer, Diagnosis> {
        let outgoing = api_request(connector, values, access_token, &ApiRequest { endpoint, body: None })?;
        // Only the status matters, and the service's message if it rejects the token.
        self.exchange_with_api(connector, outgoing, self.limits.token_answer, deadline).await
    }

    async fn exchange_with_api(
        &self,
        connector: &Connector,
        outgoing: Outgoing,
        most: usize,
        deadline: Deadline,
    ) -> Result<Answer, Diagnosis> {
        let mut progress = Progress::new(&Unobserved);
        progress.pass(Stage::Input, Instant::now());
        let answer = self.exchanger.exchange(outgoing, BodyLimit::CutAt(most), deadline, &mut progress).await;
        answer.map_err(|fault| Subject::api(connector).of_fault(fault))
    }

    /// The label of another option of the field, if the API doesn't return 401 with it.
    async fn option_that_works(
        &self,
        connector: &Connector,
        values: &FieldValues,
        access_token: &SecretString,
        endpoint: &Endpoint,
        deadline: Deadline,
        field: &FieldId,
    ) -> Option<(FieldId, String, String)> {
        let options = &connector.field(field.as_str())?.options;
        let present = Context::new(&connector.fields, values).value(field.as_str())?;
        let label = |id: &str| options.iter().find(|option| option.id == id).map(|option| option.label.clone());
        for option in options.iter().filter(|option| option.id != present) {
            let mut changed = values.clone();
            changed.insert(field.clone(), FieldValue::Plain(option.id.clone()));
            let answer = self.knock(connector, &changed, access_token, endpoint, deadline).await;
            if answer.is_ok_and(|answer| (200..300).contains(&answer.status) || answer.status == 403) {
                return Some((field.clone(), label(present)?, option.label.clone()));
            }
        }
        None
    }

    /// The diagnosis for an API that rejects the token.
    fn refused(
        &self,
        connector: &Connector,
        values: &FieldValues,
        access_token: &SecretString,
        answer: &Answer,
        other: Option<(FieldId, String, String)>,
    ) -> Diagnosis {
        let subject = Subject::api(connector);
        let who = subject.who();
        let status = answer.status;
        let wait = retry_after(&answer.headers, self.clock.now()).filter(|_| status >= 400);
        let of_input = |code, summary: String, remedy: String, fields: Vec<FieldId>| Diagnosis {
            fields,
            ..plain(Stage::Probe, code, Blame::Input, summary, remedy)
        };
        let diagnosis = match (status, other) {
            (_, Some((field, present, works))) => of_input(
                FaultCode::WrongAuthorizationPrefix,
                format!("{who} does not take the access token with “{present}”, but takes it with “{works}”."),
                format!("Edit the credential, and choose “{works}” as its {}.", connector.label(&field)),
                vec![field],
            ),
            (401, None) => of_input(
                FaultCode::ApiRejected,
                format!("{who} does not take the access token (status 401)."),
                "The token was issued, so the client is right. Check the settings of the API, and what it says.".into(),
                api_fields(connector),
            ),
            (403, None) => of_input(
                FaultCode::ApiRejected,
                format!("{who} takes the access token, but not for this request (status 403)."),
                "The client may lack a scope. A newly added scope can take some minutes to work.".into(),
                Vec::new(),
            ),
            (404 | 410, None) => of_input(
                FaultCode::NotFound,
                format!("{who} has nothing at the address of the probe (status {status})."),
                "Check the address of the API.".into(),
                subject.address_fields(),
            ),
            (300..=399, None) => of_input(
                FaultCode::Redirected,
                format!("{who} answered with a redirect (status {status}). The access token is not sent on to another address."),
                "Check the address of the API.".into(),
                subject.address_fields(),
            ),
            (429, None) => plain(
                Stage::Probe,
                FaultCode::RateLimited,
                Blame::Service,
                format!("{who} asks for fewer requests."),
                format!(
                    "The access token was issued. Try the API again {}.",
                    wait.map_or("later".into(), |seconds| format!("in {}", wait_in_words(seconds)))
                ),
            ),
            (500.., None) => plain(
                Stage::Probe,
                FaultCode::ServiceError,
                Blame::Service,
                format!("{who} answered with an error of its own (status {status})."),
                NOT_YOUR_INPUT.into(),
            ),
            (_, None) => of_input(
                FaultCode::ApiRejected,
                format!("The request of the probe was refused by {} (status {status}).", mid_sentence(&who)),
                "The access token was issued. Read what the API says.".into(),
                Vec::new(),
            ),
        };
        let json = serde_json::from_slice(&answer.body).ok();
        let words = Redactor::new(connector, values, Some(access_token)).words(status, &answer.headers, json.as_ref());
        with_words(diagnosis, words, wait)
    }
}

/// The fields that decide how a request to the API is authorized.
fn api_fields(connector: &Connector) -> Vec<FieldId> {
    connector.api.authorization.references().filter_map(|reference| reference.field().cloned()).collect()
}

/// Builds a request to the API, or names the field that prevents it.
fn api_request(
    connector: &Connector,
    values: &FieldValues,
    access_token: &SecretString,
    request: &ApiRequest<'_>,
) -> Result<Outgoing, InputFault> {
    let context = Context::new(&connector.fields, values).with_access_token(access_token);
    let base = connector.api.base_url.render(&context)?;
    refuse_user_information(&base, &connector.api.base_url.host_fields())?;
    let url = below(base, &request.endpoint.path, &request.endpoint.query)?;
    let mut headers = own_headers();
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    authorization_headers(&mut headers, connector, &context)?;
    let body = request.body.unwrap_or_default().as_bytes().to_vec();
    Ok(Outgoing { method: method(request.endpoint.method), url, headers, body })
}

/// Adds the headers of every request to the API: those that the connector names, and `Authorization`.
pub(super) fn authorization_headers(
    headers: &mut HeaderMap,
    connector: &Connector,
    context: &Context<'_>,
) -> Result<(), InputFault> {
    add_headers(headers, &connector.api.headers, context)?;
    headers.insert(AUTHORIZATION, authorization_header(connector, context)?);
    Ok(())
}

fn authorization_header(connector: &Connector, context: &Context<'_>) -> Result<HeaderValue, InputFault> {
    let field = connector.api.authorization.references().find_map(|reference| reference.field());
    let incomplete = || InputFault { field: field.cloned(), reason: "Enter a value: without it there is no authorization.".into() };
    let authorization = connector.api.authorization.render(context).ok_or_else(incomplete)?;
    // A space at the end of the prefix field, or an empty prefix, would leave a leading space.
    let authorization = Zeroizing::new(authorization.expose_secret().trim().to_owned());
    header_value(&authorization, field.map_or(CLIENT_ID, FieldId::as_str))
}

/// The value of the `Authorization` header for the API of a connector, checked to be a valid header value.
pub fn authorization(
    connector: &Connector,
    values: &FieldValues,
    access_token: &SecretString,
) -> Result<SecretString, Box<Diagnosis>> {
    let context = Context::new(&connector.fields, values).with_access_token(access_token);
    let header = authorization_header(connector, &context).map_err(|fault| Box::new(Diagnosis::from(fault)))?;
    Ok(String::from_utf8_lossy(header.as_bytes()).into_owned().into())
}

/// The URL of a path below the base URL. Its query is appended to the base URL's own.
fn below(mut url: Url, path: &ApiPath, query: &[(String, String)]) -> Result<Url, InputFault> {
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}{}", path.as_str()));
    if !url.path().starts_with(&format!("{base}/")) {
        return Err(InputFault { field: None, reason: "The path leads out of the API's base URL.".into() });
    }
    let own = url.query().map(str::to_owned).into_iter();
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let all: Vec<String> = own.chain(pairs).filter(|part| !part.is_empty()).collect();
    url.set_query((!all.is_empty()).then(|| all.join("&")).as_deref());
    Ok(url)
}

fn method(method: ApiMethod) -> Method {
    match method {
        ApiMethod::Get => Method::GET,
        ApiMethod::Post => Method::POST,
        ApiMethod::Put => Method::PUT,
        ApiMethod::Patch => Method::PATCH,
        ApiMethod::Delete => Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base: &str, path: &str, query: &[(&str, &str)]) -> String {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        below(base.parse().unwrap(), &ApiPath::parse(path).unwrap(), &query).unwrap().into()
    }

    #[test]
    fn a_path_is_appended_to_the_base_url() {
        assert_eq!(address("https://a.example", "/users", &[]), "https://a.example/users");
        assert_eq!(address("https://a.example/v1/", "/users", &[]), "https://a.example/v1/users");
        assert_eq!(address("https://a.example/v1?key=1", "/u", &[("p", "2")]), "https://a.example/v1/u?key=1&p=2");
        assert_eq!(address("https://a.example", "/a%20b/ü", &[]), "https://a.example/a%20b/%C3%BC");
    }

    #[test]
    fn queries_are_encoded_so_that_nothing_leaves_its_value() {
        assert_eq!(
            address("https://a.example", "/u", &[("a b", "c&d=e#f+g%h/ü"), ("empty", "")]),
            "https://a.example/u?a%20b=c%26d%3De%23f%2Bg%25h%2F%C3%BC&empty="
        );
    }
}
