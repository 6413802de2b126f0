use proptest::prelude::*;

use super::*;

/// A chain whose hash depends on every byte, which is all that a walk needs of it.
struct Sum;

impl AuditChain for Sum {
    fn link(&self, before: &[u8; 32], record: &[u8]) -> [u8; 32] {
        let mut hash = *before;
        for round in 0..2 {
            for (index, byte) in record.iter().enumerate() {
                let place = (index + round) % 32;
                hash[place] = hash[place].rotate_left(3).wrapping_add(*byte) ^ hash[(place + 7) % 32];
            }
        }
        hash
    }
}

fn record(seq: i64) -> AuditRecord {
    AuditRecord {
        seq,
        at: 1_000 + seq,
        actor_kind: "person".into(),
        actor: None,
        actor_name: format!("person {}", seq % 3),
        action: "session.sign_in".into(),
        target_kind: None,
        target: None,
        target_name: String::new(),
        outcome: "done".into(),
        address: "192.0.2.1".into(),
        request: String::new(),
        detail: String::new(),
    }
}

fn trail(length: i64) -> Vec<(AuditRecord, [u8; 32])> {
    let mut before = [0; 32];
    (1..=length)
        .map(|seq| {
            let record = record(seq);
            before = Sum.link(&before, &record.to_bytes());
            (record, before)
        })
        .collect()
}

fn end_of(trail: &[(AuditRecord, [u8; 32])]) -> ChainPoint {
    trail.last().map_or(ChainPoint::BEGINNING, |(record, hash)| ChainPoint { seq: record.seq, hash: *hash })
}

fn check(trail: &[(AuditRecord, [u8; 32])], recorded: ChainPoint, noted: Option<ChainPoint>) -> Result<ChainPoint, ChainBreak> {
    let mut sorted: Vec<_> = trail.iter().collect();
    sorted.sort_by_key(|(record, _)| record.seq);
    let mut walk = ChainWalk::new(&Sum, noted);
    for (record, hash) in sorted {
        walk.step(record, hash)?;
    }
    walk.end(recorded).map(|()| walk.last())
}

#[test]
fn a_whole_trail_holds_and_so_does_an_empty_one() {
    let whole = trail(20);
    let end = end_of(&whole);
    assert_eq!(check(&whole, end, None), Ok(end));
    assert_eq!(check(&whole, end, Some(end)), Ok(end));
    assert_eq!(check(&whole, end, Some(end_of(&whole[..7]))), Ok(end));
    assert_eq!(check(&[], ChainPoint::BEGINNING, Some(ChainPoint::BEGINNING)), Ok(ChainPoint::BEGINNING));
}

#[test]
fn what_was_cut_off_at_the_end_is_seen() {
    let whole = trail(20);
    let end = end_of(&whole);
    assert_eq!(check(&whole[..12], end, None), Err(ChainBreak::CutOff { last: 12, recorded: 20 }));
    assert_eq!(check(&[], end, None), Err(ChainBreak::CutOff { last: 0, recorded: 20 }));
    // With the end set back, only a note that was kept elsewhere tells.
    let set_back = end_of(&whole[..12]);
    assert_eq!(check(&whole[..12], set_back, None), Ok(set_back));
    assert_eq!(check(&whole[..12], set_back, Some(end)), Err(ChainBreak::NotedMissing { seq: 20, last: 12 }));
    assert_eq!(check(&whole, set_back, None), Err(ChainBreak::Added { seq: 13 }));
    assert_eq!(check(&whole, ChainPoint { hash: [9; 32], ..end }, None), Err(ChainBreak::OtherEnd { seq: 20 }));
}

#[test]
fn a_trail_that_was_written_anew_is_not_the_noted_one() {
    let noted = end_of(&trail(5));
    let mut anew = trail(4);
    let mut other = record(5);
    other.actor_name = "somebody else".into();
    let hash = Sum.link(&anew[3].1, &other.to_bytes());
    anew.push((other, hash));
    assert_eq!(check(&anew, end_of(&anew), None), Ok(end_of(&anew)));
    assert_eq!(check(&anew, end_of(&anew), Some(noted)), Err(ChainBreak::NotAsNoted { seq: 5 }));
}

#[test]
fn a_note_is_read_as_it_is_written() {
    let point = ChainPoint { seq: 42, hash: std::array::from_fn(|index| u8::try_from(index * 7).unwrap()) };
    assert_eq!(point.to_string().parse(), Ok(point));
    assert_eq!(format!(" {} ", point.to_string().to_uppercase()).parse(), Ok(point));
    for wrong in ["", "42", "42:", "42:ff", "-1:00", &format!("x:{}", "0".repeat(64)), &format!("1:{}", "é".repeat(32))] {
        assert!(wrong.parse::<ChainPoint>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_one_event_is_found_at_its_place(
        length in 2_i64..40, place in 0_usize..40, way in 0_u8..7, bit in 0_usize..256,
    ) {
        let mut rows = trail(length);
        let end = end_of(&rows);
        let place = place % rows.len();
        let seq = rows[place].0.seq;
        let next = (place + 1) % rows.len();
        let expected = match way {
            0 => {
                rows.remove(place);
                if seq == length {
                    ChainBreak::CutOff { last: seq - 1, recorded: length }
                } else {
                    ChainBreak::Removed { from: seq, to: seq }
                }
            }
            1 => {
                rows[place].0.actor_name.push('x');
                ChainBreak::Changed { seq }
            }
            2 => {
                rows[place].0.at += 1;
                ChainBreak::Changed { seq }
            }
            3 => {
                rows[place].1[bit / 8] ^= 1 << (bit % 8);
                ChainBreak::Changed { seq }
            }
            4 => {
                // Two events change places, each with its hash.
                let (first, second) = (rows[place].0.seq, rows[next].0.seq);
                rows[place].0.seq = second;
                rows[next].0.seq = first;
                ChainBreak::Changed { seq: first.min(second) }
            }
            5 => {
                // One is put in between, and those behind it move on.
                let added = rows[place].clone();
                for (record, _) in &mut rows[place..] {
                    record.seq += 1;
                }
                rows.insert(place, added);
                // The event that was put in is a copy of the one that stood there; what follows it does not fit.
                ChainBreak::Changed { seq: seq + 1 }
            }
            _ => {
                // One is taken out, and those behind it move up.
                rows.remove(place);
                for (record, _) in &mut rows[place..] {
                    record.seq -= 1;
                }
                if seq == length {
                    ChainBreak::CutOff { last: seq - 1, recorded: length }
                } else {
                    ChainBreak::Changed { seq }
                }
            }
        };
        prop_assert_eq!(check(&rows, end, None), Err(expected));
    }
}
