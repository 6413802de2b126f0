//! The response of a token endpoint: an access token (RFC 6749 section 5.1), or why there is none (section 5.2, and
//! everything else that real servers respond).

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{
    domain::{
        connectors::{CLIENT_ID, CLIENT_SECRET, FieldId},
        credentials::{
            diagnoses::Case,
            values::FieldValues,
            verification::{Diagnosis, Stage},
        },
        time::Timestamp,
    },
    upstream::{
        client::exchange::Answer,
        diagnosis::{
            diagnose::{Subject, with_words},
            redactor::{Redactor, content_type},
            retry_after::retry_after,
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
    let wait = retry_after(&answer.headers, now).filter(|_| answer.status >= 400);
    let judge = Judge { subject, answer, error, wait };
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
    Err(Box::new(with_words(diagnosis, words, wait)))
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

struct Judge<'a> {
    subject: Subject<'a>,
    answer: &'a Answer,
    /// The `error` parameter of the response.
    error: Option<&'a str>,
    /// For how many seconds the service asks to be left alone.
    wait: Option<u64>,
}

impl Judge<'_> {
    /// What is wrong according to status and `error`; `None` if they indicate success.
    fn verdict(&self, object: Option<&Map<String, Value>>) -> Option<Diagnosis> {
        let status = self.answer.status;
        let has_token = object.is_some_and(|object| object.contains_key("access_token"));
        let succeeded = (200..300).contains(&status);
        if succeeded && has_token {
            return None;
        }
        Some(match status {
            300..=399 => self.at_address(Case::Redirected, Stage::Http),
            429 => self.of_service(Case::RateLimited, Stage::Http),
            408 => self.of_service(Case::RequestTooSlow, Stage::Http),
            500.. => self.of_service(Case::ServiceError, Stage::Http),
            _ => return self.of_error().or_else(|| (!succeeded).then(|| self.of_status(status))),
        })
    }

    /// The diagnosis for an error code of RFC 6749 section 5.2, whatever the status.
    fn of_error(&self) -> Option<Diagnosis> {
        Some(match self.error? {
            "invalid_client" => self.of_client(Case::InvalidClient, &[CLIENT_ID, CLIENT_SECRET]),
            "invalid_scope" => self.invalid_scope(),
            "unauthorized_client" | "access_denied" => self.of_client(Case::UnauthorizedClient, &[CLIENT_ID]),
            "unsupported_grant_type" => self.of_client(Case::GrantNotSupported, &[CLIENT_ID]),
            "temporarily_unavailable" => self.of_service(Case::TemporarilyUnavailable, Stage::Oauth),
            "server_error" => self.of_service(Case::ServerError, Stage::Oauth),
            "invalid_request" | "invalid_grant" => self.of_client(Case::RequestRejected, &[]),
            _ => return None,
        })
    }

    fn of_status(&self, status: u16) -> Diagnosis {
        match status {
            401 => self.of_client(Case::InvalidClient, &[CLIENT_ID, CLIENT_SECRET]),
            403 => self.of_client(Case::TokenForbidden, &[CLIENT_ID, CLIENT_SECRET]),
            404 | 410 => self.subject.not_found(Stage::Http, status),
            _ => self.of_client(Case::RequestRejected, &[]),
        }
    }

    fn invalid_scope(&self) -> Diagnosis {
        let scope = self.subject.connector.token.params.iter().find(|(name, _)| name == "scope");
        let fields: Vec<FieldId> =
            scope.into_iter().flat_map(|(_, template)| template.references()).filter_map(|one| one.field().cloned()).collect();
        let case = if fields.is_empty() { Case::InvalidClientScope } else { Case::InvalidScope };
        self.subject.say(case, Stage::Oauth).fields(fields).done()
    }

    /// The diagnosis for a success without an access token.
    fn no_token(&self, object: Option<&Map<String, Value>>) -> Diagnosis {
        match object {
            Some(object) if object.contains_key("access_token") => self.at_address(Case::UnusableToken, Stage::Token),
            Some(_) => self.at_address(Case::NoToken, Stage::Token),
            None => {
                let kind = content_type(&self.answer.headers).unwrap_or_default();
                let case = match kind.as_str() {
                    "text/html" | "application/xhtml+xml" => Case::WebPage,
                    _ if self.answer.body.is_empty() => Case::EmptyResponse,
                    _ if serde_json::from_slice::<Value>(&self.answer.body).is_ok() => Case::NoToken,
                    _ => Case::NotJson,
                };
                self.at_address(case, Stage::Oauth)
            }
        }
    }

    /// The client is at fault, and with it these fields.
    fn of_client(&self, case: Case, fields: &[&str]) -> Diagnosis {
        let fields = fields.iter().filter_map(|field| FieldId::new(field)).collect();
        self.subject.say(case, Stage::Oauth).status(self.answer.status).fields(fields).done()
    }

    /// The address may be at fault.
    fn at_address(&self, case: Case, stage: Stage) -> Diagnosis {
        self.subject.say(case, stage).status(self.answer.status).fields(self.subject.address_fields()).done()
    }

    /// The service is not able to, or not for now.
    fn of_service(&self, case: Case, stage: Stage) -> Diagnosis {
        self.subject.say(case, stage).status(self.answer.status).wait(self.wait).done()
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
