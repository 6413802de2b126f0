//! Pages of lists: their size, and the cursor of the next page.

/// The default size of a page.
pub const PAGE: i64 = 50;
/// The largest size that can be requested.
pub const PAGE_MAX: i64 = 100;

/// Removes the rows after the end of a page, which is at most one. Returns the cursor of the next page, made from
/// the last row of this one, if there is a next page.
pub(super) fn cut<T, P>(rows: &mut Vec<T>, place: impl Fn(&T) -> P) -> Option<P> {
    cut_to(PAGE, rows, place)
}

/// The same for pages of another size.
pub(super) fn cut_to<T, P>(page: i64, rows: &mut Vec<T>, place: impl Fn(&T) -> P) -> Option<P> {
    let page = usize::try_from(page).unwrap_or_default();
    let more = rows.len() > page;
    rows.truncate(page);
    rows.last().filter(|_| more).map(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_behind_its_last_entry_if_more_was_read() {
        for (read, left, next) in [(0, 0, None), (1, 1, None), (50, 50, None), (51, 50, Some(49))] {
            let mut rows: Vec<usize> = (0..read).collect();
            assert_eq!((cut(&mut rows, |row| *row), rows.len()), (next, left), "{read}");
        }
    }
}
