//! How a command that uses the API ends: its exit code, and the message of a failure.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::text::{complain, plain};
use crate::client::{ClientError, Problem};

/// An exit code. The numbers are stable, because scripts depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Other = 1,
    Usage = 2,
    NotFound = 3,
    NotAllowed = 4,
    NotVerified = 5,
    Conflict = 6,
    Unavailable = 7,
    ServiceAnswered = 8,
    Interrupted = 130,
}

/// The meaning of each exit code, as shown by `keytile help exit-codes` and in `docs/cli.md`.
pub(in crate::cli) const MEANINGS: [(u8, &str); 10] = [
    (0, "success"),
    (1, "any other failure"),
    (2, "the command line, a file it names, or a value in it is wrong"),
    (3, "not found, or not available to this API key"),
    (4, "the API key is missing or rejected, or the key or the egress policy doesn't allow this"),
    (5, "the credential doesn't work: the service rejects it, or its stored values can't be used"),
    (6, "a conflict: the name is taken or not unique, the credential is in use, or something changed in the meantime"),
    (7, "Keytile or the service can't be reached, can't respond at the moment, or is limiting requests"),
    (8, "keytile curl: the service responded with a status of 400 or above"),
    (130, "interrupted with Ctrl-C"),
];

/// [`MEANINGS`] as a table for a terminal.
pub(crate) fn table() -> String {
    MEANINGS.iter().map(|(code, meaning)| format!("{code:>5}  {meaning}\n")).collect()
}

/// Why a command failed.
pub(super) struct Failure {
    exit: Exit,
    message: String,
    /// The problem in the API response, as JSON.
    problem: Option<Vec<u8>>,
    /// True if everything has been printed already.
    silent: bool,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problem: None, silent: false }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A failure about which everything has been printed.
    pub(super) fn silent(exit: Exit) -> Self {
        Self { silent: true, ..Self::new(exit, "") }
    }

    /// The failure for an error of a request to `server`.
    pub(super) fn of(server: &impl std::fmt::Display, error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Problem(problem) => of_problem(problem),
            ClientError::Unreachable(_) | ClientError::Broken(_) | ClientError::Unwell(_) => Exit::Unavailable,
            ClientError::NotUnderstood(_) | ClientError::Setup(_) => Exit::Other,
            ClientError::Body(_) => Exit::Usage,
        };
        match error {
            ClientError::Problem(problem) => Self { exit, message: words(&problem), problem: Some(problem.text), silent: false },
            ClientError::Unreachable(_) | ClientError::Broken(_) | ClientError::Unwell(_) | ClientError::NotUnderstood(_) => {
                let sentence = error.to_string();
                Self::new(exit, format!("{server} {}", sentence.strip_prefix("it ").unwrap_or(&sentence)))
            }
            ClientError::Setup(_) | ClientError::Body(_) => Self::new(exit, error.to_string()),
        }
    }

    /// Appends a sentence for people.
    pub(super) fn saying_also(self, sentence: &str) -> Self {
        Self { message: format!("{}\n         {sentence}", self.message), ..self }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints the failure to standard error, as a sentence or as JSON, and returns the exit code.
    pub(super) fn end(self, json: bool) -> ExitCode {
        if !self.silent {
            if json {
                let made =
                    || json!({ "title": "Error", "code": self.word(), "detail": plain(&self.message) }).to_string().into_bytes();
                complain(&String::from_utf8_lossy(&self.problem.clone().unwrap_or_else(made)));
            } else {
                complain(&format!("keytile: {}", self.message));
            }
        }
        ExitCode::from(self.exit as u8)
    }

    /// The `code` of a problem that the command creates itself.
    fn word(&self) -> &'static str {
        match self.exit {
            Exit::Other | Exit::ServiceAnswered => "failed",
            Exit::Usage => "usage",
            Exit::NotFound => "not_found",
            Exit::NotAllowed => "not_allowed",
            Exit::NotVerified => "verification_rejected",
            Exit::Conflict => "conflict",
            Exit::Unavailable => "unreachable",
            Exit::Interrupted => "interrupted",
        }
    }
}

