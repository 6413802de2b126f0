//! JSON bodies, parsed into types with known members. A member that is unknown, missing, repeated or of the wrong
//! type is refused with its path. Error messages contain names of members but no values, because a value may be a
//! secret.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};

use super::problems::invalid_members;
use crate::web::{
    http::problem::{MemberError, Problem},
    state::WebState,
};

pub(crate) struct JsonBody<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<WebState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Send the body as JSON, with the header Content-Type: application/json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
        }
        let bytes = whole(request, state).await?;
        read(&bytes).map(|value| Self { value, bytes })
    }
}

/// An optional JSON body; the default if it is empty.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<WebState> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Problem> {
        let has_kind = request.headers().contains_key(header::CONTENT_TYPE);
        if has_kind {
            let body: JsonBody<Option<T>> = JsonBody::from_request(request, state).await?;
            return Ok(Self(body.value.unwrap_or_default()));
        }
        let bytes = whole(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { read(&bytes).map(|value: Option<T>| Self(value.unwrap_or_default())) }
    }
}

async fn whole(request: Request, state: &WebState) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "The body is larger than 256 KiB. Nothing was done.";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", "The request body was incomplete. Nothing was done."),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("application/merge-patch+json")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    let error = match value {
        Ok(value) => match json.end() {
            Ok(()) => return Ok(value),
            Err(_) => return Err(malformed()),
        },
        Err(error) => error,
    };
    if !error.inner().is_data() {
        return Err(malformed());
    }
    let path = error.path().to_string();
    let path = if path == "." { String::new() } else { path };
    let mut wrong = member_error(path, &error.inner().to_string());
    // `contract` is the old name of `policy`, and errors tell the new one. In a body that has neither, it is unknown.
    let below = wrong.field.strip_prefix("contract").filter(|below| below.starts_with('.') || below.is_empty());
    if let Some(below) = below.filter(|below| !(below.is_empty() && wrong.code == "unknown")) {
        wrong.field = format!("policy{below}");
    }
    Err(invalid_members(vec![wrong]))
}

fn malformed() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON. Nothing was done.")
}

/// The error of serde, without the values that it repeats.
fn member_error(path: String, said: &str) -> MemberError {
    let named = |begins: &str| said.strip_prefix(begins)?.split('`').next();
    // The path already ends with the name if the value of the member was being parsed.
    let below = |name: &str| match path.strip_suffix(name) {
        Some(above) if above.is_empty() || above.ends_with('.') => path.clone(),
        _ if path.is_empty() => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    if let Some(name) = named("unknown field `") {
        return MemberError { field: below(name), message: "Unknown member.".into(), code: "unknown" };
    }
    if let Some(name) = named("missing field `") {
        let field = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        return MemberError { field, message: "This member is required.".into(), code: "required" };
    }
    if let Some(name) = named("duplicate field `") {
        return MemberError { field: below(name), message: "This member is included more than once.".into(), code: "duplicate" };
    }
    // After "expected", serde names types and enum variants; before it, the client's input.
    let expected = said.rsplit_once("expected ").map(|(_, expected)| expected.split(" at line ").next().unwrap_or_default());
    let message = match expected.and_then(wanted) {
        Some(wanted) => format!("Send {wanted}."),
        None => "This value isn't valid.".to_owned(),
    };
    MemberError { field: path, message, code: "invalid" }
}

/// What to send, without the names that Rust has for types; `None` for what can't be said without them.
fn wanted(expected: &str) -> Option<&str> {
    match expected {
        "u8" | "u16" | "u32" | "u64" => Some("a whole number, 0 or more"),
        "a string" => Some("text"),
        "a boolean" => Some("true or false"),
        "a sequence" => Some("a list"),
        "a map" => Some("an object"),
        "a UUID string" | "a formatted UUID string" => Some("an id"),
        expected if expected.starts_with("struct ") => Some("an object"),
        expected if expected.starts_with('`') || expected.starts_with("one of `") => Some(expected),
        // Those of the API's own types.
        "an object" | SECONDS => Some(expected),
        _ => None,
    }
}

/// What a number of seconds has to be.
const SECONDS: &str = "a whole number of seconds, 0 or more";

/// Reads a number of seconds.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Reader;

    impl Visitor<'_> for Reader {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(SECONDS)
        }

        fn visit_u64<E>(self, seconds: u64) -> Result<u64, E> {
            Ok(seconds)
        }
    }

    deserializer.deserialize_u64(Reader)
}

