//! Every change of the store is recorded in the audit trail in its own transaction. Read from the sources, so that a
//! new one cannot be forgotten.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What writes without a record, and why it may.
const EXCEPTIONS: [(&str, &str); 17] = [
    ("count_attempt", "an attempt is counted before it is judged; how it ended is recorded, see service::sign_in_limits"),
    ("uncount_attempt", "the same"),
    ("renew_password_hash", "the same password under the present cost, within a sign-in that is recorded"),
    ("touch_api_key", "when a key was last used; making and revoking it record"),
    ("put_draft", "what is being typed is nobody's deed yet; Save records"),
    ("delete_draft", "the same"),
    ("put_access_token", "a token that was fetched is kept by Keytile itself"),
    ("take_lease", "which instance fetches a token is no change of what is kept"),
    ("release_lease", "the same"),
    ("put_fetched_token", "a token that was fetched is kept by Keytile itself"),
    ("put_token_failure", "why there is none, likewise"),
    ("add_history", "who used what is written in the history itself"),
    ("delete_history", "what has ended by itself is cleared away"),
    ("touch_session", "when a session was last used; signing in and out record"),
    ("delete_expired", "what has ended by itself is cleared away"),
    ("try_writing", "a row that is taken away in the same transaction; it shows whether anything can be written"),
    ("set_installation_if_absent", "the check value of a new database, before there is anybody"),
];

/// A function of the store: its name, its parameters, its body.
struct Function {
    name: String,
    parameters: String,
    body: String,
}

fn functions(text: &str) -> Vec<Function> {
    let begin = "async fn ";
    let mut found = Vec::new();
    for (at, _) in text.match_indices(begin) {
        let rest = &text[at + begin.len()..];
        let rest = rest.split("\n    }\n").next().unwrap_or(rest);
        let name = rest.split(['(', '<']).next().unwrap().to_owned();
        let (parameters, body) = rest.split_once('{').unwrap();
        found.push(Function { name, parameters: parameters.to_owned(), body: body.to_owned() });
    }
    found
}

/// What is wrong with a function, if anything.
fn unrecorded(function: &Function) -> Option<String> {
    let writes = ["writing!(", "transaction!("].iter().any(|word| function.body.contains(word));
    let (takes, appends) =
        (function.parameters.contains("Audit<'_>"), ["append_audit!(", ", audit)"].iter().any(|word| function.body.contains(word)));
    if takes && !appends {
        return Some(format!("{} takes a record and does not append it", function.name));
    }
    let excepted = EXCEPTIONS.iter().any(|(name, _)| *name == function.name);
    (writes && !takes && !excepted).then(|| format!("{} writes and takes no `audit: &Audit<'_>`", function.name))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_change_takes_a_record_and_appends_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for path in files(&folder) {
        // The database itself, its opening and its tests are no changes of what is kept.
        let named = |name: &str| path.file_name().is_some_and(|file| file == name);
        if ["database.rs", "open.rs", "tests.rs"].iter().any(|name| named(name)) {
            continue;
        }
        for function in functions(&fs::read_to_string(&path).unwrap()) {
            wrong.extend(unrecorded(&function).map(|reason| format!("{}: {reason}", path.display())));
            names.push(function.name);
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    for (name, _) in EXCEPTIONS {
        assert!(names.iter().any(|known| known == name), "there is no {name} any more: take it off the list");
    }
    assert!(names.len() > 30, "{names:?}");
}

#[test]
fn a_change_without_a_record_is_seen() {
    let wrong = |text: &str| functions(text).iter().filter_map(unrecorded).count();
    let write = "pub async fn a(&self) -> R {\n        writing!(self, pool => x);\n    }\n";
    assert_eq!(wrong(write), 1);
    assert_eq!(wrong(&write.replace("writing", "transaction")), 1);
    assert_eq!(wrong(&write.replace("writing", "reading")), 0);
    let takes = write.replace("&self", "&self, audit: &Audit<'_>");
    assert_eq!(wrong(&takes), 1, "it takes one and does not append it");
    assert_eq!(wrong(&takes.replace("=> x", "=> append_audit!(transaction, audit)")), 0);
    assert_eq!(wrong(&write.replace("fn a(", "fn put_draft(")), 0);
}
