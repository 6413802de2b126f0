//! Passwords: typed at sign-in, or chosen as a new one.
//!
//! Both are normalised before they are hashed: every kind of blank becomes a space, and Unicode normalisation
//! form C is applied (RFC 8265 section 4.2.2; NIST SP 800-63B-4 section 3.1.1.2), so that the same keys on
//! two systems type the same password. There are no composition rules: length and guessability decide.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::domain::naming::name_key;

/// In characters (Unicode code points).
pub const PASSWORD_MIN: usize = 12;
/// In characters (Unicode code points).
pub const PASSWORD_MAX: usize = 256;
/// The fewest guesses that an attacker who knows common patterns must need for a new password.
///
/// Against guessing at sign-in, which is throttled, a hundredth of this would be enough. It protects against
/// a stolen database: a core hashes about ten guesses a second at the recommended cost, so 10^8 guesses take
/// one core four months, and a hundred cores more than a day, for every person, because each hash has its own
/// salt. The estimator's own scale also calls a password safe against that from here on.
pub const GUESSES_MIN: u64 = 100_000_000;

/// More bytes than a password of [`PASSWORD_MAX`] characters has in any form that people type, so not worth
/// normalising.
const TYPED_BYTES_MAX: usize = 16 * PASSWORD_MAX;
/// The most characters that are given to the estimator. Its time grows faster than the square of the length,
/// above all with symbols that can be read as letters: 100 characters could keep it busy for seconds.
/// Ignoring the rest can only underestimate a password.
const ESTIMATED_MAX: usize = 32;
/// The shortest part of a name or email address that counts as guessable.
const ABOUT_PART_MIN: usize = 3;
/// The most words about a person that are searched for; each is searched for at every position.
const ABOUT_MAX: usize = 32;

/// A password in the form that is hashed, of at most [`PASSWORD_MAX`] characters. It has no `Debug`.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// A password typed at sign-in. `None` if it's longer than a password can be: it's wrong for every user,
    /// so it needs no hash.
    pub fn typed(text: &SecretString) -> Option<Self> {
        let typed = text.expose_secret();
        if typed.len() > TYPED_BYTES_MAX {
            return None;
        }
        // Form C has at most three times the bytes. The full capacity up front: a string that grows would
        // leave copies in memory.
        let mut normal = Zeroizing::new(String::with_capacity(3 * typed.len()));
        normal.extend(typed.chars().map(|c| if is_blank(c) { ' ' } else { c }).nfc());
        (normal.chars().count() <= PASSWORD_MAX).then(|| Self(normal.as_str().into()))
    }

    /// The normal form, exposed for hashing.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A password that passed the rules for new ones. It has no `Debug`.
#[derive(Clone)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Checks a password that a person chose. `about` is what is publicly known about the person: the email
    /// address, the part of it before the `@`, and the name. The error is a sentence for the person and never
    /// contains the password.
    ///
    /// Usually takes half a millisecond, at worst a tenth of a second: run it where passwords are hashed.
    pub fn parse(text: &SecretString, about: &[&str]) -> Result<Self, String> {
        let Some(password) = Password::typed(text) else {
            return Err(format!("Use at most {PASSWORD_MAX} characters."));
        };
        let exposed = password.expose();
        let length = exposed.chars().count();
        if length < PASSWORD_MIN {
            let have = if length == 1 { "1 character".to_owned() } else { format!("{length} characters") };
            return Err(format!(
                "Use at least {PASSWORD_MIN} characters; this has {have}. A few words in a row are easy to remember."
            ));
        }
        if exposed.chars().any(char::is_control) {
            return Err("Remove the line break or control character: a sign-in form cannot take it.".into());
        }
        let letters = Zeroizing::new(letters_of(exposed));
        if about.iter().any(|known| letters_of(known) == *letters && !letters.is_empty()) {
            return Err("Choose something other than your email address or name.".into());
        }
        if is_easily_guessed(exposed, about) {
            return Err("This is easy to guess: it is common, or made of your name, a pattern or a repetition. \
                        Put a few unrelated words in a row, or let a password manager make one."
                .into());
        }
        Ok(Self(password))
    }

    pub fn password(&self) -> &Password {
        &self.0
    }
}

/// Whether fewer than [`GUESSES_MIN`] guesses find the password. The zxcvbn crate knows lists of common
/// passwords, names and words, and patterns such as keyboard rows, dates, repetitions and replaced letters.
fn is_easily_guessed(password: &str, about: &[&str]) -> bool {
    let mut known: Vec<&str> = vec!["keytile"];
    for text in about {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        known.extend(std::iter::once(*text).chain(parts).filter(|part| part.chars().count() >= ABOUT_PART_MIN));
    }
    known.truncate(ABOUT_MAX);
    let mut estimated = Zeroizing::new(String::with_capacity(4 * ESTIMATED_MAX));
    estimated.extend(password.chars().take(ESTIMATED_MAX));
    zxcvbn::zxcvbn(&estimated, &known).guesses() < GUESSES_MIN
}