/// A string that may be a secret, which is exposed only where it is used.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) SecretString);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// An object with members of any name, each at most once.
pub(crate) struct Members<T>(pub(crate) BTreeMap<String, T>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// Parses a member that may be `null`, which differs from being absent.
pub(crate) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Body {
        name: String,
        #[serde(default)]
        fields: Members<Hidden>,
        #[serde(default)]
        inner: Option<Inner>,
        /// As bodies have it that still read `policy` by its old name.
        #[serde(default)]
        contract: Option<Inner>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        number: u8,
    }

    fn wrong(text: &str) -> String {
        let Err(problem) = read::<Body>(text.as_bytes()) else { panic!("{text} is read") };
        let written = problem.write("-").into_body();
        let bytes = futures_util::FutureExt::now_or_never(axum::body::to_bytes(written, usize::MAX)).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "{bytes:?}");
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let error = &body["errors"][0];
        if error.is_null() {
            return body["code"].as_str().unwrap().to_owned();
        }
        format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap())
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Typed {
        #[serde(default)]
        text: String,
        #[serde(default)]
        number: Option<u64>,
        #[serde(default, deserialize_with = "seconds")]
        seconds: u64,
        #[serde(default)]
        id: Option<uuid::Uuid>,
        #[serde(default)]
        list: Vec<String>,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        method: Option<crate::web::api::resources::bodies::MethodWord>,
    }

    #[test]
    fn no_message_names_a_type_of_rust() {
        for (text, message) in [
            (r#"{"text":1}"#, "Send text."),
            (r#"{"number":-1}"#, "Send a whole number, 0 or more."),
            (r#"{"number":"1"}"#, "Send a whole number, 0 or more."),
            (r#"{"seconds":1.5}"#, "Send a whole number of seconds, 0 or more."),
            (r#"{"seconds":-1}"#, "Send a whole number of seconds, 0 or more."),
            (r#"{"seconds":"1"}"#, "Send a whole number of seconds, 0 or more."),
            (r#"{"id":1}"#, "Send an id."),
            (r#"{"list":"a"}"#, "Send a list."),
            (r#"{"inner":7}"#, "Send an object."),
            (r#"{"method":"READ"}"#, "Send one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`."),
            (r#"{"id":"7"}"#, "This value isn't valid."),
            ("[1]", "Send text."),
            ("7", "Send an object."),
        ] {
            let mut json = serde_json::Deserializer::from_str(text);
            let Err(error) = serde_path_to_error::deserialize::<_, Typed>(&mut json) else { panic!("{text} is read") };
            assert_eq!(member_error(String::new(), &error.inner().to_string()).message, message, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_path_and_without_its_value() {
        for (text, told) in [
            (r#"{"name":"a","canar":1}"#, "canar unknown"),
            (r#"{}"#, "name required"),
            (r#"{"name":"a","name":"b"}"#, "name duplicate"),
            (r#"{"name":["canary"]}"#, "name invalid"),
            (r#"{"name":1}"#, "name invalid"),
            (r#"{"name":"a","fields":{"x":{"canary":1}}}"#, "fields.x invalid"),
            (r#"{"name":"a","fields":"canary"}"#, "fields invalid"),
            (r#"{"name":"a","fields":{"x":"1","x":"2"}}"#, "fields.x duplicate"),
            (r#"{"name":"a","inner":{"number":1,"other":2}}"#, "inner.other unknown"),
            (r#"{"name":"a","inner":{}}"#, "inner.number required"),
            (r#"{"name":"a","inner":{"number":300}}"#, "inner.number invalid"),
            (r#"{"name":"a","contract":{"number":300}}"#, "policy.number invalid"),
            (r#"{"name":"a","contract":{"contract":1}}"#, "policy.contract unknown"),
            (r#"{"name":"a","contract":1}"#, "policy invalid"),
            (r#"{"name":"a","contracts":1}"#, "contracts unknown"),
            (r#"{"name":"canary"} x"#, "malformed_json"),
            (r#"{"name":"canary""#, "malformed_json"),
            ("", "malformed_json"),
            ("[]", " invalid"),
        ] {
            assert_eq!(wrong(text), told, "{text}");
        }
    }
}
