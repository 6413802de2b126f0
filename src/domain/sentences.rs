//! How a row of a table of sentences becomes what a person reads: its `{parts}` are put in.
//!
//! The tables are [`diagnoses`](super::credentials::diagnoses) and [`form_errors`](super::form_errors). A
//! sentence that is in neither can't be reviewed or translated, so code only names rows and parts.

/// A sentence with its parts put in. A part is put in as it is: braces in it are just braces.
pub fn fill(sentence: &str, parts: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(sentence.len() + 40);
    let mut rest = sentence;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else { break };
        let value = parts.iter().find(|(part, _)| *part == name).map(|(_, value)| *value);
        debug_assert!(value.is_some(), "nothing to put in for {{{name}}} of {sentence:?}");
        text.push_str(before);
        text.push_str(value.unwrap_or("…"));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Words of a list as people say it: `a, b or c`.
pub fn listed(words: &[&str], last: &str) -> String {
    match words.split_last() {
        None => String::new(),
        Some((word, [])) => (*word).to_owned(),
        Some((word, before)) => format!("{} {last} {word}", before.join(", ")),
    }
}

/// What every sentence of a table keeps to, and the parts that it may name.
#[cfg(test)]
pub(crate) mod style {
    /// Words that nobody says, or that say more than plain ones.
    const FORBIDDEN: [&str; 35] = [
        "whoever",
        "wherever",
        "whom",
        "whose",
        "at once",
        "in vain",
        "any more",
        "this Keytile",
        "of which",
        "further",
        "cannot",
        "is not valid",
        "does not",
        "did not",
        "could not",
        "must not",
        "e-mail",
        "answer",
        "begin",
        "began",
        "asks for",
        "the cause",
        "entered is",
        "no such",
        "blank",
        "whole address",
        "in the clear",
        "user name",
        "nobody",
        "(status ",
        "speak",
        "take the",
        "takes the",
        "was made",
        "please",
    ];

    /// What is wrong with a sentence or a few of them; nothing if they read like all others.
    pub(crate) fn faults(text: &str, parts: &[&str]) -> Vec<String> {
        let mut faults = Vec::new();
        let lower = text.to_lowercase();
        faults.extend(FORBIDDEN.iter().filter(|word| lower.contains(&word.to_lowercase())).map(|word| format!("says “{word}”")));
        if !text.ends_with('.') || text.ends_with("..") {
            faults.push("doesn't end with a full stop".into());
        }
        if !text.starts_with(|first: char| first.is_uppercase() || first == '“' || first == '{') {
            faults.push("doesn't start with a capital".into());
        }
        if text.contains("  ") || text.trim() != text || text.contains(['!', '"', '\n']) || text.contains("--a ") {
            faults.push("has stray characters".into());
        }
        // An apostrophe in a sentence is written as on a keyboard, quotation marks as in print.
        if text.contains(['’', '‘']) || text.matches('“').count() != text.matches('”').count() {
            faults.push("has other quotation marks than the rest".into());
        }
        if let Some(long) = text.split(". ").find(|sentence| sentence.split_whitespace().count() > 25) {
            faults.push(format!("has a long sentence: {long}"));
        }
        for part in text.split('{').skip(1).map(|behind| behind.split('}').next().unwrap_or_default()) {
            if !parts.contains(&part) {
                faults.push(format!("names a part that there isn't: {part}"));
            }
        }
        faults
    }

    #[test]
    fn a_sentence_of_another_style_is_seen() {
        for wrong in ["Ask whoever made it.", "Try again", "try again.", "It “works.", "It has {nothing}.", "A  gap."] {
            assert_eq!(faults(wrong, &["field"]).len(), 1, "{wrong}");
        }
        assert!(faults("Enter the {field}.", &["field"]).is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_as_they_are() {
        let parts = [("who", "Acme {fields}"), ("fields", "Client ID")];
        assert_eq!(fill("{who} rejected this {fields}.", &parts), "Acme {fields} rejected this Client ID.");
        assert_eq!(fill("Nothing to do.", &parts), "Nothing to do.");
        assert_eq!(fill("An open { brace.", &parts), "An open { brace.");
    }

    #[test]
    fn lists_read_as_people_say_them() {
        assert_eq!(listed(&[], "or"), "");
        assert_eq!(listed(&["a"], "or"), "a");
        assert_eq!(listed(&["a", "b", "c"], "and"), "a, b and c");
    }
}
