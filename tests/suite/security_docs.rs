//! `docs/asvs.md` has a row for every requirement of levels 1 and 2 of OWASP ASVS 5.0.0, each with a verdict and with
//! a test or a reason, and the tests that it names exist. Nothing is called planned that is there.

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../docs/asvs.md");

/// The sections of the standard, with how many requirements of level 1 and of level 2 each has. Their numbers begin
/// with those of level 1, go on with those of level 2, and end with those of level 3, which have no row.
#[rustfmt::skip]
const SECTIONS: [(&str, usize, usize); 75] = [
    ("1.1", 0, 2),
    ("1.2", 5, 4),
    ("1.3", 2, 9),
    ("1.4", 0, 3),
    ("1.5", 1, 1),
    ("2.1", 1, 2),
    ("2.2", 2, 1),
    ("2.3", 1, 3),
    ("2.4", 0, 1),
    ("3.2", 2, 0),
    ("3.3", 1, 3),
    ("3.4", 2, 4),
    ("3.5", 3, 2),
    ("3.7", 0, 2),
    ("4.1", 1, 2),
    ("4.2", 0, 1),
    ("4.3", 0, 2),
    ("4.4", 1, 3),
    ("5.1", 0, 1),
    ("5.2", 2, 1),
    ("5.3", 2, 0),
    ("5.4", 0, 3),
    ("6.1", 1, 2),
    ("6.2", 8, 4),
    ("6.3", 2, 2),
    ("6.4", 2, 2),
    ("6.5", 0, 5),
    ("6.6", 0, 3),
    ("6.8", 0, 4),
    ("7.1", 0, 3),
    ("7.2", 4, 0),
    ("7.3", 0, 2),
    ("7.4", 2, 3),
    ("7.5", 0, 2),
    ("7.6", 0, 2),
    ("8.1", 1, 1),
    ("8.2", 2, 1),
    ("8.3", 1, 0),
    ("8.4", 0, 1),
    ("9.1", 3, 0),
    ("9.2", 1, 3),
    ("10.1", 0, 2),
    ("10.2", 0, 2),
    ("10.3", 0, 4),
    ("10.4", 5, 6),
    ("10.5", 0, 5),
    ("10.6", 0, 2),
    ("10.7", 0, 3),
    ("11.1", 0, 2),
    ("11.2", 0, 3),
    ("11.3", 2, 1),
    ("11.4", 1, 3),
    ("11.5", 0, 1),
    ("11.6", 0, 1),
    ("12.1", 1, 2),
    ("12.2", 2, 0),
    ("12.3", 0, 4),
    ("13.1", 0, 1),
    ("13.2", 0, 5),
    ("13.3", 0, 2),
    ("13.4", 1, 4),
    ("14.1", 0, 2),
    ("14.2", 1, 3),
    ("14.3", 1, 2),
    ("15.1", 1, 2),
    ("15.2", 1, 2),
    ("15.3", 1, 6),
    ("16.1", 0, 1),
    ("16.2", 0, 5),
    ("16.3", 0, 4),
    ("16.4", 0, 3),
    ("16.5", 0, 3),
    ("17.1", 0, 1),
    ("17.2", 0, 4),
    ("17.3", 0, 2),
];

/// What can be said of a requirement.
const VERDICTS: [&str; 4] = ["met", "met in part", "not met", "not applicable"];

/// A row of a table.
struct Row<'a> {
    id: &'a str,
    level: &'a str,
    verdict: &'a str,
    /// Tests, or a reason, or both.
    evidence: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, level, requirement, verdict, evidence] = cells[..] else { panic!("a row has five cells: {line}") };
        assert!(!requirement.is_empty(), "{id} does not say what it asks for");
        Self { id, level, verdict, evidence }
    }

    /// What stands in code marks and is a file of this repository, with the test in it if one is named, and whether
    /// it is called planned.
    fn tests(&self) -> Vec<(&'a str, Option<&'a str>, bool)> {
        let parts: Vec<&str> = self.evidence.split('`').collect();
        assert!(parts.len() % 2 == 1, "{} has an odd number of code marks", self.id);
        // Words and code take turns: what is at an odd place is code, and what comes after it are words.
        let code_and_after = parts[1..].chunks_exact(2).map(|pair| (pair[0], pair[1]));
        code_and_after
            .filter(|(code, _)| code.ends_with(".rs") || code.contains(".rs::"))
            .map(|(code, after)| {
                let (file, test) = code.split_once("::").map_or((code, None), |(file, test)| (file, Some(test)));
                (file, test, after.starts_with(" (planned)"))
            })
            .collect()
    }
}

fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).map(Row::parse).collect()
}

/// What is wrong with the tests that a row names; empty if nothing is.
fn wrong(row: &Row<'_>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exists = |file: &str, test: Option<&str>| {
        let text = fs::read_to_string(root.join(file)).ok();
        text.is_some_and(|text| test.is_none_or(|test| text.contains(&format!("fn {test}("))))
    };
    let mut wrong = Vec::new();
    for (file, test, planned) in row.tests() {
        let name = test.map_or(file.to_owned(), |test| format!("{file}::{test}"));
        match (planned, exists(file, test)) {
            (true, true) if test.is_some() => wrong.push(format!("{}: {name} is there, and no longer planned", row.id)),
            (true, true) => wrong.push(format!("{}: {name} is there: name the test in it", row.id)),
            (false, false) => wrong.push(format!("{}: there is no {name}", row.id)),
            (false, true) if test.is_none() && file.starts_with("tests/") => {
                wrong.push(format!("{}: {name}: name the test in it", row.id));
            }
            _ => {}
        }
    }
    wrong
}

#[test]
fn every_requirement_has_its_row_once_and_in_order() {
    let mut expected = Vec::new();
    for (section, first, second) in SECTIONS {
        let level = |number: usize| if number <= first { "1" } else { "2" };
        expected.extend((1..=first + second).map(|number| (format!("{section}.{number}"), level(number))));
    }
    let rows = rows(PAGE);
    let told: Vec<_> = rows.iter().map(|row| (row.id.to_owned(), row.level)).collect();
    assert_eq!(told, expected);
    // As OWASP counts them.
    assert_eq!(rows.iter().filter(|row| row.level == "1").count(), 70);
    assert_eq!(rows.len(), 253);
}

#[test]
fn every_row_has_a_verdict_and_a_test_or_a_reason() {
    for row in rows(PAGE) {
        assert!(VERDICTS.contains(&row.verdict), "{}: {:?} is no verdict", row.id, row.verdict);
        assert!(!row.evidence.is_empty(), "{} has neither test nor reason", row.id);
        let words = row.evidence.split('`').step_by(2).collect::<String>();
        let reason = words.replace("(planned)", "").chars().filter(|c| c.is_alphabetic()).count();
        assert!(row.verdict == "met" || reason >= 10, "{} is {} without a reason", row.id, row.verdict);
    }
}

#[test]
fn every_test_that_is_named_exists_and_none_is_planned_that_does() {
    let wrong: Vec<String> = rows(PAGE).iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "docs/asvs.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_seen() {
    let of = |evidence: &str| wrong(&Row::parse(&format!("| 1.1.1 | 2 | Something | met | {evidence} |"))).len();
    assert_eq!(of("`tests/suite/security_docs.rs::a_test_that_is_not_there_is_seen`"), 0);
    assert_eq!(of("See `tests/suite/security_docs.rs::nothing_of_this_name`, and `no_test`"), 1);
    assert_eq!(of("`tests/suite/nowhere.rs::a_test`"), 1);
    assert_eq!(of("`tests/suite/security_docs.rs`"), 1);
    assert_eq!(of("`tests/suite/nowhere.rs::a_test` (planned), `tests/suite/nowhere.rs` (planned)"), 0);
    assert_eq!(of("`tests/suite/security_docs.rs::a_test_that_is_not_there_is_seen` (planned)"), 1);
    assert_eq!(of("No test at all"), 0);
}
