//! Password hashes: argon2id version 1.3 (RFC 9106), stored as PHC strings that contain their salt and cost.
//!
//! A check takes the same work whether or not there is a hash: an unknown account is checked against
//! [`stand_in`], and text that isn't a hash is hashed for all the same. Everything here takes much time and
//! memory: run it in `service::hashing`.

use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, Version};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::random;
use crate::domain::users::password::Password;

/// In bytes: 128 bits, as RFC 9106 section 4 recommends.
const SALT_LENGTH: usize = 16;
/// The hash itself, in bytes: 256 bits, as RFC 9106 section 4 recommends.
const TAG_LENGTH: usize = 32;

/// The memory, passes and lanes of a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordCost(Params);

impl PasswordCost {
    /// The second recommended option of RFC 9106 section 4, for machines with less memory: 64 MiB, 3 passes,
    /// 4 lanes.
    pub const RECOMMENDED: Self = match Self::new(64 * 1024, 3, 4) {
        Some(cost) => cost,
        None => panic!("the recommended cost is within the limits"),
    };

    /// `memory_kib` KiB of memory, filled `passes` times in `lanes` lanes. `None` if argon2 doesn't allow it,
    /// or if one hash would take more than 1 GiB, 64 passes or 16 lanes: a tampered row must not exhaust the
    /// server's memory.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        if memory_kib > 1024 * 1024 || passes > 64 || lanes > 16 {
            return None;
        }
        match Params::new(memory_kib, passes, lanes, Some(TAG_LENGTH)) {
            Ok(params) => Some(Self(params)),
            Err(_) => None,
        }
    }

    fn tag(&self, password: &Password, salt: &[u8]) -> Result<Zeroizing<[u8; TAG_LENGTH]>, OutOfMemory> {
        let mut tag = Zeroizing::new([0; TAG_LENGTH]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone());
        // Password, salt and tag have valid lengths, so only an allocation can fail.
        argon2.hash_password_into(password.expose().as_bytes(), salt, &mut *tag).map_err(|_| OutOfMemory)?;
        Ok(tag)
    }

    fn phc(&self, salt: &[u8], tag: &[u8]) -> String {
        format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            self.0.m_cost(),
            self.0.t_cost(),
            self.0.p_cost(),
            BASE64_STANDARD_NO_PAD.encode(salt),
            BASE64_STANDARD_NO_PAD.encode(tag)
        )
    }
}

/// There wasn't enough memory for a hash. Says nothing about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory to hash a password")]
pub struct OutOfMemory;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCheck {
    pub matches: bool,
    /// Whether the hash has another cost, so that a matching password should be hashed again.
    pub outdated: bool,
}

/// Hashes a password with a new salt. Returns a PHC string.
pub fn hash(password: &Password, cost: &PasswordCost) -> Result<String, OutOfMemory> {
    let salt = random::bytes::<SALT_LENGTH>();
    Ok(cost.phc(&salt, &*cost.tag(password, &salt)?))
}

/// Checks a password against a PHC string, with the cost in the string. Text that isn't such a hash matches
/// nothing, but takes the work of `cost`.
pub fn check(password: &Password, phc: &str, cost: &PasswordCost) -> Result<PasswordCheck, OutOfMemory> {
    let Some(stored) = Stored::parse(phc) else {
        // The result doesn't matter, only that it took as long.
        drop(cost.tag(password, &[0; SALT_LENGTH])?);
        return Ok(PasswordCheck { matches: false, outdated: true });
    };
    let tag = stored.cost.tag(password, &stored.salt)?;
    let outdated = stored.cost != *cost || stored.salt.len() != SALT_LENGTH;
    Ok(PasswordCheck { matches: tag.ct_eq(&stored.tag).into(), outdated })
}

/// A hash that no known password has. Create it once, and check against it if there is no account.
///
/// Its tag is random: no password was hashed for it, and finding a matching one is as hard as finding any
/// preimage.
pub fn stand_in(cost: &PasswordCost) -> String {
    cost.phc(&random::bytes::<SALT_LENGTH>(), &random::bytes::<TAG_LENGTH>())
}

/// A parsed PHC string of argon2id version 1.3.
struct Stored {
    cost: PasswordCost,
    salt: Vec<u8>,
    tag: [u8; TAG_LENGTH],
}

