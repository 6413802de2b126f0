//! `ETag` and `If-Match`: a client that changes something says which revision it has seen (RFC 9110 section
//! 13.1.1).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::web::http::problem::Problem;

/// The revision that a request expects.
pub(crate) enum Expected {
    /// No `If-Match` was sent.
    Nothing,
    /// Any existing revision (`*`).
    Anything,
    OneOf(Vec<String>),
}

impl Expected {
    /// Parses `If-Match`. Weak tags never match, because `If-Match` uses the strong comparison.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let (mut tags, mut found) = (Vec::new(), false);
        let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Ok(Self::Nothing);
        }
        for value in values {
            let value = value.to_str().map_err(|_| malformed())?;
            for tag in value.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if tag == "*" {
                    return Ok(Self::Anything);
                }
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                let opaque = opaque.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                let opaque = opaque.filter(|tag| !tag.contains(['"', ' '])).ok_or_else(malformed)?;
                found = true;
                if opaque.len() == tag.len() - 2 {
                    tags.push(opaque.to_owned());
                }
            }
        }
        // An empty list says nothing about what was seen.
        if found { Ok(Self::OneOf(tags)) } else { Err(malformed()) }
    }

    /// The same for changes that require `If-Match`.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Self, Problem> {
        match Self::of(headers)? {
            Self::Nothing => {
                let detail = "Send If-Match with the ETag you read, or If-Match: * to change the current version, whatever it is.";
                Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "if_match_missing", detail))
            }
            expected => Ok(expected),
        }
    }

    /// The expected revision, if there is one. Of several, the current one if it is among them.
    pub(crate) fn revision(self, present: Option<&str>) -> Option<String> {
        match self {
            Self::Nothing | Self::Anything => None,
            Self::OneOf(tags) => {
                let found = present.and_then(|present| tags.iter().find(|tag| *tag == present)).or(tags.first()).cloned();
                // No revision is empty, so that this matches none.
                Some(found.unwrap_or_default())
            }
        }
    }

    /// True if choosing the revision requires the current one.
    pub(crate) fn is_choice(&self) -> bool {
        matches!(self, Self::OneOf(tags) if tags.len() > 1)
    }
}

/// The `ETag` of a revision.
pub(crate) fn etag(revision: &str) -> HeaderValue {
    // A revision consists of letters, digits and hyphens.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn malformed() -> Problem {
    let detail = "If-Match must be *, or a list of quoted entity tags as in ETag.";
    Problem::new(StatusCode::BAD_REQUEST, "if_match_invalid", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str], present: &str) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        Expected::of(&headers).ok().map(|expected| expected.revision(Some(present)))
    }

    #[test]
    fn the_tag_that_matches_is_found() {
        let is = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(read(&[], "2"), Some(None));
        assert_eq!(read(&["*"], "2"), Some(None));
        assert_eq!(read(&["\"1\""], "2"), is("1"));
        assert_eq!(read(&["\"1\", \"2\""], "2"), is("2"));
        assert_eq!(read(&["\"1\"", "\"2\""], "2"), is("2"));
        assert_eq!(read(&["W/\"2\""], "2"), is(""), "a weak one never matches");
        for wrong in ["2", "\"2", "2\"", "\"", "", " ", ",", "\"1\" \"2\""] {
            assert_eq!(read(&[wrong], "2"), None, "{wrong}");
        }
    }
}