fn of_problem(problem: &Problem) -> Exit {
    match (problem.status, problem.code.as_str()) {
        (_, "verification_rejected" | "credential_rejected" | "credential_unusable") => Exit::NotVerified,
        (404, _) => Exit::NotFound,
        (401 | 403 | 405, _) => Exit::NotAllowed,
        (409 | 412, _) | (_, "idempotency_key_used") => Exit::Conflict,
        (422, _) if problem.errors.iter().any(|error| error.code == "taken") => Exit::Conflict,
        (400 | 413 | 422, _) => Exit::Usage,
        (408 | 429 | 502..=504, _) => Exit::Unavailable,
        _ => Exit::Other,
    }
}

/// A problem for people: what happened, which values are invalid, and the result of a verification.
fn words(problem: &Problem) -> String {
    let failure = problem.verification.as_ref().map(|found| &found["failure"]).filter(|failure| failure.is_object());
    if let Some(failure) = failure {
        return format!("{} Nothing was saved.\n{}", text(failure, "summary"), details(failure));
    }
    let mut words = match problem.errors.as_slice() {
        [] => plain(&problem.detail),
        errors => {
            let sentences = errors.iter().map(|error| format!("{}: {}", plain(flag(&error.field)), plain(&error.message)));
            sentences.collect::<Vec<_>>().join("\n         ")
        }
    };
    if problem.status >= 500 && !problem.request_id.is_empty() {
        words += &format!("\n  request: {}", plain(&problem.request_id));
    }
    words
}

/// Where and why a verification failed, and what to do, one line each.
pub(super) fn details(failure: &Value) -> String {
    let fields: Vec<String> = failure["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).map(plain).collect();
    let mut lines = vec![format!("  stage:   {}", text(failure, "stage"))];
    if !fields.is_empty() {
        lines.push(format!("  field:   {}", fields.join(", ")));
    }
    lines.push(format!("  remedy:  {}", text(failure, "remedy")));
    lines.join("\n")
}

/// A string member; empty if it is missing.
pub(super) fn text(value: &Value, member: &str) -> String {
    plain(value[member].as_str().unwrap_or_default())
}

/// The name of a body's member on the command line: fields of a credential use their ids.
fn flag(member: &str) -> &str {
    match member {
        "name" => "--name",
        "description" => "--description",
        "credential" => "--credential",
        "kind" => "--kind",
        "endpoint.offer" => "--offer",
        "endpoint.method" => "--method",
        "endpoint.path" => "--path",
        "endpoint.query" => "--query",
        "policy.methods" => "--allow-method",
        "policy.prefixes" => "--allow-prefix",
        "policy.body_mib" => "--max-body",
        "policy.per_minute" => "--per-minute",
        "policy.retries" => "--retries",
        "min_validity" => "--min-validity",
        member => member.strip_prefix("fields.").unwrap_or(member),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: u16, code: &str, member: &str) -> u8 {
        let errors = json!([{ "field": "name", "message": "…", "code": member }]);
        let problem =
            json!({ "status": status, "code": code, "detail": "…", "errors": if member.is_empty() { json!([]) } else { errors } });
        of_problem(&serde_json::from_value(problem).unwrap()) as u8
    }

    #[test]
    fn every_problem_of_the_api_has_its_exit_code() {
        for (status, code, expected) in [
            (400, "malformed_json", 2),
            (401, "key_rejected", 4),
            (403, "not_allowed", 4),
            (403, "path_not_allowed", 4),
            (404, "not_found", 3),
            (405, "method_not_allowed", 4),
            (408, "body_too_slow", 7),
            (409, "in_use", 6),
            (409, "credential_unusable", 5),
            (412, "outdated", 6),
            (422, "invalid", 2),
            (422, "verification_rejected", 5),
            (422, "idempotency_key_used", 6),
            (429, "too_many_calls", 7),
            (500, "internal", 1),
            (502, "verification_failed", 7),
            (502, "credential_rejected", 5),
            (502, "upstream_unreachable", 7),
            (503, "token_unavailable", 7),
            (504, "upstream_timeout", 7),
        ] {
            assert_eq!(exit(status, code, ""), expected, "{status} {code}");
        }
        assert_eq!((exit(422, "invalid", "required"), exit(422, "invalid", "taken")), (2, 6));
    }
}