impl Stored {
    fn parse(phc: &str) -> Option<Self> {
        let parsed = PasswordHash::new(phc).ok()?;
        let version = parsed.version.and_then(|number| Version::try_from(number).ok());
        if parsed.algorithm != ARGON2ID_IDENT || version != Some(Version::V0x13) {
            return None;
        }
        let tag = parsed.hash?.as_bytes().try_into().ok()?;
        // Every parameter must be present: the library would use defaults for missing ones. This module never
        // writes a key id or associated data.
        let mut parameters = parsed.params.iter().map(|(name, value)| Some((name, value.decimal().ok()?)));
        let mut next = |expected: &str| {
            let (name, value) = parameters.next()??;
            (name.as_str() == expected).then_some(value)
        };
        let cost = PasswordCost::new(next("m")?, next("t")?, next("p")?)?;
        let is_all = parameters.next().is_none();
        is_all.then_some(Self { cost, salt: parsed.salt?.to_vec(), tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{AssociatedData, ParamsBuilder};
    use proptest::prelude::*;

    const LIGHT: PasswordCost = PasswordCost::new(64, 1, 1).unwrap();

    fn password(text: &str) -> Password {
        Password::typed(&text.into()).unwrap()
    }

    #[test]
    fn the_library_is_argon2id_of_the_standard() {
        // RFC 9106 section 5.3.
        let mut params = ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params.build().unwrap()).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
    }

    #[test]
    fn a_hash_of_the_reference_implementation_is_known() {
        // From the tests of the reference implementation (test.c, argon2id, version 0x13).
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let found = check(&password("password"), phc, &LIGHT).unwrap();
        assert_eq!(found, PasswordCheck { matches: true, outdated: true });
        assert!(!check(&password("passwore"), phc, &LIGHT).unwrap().matches);
    }

    #[test]
    fn the_recommended_cost_is_what_is_written_and_checked() {
        let right = password("tulip-gravel-anchor");
        let phc = hash(&right, &PasswordCost::RECOMMENDED).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{phc}");
        // 16 bytes are 22 characters and 32 bytes are 43.
        assert_eq!(phc.split('$').skip(4).map(str::len).collect::<Vec<_>>(), [22, 43]);
        let found = check(&right, &phc, &PasswordCost::RECOMMENDED).unwrap();
        assert_eq!(found, PasswordCheck { matches: true, outdated: false });
    }

    #[test]
    fn another_cost_is_outdated() {
        let right = password("right");
        let phc = hash(&right, &LIGHT).unwrap();
        for (memory, passes, lanes) in [(65, 1, 1), (64, 2, 1), (64, 1, 2)] {
            let other = PasswordCost::new(memory, passes, lanes).unwrap();
            assert_eq!(check(&right, &phc, &other), Ok(PasswordCheck { matches: true, outdated: true }));
        }
        assert_eq!(check(&right, &phc, &LIGHT), Ok(PasswordCheck { matches: true, outdated: false }));
    }

    #[test]
    fn equal_passwords_have_different_hashes() {
        assert_ne!(hash(&password("right"), &LIGHT), hash(&password("right"), &LIGHT));
    }

    #[test]
    fn the_stand_in_is_a_hash_of_the_same_cost_that_nothing_matches() {
        let phc = stand_in(&PasswordCost::RECOMMENDED);
        assert_eq!(Stored::parse(&phc).unwrap().cost, PasswordCost::RECOMMENDED);
        assert_ne!(phc, stand_in(&PasswordCost::RECOMMENDED));
        let light = stand_in(&LIGHT);
        for text in ["", "password", &light] {
            assert_eq!(check(&password(text), &light, &LIGHT), Ok(PasswordCheck { matches: false, outdated: false }));
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        let good = hash(&password("right"), &LIGHT).unwrap();
        assert!(Stored::parse(&good).is_some());
        for wrong in [
            String::new(),
            "right".into(),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("v=19$", ""),
            good.replace("m=64,", ""),
            good.replace("p=1$", "p=1,data=AAAA$"),
            good.replace("m=64", "m=4294967295"),
            good.replace("t=1", "t=4294967295"),
            good.replace("p=1", "p=17"),
            good[..good.len() - 4].to_owned(),
            good.rsplit_once('$').unwrap().0.to_owned(),
        ] {
            let found = check(&password("right"), &wrong, &LIGHT);
            assert_eq!(found, Ok(PasswordCheck { matches: false, outdated: true }), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn only_the_password_matches(right in "\\PC{0,40}", other in "\\PC{0,40}", phc in "\\PC{0,120}") {
            let (right, other) = (password(&right), password(&other));
            let hashed = hash(&right, &LIGHT).unwrap();
            prop_assert!(check(&right, &hashed, &LIGHT).unwrap().matches);
            prop_assert_eq!(check(&other, &hashed, &LIGHT).unwrap().matches, other.expose() == right.expose());
            prop_assert!(!check(&right, &phc, &LIGHT).unwrap().matches);
        }
    }
}
