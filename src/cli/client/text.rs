//! Text for a terminal: what is said beside the result, and foreign text made safe to show.

use std::io::{self, IsTerminal, Write};

/// Says something beside the result.
pub(in crate::cli) fn complain(text: &str) {
    // If nobody reads standard error either, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether the result goes to a terminal.
pub(super) fn is_shown() -> bool {
    io::stdout().is_terminal()
}

/// Text on one line, without control characters.
pub(super) fn plain(text: &str) -> String {
    let seen = |c: char| match c {
        '\n' | '\t' | '\r' => ' ',
        c if c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}') => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2Kb\nc\u{202E}"), "a\u{FFFD}[2Kb c\u{FFFD}");
    }
}