/// The letters and digits alone, ignoring case.
fn letters_of(text: &str) -> String {
    name_key(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Blanks other than the space: Unicode general category Zs.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ABOUT: [&str; 3] = ["margarete.hoffmann@example.com", "margarete.hoffmann", "Margarete Hoffmann-Čapek"];

    fn refusal(text: &str) -> Option<String> {
        NewPassword::parse(&text.into(), &ABOUT).err()
    }

    #[test]
    fn good_passwords_are_taken() {
        for good in [
            "correct horse battery staple",
            "tulip-gravel-anchor",
            "qX7#mv2Lp9$w",
            "Der Dackel frisst keine Schrauben",
            "пароль для старого сервера",
            "木曜日の朝に猫が屋根で歌う",
            &"quiet otter ".repeat(2).replace("otter q", "lamp of q"),
            &"zA4!kp9Q".repeat(32),
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
    }

    #[test]
    fn common_and_derived_passwords_are_refused() {
        for weak in [
            "password1234",
            "Password123!",
            "P@ssw0rd2024",
            "passwordpassword",
            "qwertyuiop12",
            "1q2w3e4r5t6y",
            "123456789012",
            "aaaaaaaaaaaaaaaa",
            "abcdefghijkl",
            "abcabcabcabcabc",
            "iloveyou2024",
            "keytilekeytile",
            "Keytile2026!",
            "drowssap4321",
            "hoffmann2024",
            "Margarete1985",
            "margarete.hoffmann@example.com1",
            &"a".repeat(256),
        ] {
            assert!(refusal(weak).is_some_and(|said| said.starts_with("This is easy to guess")), "{weak}");
        }
    }

    #[test]
    fn ones_own_address_and_name_are_refused_in_any_case() {
        for own in [
            "MARGARETE.hoffmann@Example.com",
            "Margarete.Hoffmann",
            "--Margarete_Hoffmann--",
            "margarete hoffmann-čapek",
            "margarete hoffmann-C\u{30C}apek",
        ] {
            let said = refusal(own).unwrap();
            assert!(said.starts_with("Choose something other"), "{own}: {said}");
        }
        // A password without letters doesn't match a name without any.
        let said = NewPassword::parse(&"!!!!!!!!!!!!!".into(), &["...", ""]).err().unwrap();
        assert!(said.starts_with("This is easy to guess"), "{said}");
    }

    #[test]
    fn length_is_counted_in_characters_of_the_normal_form() {
        assert!(refusal("žluťoučký-k").unwrap().contains("this has 11 characters"));
        // Twelve letters, two of them typed as two code points each.
        assert_eq!(refusal("z\u{30C}luťouc\u{30C}ky-ku"), None);
        assert!(refusal("z\u{30C}luťouc\u{30C}ky-k").unwrap().contains("this has 11 characters"));
        assert!(refusal("x").unwrap().contains("this has 1 character."));
        assert_eq!(refusal(&"zA4!kp9é".repeat(32)), None);
        assert!(refusal(&format!("{}x", "zA4!kp9é".repeat(32))).unwrap().contains("at most 256"));
        assert!(refusal("two\nlines of text").unwrap().contains("line break"));
        assert!(Password::typed(&"\u{1F600}".repeat(256).into()).is_some());
        assert!(Password::typed(&"\u{1F600}".repeat(257).into()).is_none());
        assert!(Password::typed(&"x".repeat(10_000_000).into()).is_none());
    }

    #[test]
    fn the_same_keys_on_two_systems_type_the_same_password() {
        let typed = |text: &str| Password::typed(&text.into()).unwrap().expose().to_owned();
        assert_eq!(typed("Cafe\u{301} am\u{A0}Meer"), typed("Café am Meer"));
        // Nothing else is folded: not case, blanks at the ends or compatible forms.
        assert_eq!(typed(" Ａb "), " Ａb ");
    }

    #[test]
    fn no_refusal_holds_the_password() {
        for canary in ["canary", "canarycanary", "Canary-Canary\n", &"canary".repeat(90), "MARGARETE.HOFFMANN"] {
            let said = refusal(canary).unwrap();
            assert!(!said.to_lowercase().contains(&canary.trim().to_lowercase()), "{said}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn anything_can_be_typed(text in "(.|\\PC){0,300}", about in "\\PC{0,20}") {
            let secret: SecretString = text.as_str().into();
            if let Some(password) = Password::typed(&secret) {
                prop_assert!(password.expose().chars().count() <= PASSWORD_MAX);
                let again = Password::typed(&password.expose().into()).unwrap();
                prop_assert_eq!(again.expose(), password.expose());
            }
            if let Ok(new) = NewPassword::parse(&secret, &[&about]) {
                prop_assert!((PASSWORD_MIN..=PASSWORD_MAX).contains(&new.password().expose().chars().count()));
            }
        }

        #[test]
        fn random_letters_are_taken(text in "[a-zA-Z0-9]{16,40}") {
            prop_assert_eq!(refusal(&text), None);
        }
    }
}
