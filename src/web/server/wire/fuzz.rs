//! The fuzz target of heads as a client sends them; see `crate::fuzz`.

use super::HeadScan;

/// In how many ways an input is cut in two.
const CUTS_MAX: usize = 40;

/// The heads of requests: the scan finds the end that a parser finds, wherever the bytes are cut.
pub(crate) fn request_head(input: &[u8]) {
    let (whole, length) = scan(&[input]);
    let step = input.len().div_ceil(CUTS_MAX).max(1);
    let in_two = (0..input.len()).step_by(step).map(|cut| vec![&input[..cut], &input[cut..]]);
    for pieces in in_two.chain([input.chunks(1).collect()]) {
        let (other, other_length) = scan(&pieces);
        let same = other_length == length && other.ended == whole.ended && other.bare_line_feed == whole.bare_line_feed;
        assert!(same, "cut at {}: {whole:?}, {other:?}", pieces.first().map_or(0, |first| first.len()));
    }
    let head = &input[..length];
    let bare = head.iter().enumerate().any(|(at, byte)| *byte == b'\n' && head[..at].last() != Some(&b'\r'));
    assert_eq!(whole.bare_line_feed, bare, "a bare line feed is not seen");
    assert!(whole.ended || length == input.len(), "a head that has not ended is all there is");
    if whole.bare_line_feed {
        return;
    }
    // What is not refused is one request in front of the server as well. hyper reads heads with this parser.
    let mut fields = [httparse::EMPTY_HEADER; 100];
    match httparse::Request::new(&mut fields).parse(input) {
        Ok(httparse::Status::Complete(end)) => assert_eq!((whole.ended, length), (true, end), "the parser finds another end"),
        Ok(httparse::Status::Partial) => assert!(!whole.ended, "the parser waits for more of a head that has ended"),
        Err(_) => {}
    }
}

/// The scan after these pieces, and how many bytes belong to the head.
fn scan(pieces: &[&[u8]]) -> (HeadScan, usize) {
    let mut scan = HeadScan::default();
    let length = pieces.iter().map(|piece| scan.scan(piece)).sum();
    (scan, length)
}
