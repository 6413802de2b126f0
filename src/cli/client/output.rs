//! Output of commands: results to standard output, everything else to standard error.
//!
//! The reader may stop at any time (`| head`), which ends the output and isn't a failure. Text from elsewhere is
//! printed without control characters, so that it can't move the cursor of a terminal.

use std::io::{self, ErrorKind, Write};

use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::exit::{Exit, Failure};

/// The minimum width of a column, in characters.
const COLUMN_MIN: usize = 6;
const GAP: &str = "  ";

pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text).and_then(|()| output.flush()) {
        Err(error) => unwritable(&error),
        Ok(()) => Ok(()),
    }
}

/// The result of a failed write: a reader that has gone isn't a failure.
pub(super) fn unwritable(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(Exit::Other, format!("cannot write the result: {error}")))
}

/// Prints JSON as it came, with a line break behind it.
pub(super) fn print_json(text: &[u8]) -> Result<(), Failure> {
    let mut line = text.to_vec();
    if !line.is_empty() && !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    print(&line)
}

/// Prints a table, fitted to the terminal if it goes to one. Columns marked as `flexible` are cut if there isn't
/// enough room.
pub(super) fn print_table<const N: usize>(head: [&str; N], flexible: [bool; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let width = terminal_size_of(io::stdout()).map(|(Width(width), _)| usize::from(width));
    print(table(head, flexible, rows, width).as_bytes())
}

/// Prints one line for each name and value.
pub(super) fn print_pairs(pairs: &[(&str, String)]) -> Result<(), Failure> {
    let wide = pairs.iter().map(|(what, _)| what.width()).max().unwrap_or_default() + 1;
    let lines: String = pairs.iter().map(|(what, value)| format!("{:<wide$}  {value}\n", format!("{what}:"))).collect();
    print(lines.as_bytes())
}

fn table<const N: usize>(head: [&str; N], flexible: [bool; N], rows: &[[String; N]], room: Option<usize>) -> String {
    let mut widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].width()).chain([head[column].width()]).max().unwrap_or_default()
    });
    let gaps = GAP.len() * N.saturating_sub(1);
    while room.is_some_and(|room| widths.iter().sum::<usize>() + gaps > room) {
        // The widest column is cut first, so that short columns stay complete.
        let widest = (0..N).filter(|column| flexible[*column] && widths[*column] > COLUMN_MIN).max_by_key(|column| widths[*column]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
    }
    let line = |cells: [&str; N]| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| fitted(cell, width)).collect();
        cells.join(GAP).trim_end().to_owned() + "\n"
    };
    std::iter::once(line(head)).chain(rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())))).collect()
}

/// A cell of exactly this width; longer text ends in "…".
pub(super) fn fitted(cell: &str, width: usize) -> String {
    let mut taken = cell.width();
    let mut text = cell.to_owned();
    if taken > width {
        taken = 1;
        text.clear();
        for c in cell.chars() {
            let wide = c.width().unwrap_or_default();
            if taken + wide > width {
                break;
            }
            taken += wide;
            text.push(c);
        }
        text.push('…');
    }
    text + &" ".repeat(width.saturating_sub(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 2]; 2] {
        [["Support 東京 with a long name".into(), "7f3a".into()], ["b".into(), "1c".into()]]
    }

    #[test]
    fn a_table_is_as_wide_as_it_has_to_be() {
        let printed = table(["NAME", "ID"], [true, false], &rows(), None);
        assert_eq!(
            printed,
            "NAME                           ID\nSupport 東京 with a long name  7f3a\nb                              1c\n"
        );
    }

    #[test]
    fn a_table_is_cut_to_the_room_there_is() {
        let printed = table(["NAME", "ID"], [true, false], &rows(), Some(18));
        assert_eq!(printed, "NAME          ID\nSupport 東…   7f3a\nb             1c\n");
        assert!(printed.lines().all(|line| line.width() <= 18));
        let narrow = table(["NAME", "ID"], [true, false], &rows(), Some(3));
        assert!(narrow.contains("7f3a"), "an id is never cut: {narrow}");
    }
}
