//! The response of a token endpoint: an access token (RFC 6749 section 5.1), or why there is none (section 5.2, and
//! everything else that real servers respond).

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{
    domain::{
        connectors::{CLIENT_ID, CLIENT_SECRET, FieldId},
        credentials::{
            values::FieldValues,
            verification::{Blame, Diagnosis, FaultCode, Stage},
        },
        time::Timestamp,
    },
    upstream::{
        client::exchange::Answer,
        diagnosis::{
            diagnose::{NOT_YOUR_INPUT, Subject, mid_sentence, plain, with_words},
            redactor::{Redactor, content_type},
            retry_after::{retry_after, wait_in_words},
        },
    },
};

/// The longest token lifetime that is accepted. A much larger number is more likely a mistake.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// An access token that the service has issued.
#[derive(Debug)]
pub struct IssuedToken {
    pub access_token: SecretString,
    /// How long the token may be used, counted from the response. If `expires_in` is missing, not a number, zero or
    /// negative, the connector's default lifetime applies; more than 30 days count as 30 days.
    pub lifetime: Duration,
}

/// Reads a complete response. The diagnosis says at which stage it failed.
pub(in crate::upstream) fn read(
    subject: Subject<'_>,
    answer: &Answer,
    values: &FieldValues,
    now: Timestamp,
) -> Result<IssuedToken, Box<Diagnosis>> {
    let json = serde_json::from_slice::<Value>(&answer.body).ok();
    let object = json.as_ref().and_then(Value::as_object);
    let error = object.and_then(|object| object.get("error")).and_then(Value::as_str);
    let judge = Judge { subject, answer, error };
    let diagnosis = match judge.verdict(object) {
        None => match object.and_then(usable_token) {
            Some(token) => {
                let lifetime = lifetime(object.and_then(|object| object.get("expires_in")), subject.connector.token.lifetime);
                return Ok(IssuedToken { access_token: token.to_owned().into(), lifetime });
            }
            None => judge.no_token(object),
        },
        Some(diagnosis) => diagnosis,
    };
    let redactor = Redactor::new(subject.connector, values, None);
    let words = redactor.words(answer.status, &answer.headers, json.as_ref());
    let wait = retry_after(&answer.headers, now).filter(|_| answer.status >= 400);
    Err(Box::new(with_wait(with_words(diagnosis, words, wait))))
}

/// The access token, if it can be sent in a header: visible ASCII only (RFC 6749 appendix A.12).
fn usable_token(object: &Map<String, Value>) -> Option<&str> {
    let token = object.get("access_token")?.as_str()?;
    (!token.is_empty() && token.bytes().all(|b| (0x20..=0x7e).contains(&b))).then_some(token)
}

fn lifetime(expires_in: Option<&Value>, default: u64) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    match seconds {
        // At least one second, because a lifetime of 0 would make the token useless.
        Some(seconds) if seconds > 0.0 => Duration::from_secs_f64(seconds.clamp(1.0, LIFETIME_MAX.as_secs_f64())),
        _ => Duration::from_secs(default),
    }
}

/// Adds the time to wait to the remedy, if waiting helps.
fn with_wait(mut diagnosis: Diagnosis) -> Diagnosis {
    match (diagnosis.code, diagnosis.retry_after) {
        (FaultCode::RateLimited, Some(seconds)) => diagnosis.remedy = format!("Try again in {}.", wait_in_words(seconds)),
        (FaultCode::ServiceError, Some(seconds)) => {
            diagnosis.remedy = format!("What you entered is not the cause. Try again in {}.", wait_in_words(seconds));
        }
        _ => {}
    }
    diagnosis
}

struct Judge<'a> {
    subject: Subject<'a>,
    answer: &'a Answer,
    /// The `error` parameter of the response.
    error: Option<&'a str>,
}

