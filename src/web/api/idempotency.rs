//! `Idempotency-Key`: a request that creates something takes effect once, however often it is sent.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    service::{Service, access::caller::Caller, api_keys::idempotency::Once},
    web::http::problem::Problem,
};

static HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in characters.
const KEY_MAX: usize = 255;

/// The idempotency key of a request, if it has one.
pub(super) fn once(
    service: &Service,
    caller: &Caller,
    route: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Once>, Problem> {
    let mut values = headers.get_all(&HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none()).and_then(key);
    let key = key.ok_or_else(|| {
        let detail = format!("Send one Idempotency-Key of 1 to {KEY_MAX} visible characters, such as a UUID.");
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail)
    })?;
    Ok(service.once(caller, route, key, body))
}

/// The key, which may be quoted like a string in structured headers (RFC 9651).
fn key(value: &str) -> Option<&str> {
    let value = value.trim();
    let key = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    ((1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())).then_some(key)
}

/// The problem for a key that another request has used.
pub(super) fn used() -> Problem {
    let detail = "This Idempotency-Key was already used with a different body. Send a new key with each new request.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_used", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_stand_in_quotes() {
        assert_eq!(key("8e03978e-40d5-43dd-bc93-6894a57f9324"), Some("8e03978e-40d5-43dd-bc93-6894a57f9324"));
        assert_eq!(key("\"a-b\""), Some("a-b"));
        for wrong in ["", "\"\"", "a b", "é", &"x".repeat(256)] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }
}
