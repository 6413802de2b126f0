//! Whether a service may be asked again, and when.

use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};

use crate::domain::time::Timestamp;

/// The longest pause that is accepted from a service, in seconds.
const WAIT_MAX: u64 = 30 * 86_400;

/// True if a retry may help: the service was temporarily unable to respond, or asked for a pause.
pub fn is_worth_retrying(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The seconds to wait from `Retry-After` (RFC 9110 section 10.2.3), given as a number or a date. More than 30 days
/// count as 30 days.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if value.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that don't fit in a number are a very long time.
        return (!value.is_empty()).then(|| value.parse().unwrap_or(WAIT_MAX).min(WAIT_MAX));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(date.as_millis()).ok()?;
    let wait = Timestamp::from_millis(millis).since(now);
    // Fractions of a second are rounded up.
    Some((wait.as_secs() + u64::from(wait.subsec_millis() > 0)).min(WAIT_MAX))
}

/// A wait as people say it, such as `2 minutes`.
pub(in crate::upstream) fn wait_in_words(seconds: u64) -> String {
    match seconds {
        0 | 1 => "a moment".into(),
        2..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds.div_ceil(60)),
        7_200..=172_799 => format!("{} hours", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = Timestamp::from_millis(784_111_777_500); // Sun, 06 Nov 1994 08:49:37.5 GMT
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait("30"), Some(30));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("99999999999999999999999"), Some(30 * 86_400));
        assert_eq!(wait("2592001"), Some(30 * 86_400));
        assert_eq!(wait("Fri, 06 Nov 2093 08:50:37 GMT"), Some(30 * 86_400));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sun Nov  6 08:50:37 1994"), Some(60));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for wrong in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:50:37 GMT"] {
            assert_eq!(wait(wrong), None, "{wrong}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn waits_are_said_in_round_words() {
        assert_eq!(wait_in_words(1), "a moment");
        assert_eq!(wait_in_words(30), "30 seconds");
        assert_eq!(wait_in_words(121), "3 minutes");
        assert_eq!(wait_in_words(10_000), "3 hours");
        assert_eq!(wait_in_words(86_400), "24 hours");
        assert_eq!(wait_in_words(172_800), "2 days");
        assert_eq!(wait_in_words(WAIT_MAX), "30 days");
    }
}