impl Judge<'_> {
    /// What is wrong according to status and `error`; `None` if they indicate success.
    fn verdict(&self, object: Option<&Map<String, Value>>) -> Option<Diagnosis> {
        let who = self.subject.who();
        let status = self.answer.status;
        let has_token = object.is_some_and(|object| object.contains_key("access_token"));
        let succeeded = (200..300).contains(&status);
        if succeeded && has_token {
            return None;
        }
        let of_service = |code, summary: String| plain(Stage::Http, code, Blame::Service, summary, NOT_YOUR_INPUT.into());
        Some(match status {
            300..=399 => self.redirected(),
            429 => plain(
                Stage::Http,
                FaultCode::RateLimited,
                Blame::Service,
                format!("{who} asks for fewer requests."),
                "Wait a few minutes and try again.".into(),
            ),
            500.. | 408 => {
                of_service(FaultCode::ServiceError, format!("{who} answered with an error of its own (status {status})."))
            }
            _ => return self.of_error().or_else(|| (!succeeded).then(|| self.of_status(status))),
        })
    }

    /// The diagnosis for an error code of RFC 6749 section 5.2, whatever the status.
    fn of_error(&self) -> Option<Diagnosis> {
        Some(match self.error? {
            "invalid_client" => self.invalid_client(),
            "invalid_scope" => self.invalid_scope(),
            "unauthorized_client" | "unsupported_grant_type" | "access_denied" => self.unauthorized_client(),
            "temporarily_unavailable" | "server_error" => plain(
                Stage::Oauth,
                FaultCode::ServiceError,
                Blame::Service,
                format!("{} answered with an error of its own.", self.subject.who()),
                NOT_YOUR_INPUT.into(),
            ),
            "invalid_request" | "invalid_grant" => self.rejected(),
            _ => return None,
        })
    }

    fn of_status(&self, status: u16) -> Diagnosis {
        match status {
            401 => self.invalid_client(),
            403 => self.unauthorized_client(),
            404 | 410 => {
                self.subject.no_such_account(Stage::Http, FaultCode::NotFound, "there is no token endpoint at this address")
            }
            _ => self.rejected(),
        }
    }

    fn invalid_client(&self) -> Diagnosis {
        let fields: Vec<FieldId> = [CLIENT_ID, CLIENT_SECRET].into_iter().filter_map(FieldId::new).collect();
        let summary = format!("{} rejected this {}.", self.subject.who(), self.subject.labels(&fields));
        let remedy = "Check for a missing character, or create a new secret. A newly added scope can take some minutes to work.";
        self.of_input(Stage::Oauth, FaultCode::InvalidClient, summary, remedy.into(), fields)
    }

    fn invalid_scope(&self) -> Diagnosis {
        let scope = self.subject.connector.token.params.iter().find(|(name, _)| name == "scope");
        let fields: Vec<FieldId> =
            scope.into_iter().flat_map(|(_, template)| template.references()).filter_map(|one| one.field().cloned()).collect();
        let labels = if fields.is_empty() { "scopes of this client".into() } else { self.subject.labels(&fields) };
        let summary = format!("{} rejected the {labels}.", self.subject.who());
        let remedy = "Check the spelling, and that the client was given each of them. \
                      A newly added scope can take some minutes to work.";
        self.of_input(Stage::Oauth, FaultCode::InvalidScope, summary, remedy.into(), fields)
    }

    fn unauthorized_client(&self) -> Diagnosis {
        let fields: Vec<FieldId> = FieldId::new(CLIENT_ID).into_iter().collect();
        let summary = format!("{} does not let this client fetch access tokens.", self.subject.who());
        let remedy = "Check in the service that the client is active and may use the grant “client credentials”.";
        self.of_input(Stage::Oauth, FaultCode::UnauthorizedClient, summary, remedy.into(), fields)
    }

    fn rejected(&self) -> Diagnosis {
        let status = self.answer.status;
        let summary = format!("{} finds the request for an access token wrong (status {status}).", self.subject.who());
        let remedy = "Read what the service says, and check the fields it speaks of.";
        self.of_input(Stage::Oauth, FaultCode::RequestRejected, summary, remedy.into(), Vec::new())
    }

    fn redirected(&self) -> Diagnosis {
        let status = self.answer.status;
        let who = self.subject.who();
        let summary = format!("{who} answered with a redirect (status {status}). Credentials are not sent on to another address.");
        let fields = self.subject.address_fields();
        let remedy = match self.subject.labels(&fields) {
            labels if labels.is_empty() => "The connector may be out of date.".to_owned(),
            labels => format!("Check {labels}: a redirect often means an address that is not quite right."),
        };
        self.of_input(Stage::Http, FaultCode::Redirected, summary, remedy, fields)
    }

    /// The diagnosis for a success without an access token.
    fn no_token(&self, object: Option<&Map<String, Value>>) -> Diagnosis {
        let Answer { status, headers, .. } = self.answer;
        let who = self.subject.who();
        let (stage, what) = match object {
            Some(object) if object.contains_key("access_token") => (Stage::Token, "an access token that cannot be used".to_owned()),
            Some(_) => (Stage::Token, "JSON without an access token".to_owned()),
            None => {
                let kind = content_type(headers).unwrap_or_default();
                let what = match kind.as_str() {
                    "text/html" | "application/xhtml+xml" => "a web page".to_owned(),
                    _ if self.answer.body.is_empty() => "nothing".to_owned(),
                    _ => "something that is not JSON".to_owned(),
                };
                (Stage::Oauth, what)
            }
        };
        let fields = self.subject.address_fields();
        let summary = format!("{who} answered with {what} (status {status}), so this is not a token endpoint.");
        let remedy = match self.subject.labels(&fields) {
            labels if labels.is_empty() => format!("Something between this server and {} may have answered.", mid_sentence(&who)),
            labels => format!("Check {labels}, or whether something between this server and the service has answered."),
        };
        self.of_input(stage, FaultCode::NotTokenEndpoint, summary, remedy, fields)
    }

    fn of_input(&self, stage: Stage, code: FaultCode, summary: String, remedy: String, fields: Vec<FieldId>) -> Diagnosis {
        Diagnosis { fields, ..plain(stage, code, Blame::Input, summary, remedy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn lifetimes_that_say_nothing_give_way_to_the_connectors() {
        let seconds = |value: Value| lifetime(Some(&value), 600).as_secs();
        assert_eq!(lifetime(None, 600).as_secs(), 600);
        assert_eq!(seconds(json!(3599)), 3599);
        assert_eq!(seconds(json!("300")), 300);
        assert_eq!(seconds(json!(" 300 ")), 300);
        assert_eq!(seconds(json!(300.7)), 300);
        assert_eq!(seconds(json!(0.2)), 1);
        for nothing in
            [json!(0), json!(-1), json!("0"), json!("-5"), json!("soon"), json!(""), json!(null), json!([1]), json!("NaN")]
        {
            assert_eq!(seconds(nothing.clone()), 600, "{nothing}");
        }
        for absurd in [json!(1e300), json!(u64::MAX), json!("99999999999999999999"), json!("inf")] {
            assert_eq!(seconds(absurd.clone()), 30 * 86_400, "{absurd}");
        }
    }

    proptest! {
        #[test]
        fn a_lifetime_is_always_usable(number in proptest::num::f64::ANY) {
            let text = Value::String(number.to_string());
            let found = lifetime(Some(&text), 600);
            prop_assert!(found >= Duration::from_secs(1) && found <= LIFETIME_MAX);
        }
    }
}
