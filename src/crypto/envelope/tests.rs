//! A sealed value opens only in its own place, unchanged and under its own key.

use proptest::prelude::*;

use super::*;

const PLACE: Place<'static> =
    Place { table: "credential_secrets", row: Uuid::from_u128(7), version: 3, within: [b"session", b"talkdesk"] };
const CANARY: &[u8] = b"canary-7f3a-plaintext";

#[test]
fn a_copied_row_does_not_open() {
    let keyring = Keyring::generate();
    let sealed = keyring.seal(&PLACE, CANARY);
    assert_eq!(&*keyring.open(&PLACE, &sealed).unwrap(), CANARY);
    for elsewhere in [
        Place { table: "drafts", ..PLACE },
        Place { table: "credential_secret", ..PLACE },
        Place { row: Uuid::from_u128(8), ..PLACE },
        Place { version: 2, ..PLACE },
        Place { version: 4, ..PLACE },
        Place { version: -3, ..PLACE },
        Place { within: [b"session", b"other"], ..PLACE },
        Place { within: [b"sessio", b"ntalkdesk"], ..PLACE },
        Place { within: [b"talkdesk", b"session"], ..PLACE },
        Place { within: [b"session", b""], ..PLACE },
        Place { within: [b"", b""], ..PLACE },
    ] {
        assert_eq!(keyring.open(&elsewhere, &sealed), Err(OpenError::Refused), "{elsewhere:?}");
    }
}

#[test]
fn parts_of_two_sealed_values_do_not_open_together() {
    let keyring = Keyring::generate();
    let (first, second) = (keyring.seal(&PLACE, CANARY), keyring.seal(&PLACE, CANARY));
    assert_ne!(first.ciphertext, second.ciphertext, "each value has a data key and a nonce of its own");
    assert_ne!(first.wrapped_key, second.wrapped_key);
    let mixed = Sealed { ciphertext: second.ciphertext, ..first };
    assert_eq!(keyring.open(&PLACE, &mixed), Err(OpenError::Refused));
}

#[test]
fn a_wrapped_key_is_no_value() {
    // Both are AES-GCM for the same place; only the purpose differs.
    let keyring = Keyring::generate();
    let sealed = keyring.seal(&PLACE, CANARY);
    let wrapping = keyring.key(&sealed.key_id).unwrap();
    assert!(decrypt(wrapping, &PLACE.associated_data(Purpose::Value), &sealed.wrapped_key).is_err());
    assert!(decrypt(wrapping, &PLACE.associated_data(Purpose::DataKey { key_id: "k1" }), &sealed.wrapped_key).is_ok());
}

#[test]
fn another_key_of_the_same_id_does_not_open() {
    let sealed = Keyring::generate().seal(&PLACE, CANARY);
    assert_eq!(Keyring::generate().open(&PLACE, &sealed), Err(OpenError::Refused));
}

#[test]
fn an_unknown_key_is_named() {
    let keyring = Keyring::generate();
    let sealed = Sealed { key_id: "k9".into(), ..keyring.seal(&PLACE, CANARY) };
    let error = keyring.open(&PLACE, &sealed).unwrap_err();
    assert_eq!(error, OpenError::UnknownKey { id: "k9".into() });
    assert!(error.to_string().contains("`k9`"));
}

#[test]
fn an_older_key_opens_and_the_active_one_seals() {
    let (one, two) = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let before = Keyring::parse(&format!("active = \"k1\"\n[keys]\nk1 = \"{one}\"\n").into()).unwrap();
    let after = Keyring::parse(&format!("active = \"k2\"\n[keys]\nk1 = \"{one}\"\nk2 = \"{two}\"\n").into()).unwrap();
    let sealed = before.seal(&PLACE, CANARY);
    assert_eq!(&*after.open(&PLACE, &sealed).unwrap(), CANARY);
    let newer = after.seal(&PLACE, CANARY);
    assert_eq!(newer.key_id, "k2");
    assert_eq!(before.open(&PLACE, &newer), Err(OpenError::UnknownKey { id: "k2".into() }));
    // Relabelling a value doesn't move it to the other key.
    assert_eq!(after.open(&PLACE, &Sealed { key_id: "k2".into(), ..sealed }), Err(OpenError::Refused));
}

