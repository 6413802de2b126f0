//! Fuzz targets: what parses bytes that Keytile did not write, and what must hold for any of them.
//!
//! A target takes bytes and panics where a property is broken. The targets are beside the code, in the `fuzz` module of
//! each layer. The tests here run each over its corpus, `fuzz/corpus/<target>`, and over inputs that are made by changing
//! the corpus. `scripts/fuzz` runs one of them under libFuzzer. Not part of the program: compiled for both of these only.

use crate::{domain::fuzz as domain, upstream::fuzz as upstream, web::fuzz as web};

/// A target: its name, which is also that of its corpus, and its check.
pub type Target = (&'static str, fn(&[u8]));

macro_rules! targets {
    ($($name:ident: $check:path,)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$((stringify!($name), $check)),*];

        #[cfg(test)]
        mod each {
            $(#[test]
            fn $name() {
                super::tests::exercise(stringify!($name), $check);
            })*
        }
    };
}

targets! {
    api_key: crate::fuzz::domain::api_key,
    body_framing: crate::fuzz::upstream::body_framing,
    client_address: crate::fuzz::web::client_address,
    connector_file: crate::fuzz::domain::connector_file,
    cookie: crate::fuzz::web::cookie,
    credential_form: crate::fuzz::domain::credential_form,
    form_body: crate::fuzz::web::form_body,
    request_head: crate::fuzz::web::request_head,
    request_path: crate::fuzz::domain::request_path,
    response_head: crate::fuzz::upstream::response_head,
    retry_after: crate::fuzz::upstream::retry_after_header,
    template: crate::fuzz::domain::template,
    token_response: crate::fuzz::upstream::token_answer,
    trace_context: crate::fuzz::domain::trace_context,
    url_template: crate::fuzz::domain::url_template,
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use proptest::{
        collection::vec,
        prelude::*,
        sample::Index,
        test_runner::{TestError, TestRunner},
    };

    use super::TARGETS;

    /// No input is made longer, so that no single one takes long.
    const LENGTH_MAX: usize = 100_000;
    /// Pieces that parsers of text and of HTTP treat as special.
    const PIECES: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"=",
        b"&",
        b"+",
        b"%",
        b"%2e",
        b"%25",
        b"/",
        b"//",
        b"\\",
        b"..",
        b".",
        b"-",
        b"@",
        b"#",
        b"?",
        b"{",
        b"}",
        b"|",
        b"\"",
        b"'",
        b"[",
        b"]",
        b"0",
        b"-1",
        b"99999999999999999999",
        b"\xff",
        "é".as_bytes(),
        "\u{2028}".as_bytes(),
        "\u{feff}".as_bytes(),
        "ß".as_bytes(),
    ];

    /// A change of an input. Positions are relative, so that they fit whatever the changes before have left.
    #[derive(Debug, Clone)]
    enum Change {
        Insert(Index, Vec<u8>),
        Remove(Index, Index),
        Repeat(Index, Index, u16),
        /// Puts a part of another input of the corpus in.
        Splice(Index, Index, Index, Index),
    }

    fn change() -> impl Strategy<Value = Change> {
        let at = any::<Index>;
        let piece = prop_oneof![3 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 1..4)];
        let times = prop_oneof![8 => 1..4_u16, 1 => 4..80_u16, 1 => 80..2_000_u16];
        prop_oneof![
            4 => (at(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
            3 => (at(), at()).prop_map(|(from, length)| Change::Remove(from, length)),
            1 => (at(), at(), times).prop_map(|(from, length, times)| Change::Repeat(from, length, times)),
            2 => (at(), at(), at(), at()).prop_map(|(at, other, from, length)| Change::Splice(at, other, from, length)),
        ]
    }

    fn changed(corpus: &[Vec<u8>], first: Index, changes: &[Change]) -> Vec<u8> {
        let mut input = first.get(corpus).clone();
        for change in changes {
            match change {
                Change::Insert(at, piece) => put(&mut input, *at, piece),
                Change::Remove(from, length) => {
                    let (from, to) = range(&input, *from, *length);
                    input.drain(from..to);
                }
                Change::Repeat(from, length, times) => {
                    let (from, to) = range(&input, *from, *length);
                    let part = input[from..to].repeat(usize::from(*times));
                    input.splice(to..to, part);
                }
                Change::Splice(at, other, from, length) => {
                    let other = other.get(corpus);
                    let (from, to) = range(other, *from, *length);
                    put(&mut input, *at, &other[from..to]);
                }
            }
            input.truncate(LENGTH_MAX);
        }
        input
    }

    fn put(input: &mut Vec<u8>, at: Index, piece: &[u8]) {
        let at = at.index(input.len() + 1);
        input.splice(at..at, piece.iter().copied());
    }

    /// A part of the input, most often a short one.
    fn range(input: &[u8], from: Index, length: Index) -> (usize, usize) {
        let from = from.index(input.len() + 1);
        let length = match length.index(4) {
            0 => length.index(input.len() + 1),
            _ => length.index(12),
        };
        (from, input.len().min(from + length))
    }

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
    }

    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = folder().join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no inputs", folder.display());
        paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
    }

    /// Runs a target over its corpus, and over as many changed inputs as `PROPTEST_CASES` says.
    pub(super) fn exercise(target: &str, check: fn(&[u8])) {
        let corpus = corpus(target);
        for input in &corpus {
            check(input);
        }
        // What was found is kept in the corpus, where it can be read.
        let settings = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        let made = (any::<Index>(), vec(change(), 0..8)).prop_map(|(first, changes)| Input(changed(&corpus, first, &changes)));
        let outcome = TestRunner::new(settings).run(&made, |input| {
            check(&input.0);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, Input(input))) => panic!(
                "{reason}\nThe input, {} bytes, which belongs into fuzz/corpus/{target}:\n{}",
                input.len(),
                input.escape_ascii()
            ),
            Err(abort) => panic!("{abort}"),
        }
    }

    #[derive(Clone)]
    struct Input(Vec<u8>);

    impl std::fmt::Debug for Input {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{}", self.0.escape_ascii())
        }
    }

    #[test]
    fn every_corpus_has_a_target() {
        let mut corpora: Vec<String> =
            fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        corpora.sort();
        let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(corpora, targets);
    }
}
