//! Reads as much of Rust as it takes to see what a file names: identifiers and `::` paths, without
//! comments, texts and code that is only for tests. Not a parser; it never needs to know what they mean.

use std::ops::Range;

/// One source file, taken apart.
pub(crate) struct Source<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    tests: Vec<Range<usize>>,
}

/// A path such as `crate::store::Db`, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Its parts; `*` for a glob.
    pub(crate) parts: Vec<String>,
    /// From 1.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Source<'t> {
    pub(crate) fn read(text: &'t str) -> Self {
        let tokens = tokens(text);
        let tests = test_items(&tokens);
        Self { text, tokens, tests }
    }

    /// Every path outside test code, with the groups of `use a::{b, c}` spelled out. An identifier that
    /// stands alone is a path of one part.
    pub(crate) fn paths(&self) -> Vec<NamedPath> {
        let mut paths = Vec::new();
        let mut next = 0;
        while next < self.tokens.len() {
            let token = self.tokens[next];
            let is_field = next > 0 && self.tokens[next - 1].text == ".";
            if self.is_test(token.at) || is_field || !is_identifier(token.text) {
                next += 1;
                continue;
            }
            let mut found = Vec::new();
            next = self.follow(next, &mut Vec::new(), &mut found);
            paths.extend(found);
        }
        paths
    }

    /// The lines outside test code that contain `word` (lower case) in any case, comments and texts too.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        let lowered = self.text.to_ascii_lowercase();
        lowered.match_indices(word).filter(|(at, _)| !self.is_test(*at)).map(|(at, _)| self.line(at)).collect()
    }

    /// Reads one path that begins at token `at` after `prefix`; returns the token after it.
    fn follow(&self, at: usize, prefix: &mut Vec<String>, found: &mut Vec<NamedPath>) -> usize {
        let depth = prefix.len();
        let mut at = at;
        let line = self.tokens.get(at).map_or(0, |token| self.line(token.at));
        loop {
            match self.text_at(at) {
                "{" => {
                    at = self.follow_group(at + 1, prefix, found);
                    break;
                }
                part if part == "*" || is_identifier(part) => prefix.push(part.to_owned()),
                _ => {
                    found.push(NamedPath { parts: prefix.clone(), line });
                    break;
                }
            }
            at += 1;
            if self.text_at(at) != "::" {
                found.push(NamedPath { parts: prefix.clone(), line });
                break;
            }
            at += 1;
        }
        prefix.truncate(depth);
        at
    }

    fn follow_group(&self, mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<NamedPath>) -> usize {
        while !matches!(self.text_at(at), "}" | "") {
            let part = self.text_at(at);
            at = if part == "*" || is_identifier(part) { self.follow(at, prefix, found) } else { at + 1 };
        }
        at + 1
    }

    fn text_at(&self, token: usize) -> &'t str {
        self.tokens.get(token).map_or("", |token| token.text)
    }

    fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text[..at].matches('\n').count()
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The items after `#[cfg(test)]`: up to their `;`, or to the `}` that closes their first `{`.
fn test_items(tokens: &[Token<'_>]) -> Vec<Range<usize>> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut items = Vec::new();
    for (start, window) in tokens.windows(ATTRIBUTE.len()).enumerate() {
        if !window.iter().map(|token| token.text).eq(ATTRIBUTE) {
            continue;
        }
        let mut depth = 0_usize;
        let mut end = window[0].at;
        for token in &tokens[start + ATTRIBUTE.len()..] {
            end = token.at + token.text.len();
            match token.text {
                "{" => depth += 1,
                "}" if depth <= 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
        items.push(window[0].at..end);
    }
    items
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if let Some(skipped) = comment(rest).or_else(|| literal(rest)) {
            at += skipped;
            continue;
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(Token { text: &rest[..length], at });
        }
        at += length;
    }
    tokens
}

/// The length of the comment that `rest` begins with.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            match here.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => return Some(rest.len()),
            }
        }
    }
}

/// The length of the text or character that `rest` begins with. A lifetime is not one.
fn literal(rest: &str) -> Option<usize> {
    let unprefixed = rest.strip_prefix("br").or_else(|| rest.strip_prefix(['r', 'b', 'c'])).unwrap_or(rest);
    let prefix = rest.len() - unprefixed.len();
    if rest[..prefix].contains('r') {
        let hashes = unprefixed.len() - unprefixed.trim_start_matches('#').len();
        let body = unprefixed[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body.find(&close).map_or(body.len(), |end| end + close.len());
        return Some(prefix + hashes + 1 + end);
    }
    if let Some(body) = unprefixed.strip_prefix('"') {
        return Some(prefix + 1 + closed_by(body, '"'));
    }
    let body = unprefixed.strip_prefix('\'')?;
    let mut characters = body.chars();
    match (characters.next()?, characters.next()?) {
        ('\\', _) => Some(prefix + 1 + closed_by(body, '\'')),
        (one, '\'') => Some(prefix + 1 + one.len_utf8() + 1),
        _ => None,
    }
}

/// How far it is to behind the next `quote` that no backslash escapes.
fn closed_by(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    body.len()
}