#[test]
fn nothing_that_can_be_printed_holds_the_value() {
    let keyring = Keyring::generate();
    let sealed = keyring.seal(&PLACE, CANARY);
    let error = keyring.open(&Place { version: 1, ..PLACE }, &sealed).unwrap_err();
    let printed = format!("{sealed:?} {error} {error:?} {PLACE:?}");
    assert!(!printed.contains("canary"), "{printed}");
    assert!(!sealed.to_bytes().windows(6).any(|window| window == &CANARY[..6]));
}

#[test]
fn places_have_distinct_names_for_each_table() {
    let (id, connector) = (Uuid::from_u128(1), ConnectorId::new("talkdesk").unwrap());
    let places = [
        Place::installation(),
        Place::credential_secret(id, 1, &connector),
        Place::draft(id, 1, &id, &connector),
        Place::resource_endpoint(id, 1, &connector),
        Place::verification(id, &id),
        Place::access_token(id, 1),
        Place::token_failure(id, 1),
        Place::second_factor(id),
        Place::second_factor_offer(id, &id),
    ];
    let tables: std::collections::BTreeSet<_> = places.iter().map(|place| place.table).collect();
    assert_eq!(tables.len(), places.len());
}

/// Short and from few letters, so that two of them are often equal, or equal when concatenated.
fn within() -> impl Strategy<Value = [Vec<u8>; 2]> {
    let part = || proptest::collection::vec(0_u8..2, 0..3);
    [part(), part()]
}

proptest! {
    #[test]
    fn a_value_comes_back(value: Vec<u8>, row: u128, version: i64) {
        let keyring = Keyring::generate();
        let place = Place { table: "drafts", row: Uuid::from_u128(row), version, within: [&[], &[]] };
        let packed = keyring.seal_packed(&place, &value);
        prop_assert_eq!(Sealed::from_bytes(&packed).unwrap().to_bytes(), packed.clone());
        prop_assert_eq!(&*keyring.open_packed(&place, &packed).unwrap(), &value);
    }

    #[test]
    fn a_flipped_bit_anywhere_does_not_open(value in proptest::collection::vec(any::<u8>(), 0..60), at: prop::sample::Index, bit in 0_u8..8) {
        let keyring = Keyring::generate();
        let mut packed = keyring.seal_packed(&PLACE, &value);
        let at = at.index(packed.len());
        packed[at] ^= 1_u8 << bit;
        prop_assert!(keyring.open_packed(&PLACE, &packed).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_part_does_not_open(part in 0..3, at: prop::sample::Index, bit in 0_u8..8) {
        let keyring = Keyring::generate();
        let mut sealed = keyring.seal(&PLACE, CANARY);
        match part {
            0 => {
                let mut id = sealed.key_id.into_bytes();
                // With the top bit flipped it's no longer text, and such a row isn't even read.
                id[at.index(2)] ^= 1_u8 << (bit % 7);
                sealed.key_id = String::from_utf8(id).unwrap();
            }
            1 => sealed.wrapped_key[at.index(WRAPPED)] ^= 1_u8 << bit,
            _ => { let at = at.index(sealed.ciphertext.len()); sealed.ciphertext[at] ^= 1_u8 << bit; }
        }
        prop_assert!(keyring.open(&PLACE, &sealed).is_err());
    }

    #[test]
    fn cut_or_foreign_bytes_do_not_open(bytes: Vec<u8>, length: prop::sample::Index) {
        let keyring = Keyring::generate();
        prop_assert!(keyring.open_packed(&PLACE, &bytes).is_err());
        let packed = keyring.seal_packed(&PLACE, CANARY);
        prop_assert!(keyring.open_packed(&PLACE, &packed[..length.index(packed.len())]).is_err());
    }

    #[test]
    fn no_two_places_share_their_associated_data(
        a: (u128, i64), b: (u128, i64), tables: (bool, bool), one in within(), other in within(), same_row: bool,
    ) {
        fn place<'a>((row, version): (u128, i64), other: bool, [first, second]: &'a [Vec<u8>; 2]) -> Place<'a> {
            Place { table: if other { "draft" } else { "drafts" }, row: Uuid::from_u128(row), version, within: [first, second] }
        }
        let (first, second) = (place(a, tables.0, &one), place(if same_row { a } else { b }, tables.1, &other));
        prop_assert_eq!(first.associated_data(Purpose::Value) == second.associated_data(Purpose::Value), first == second);
    }
}
