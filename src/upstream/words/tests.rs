use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{
    connector::{FieldId, file},
    values::FieldValue,
};

fn redactor(id: &str, secret: &str, token: Option<&str>) -> Redactor {
    let connector = file::read("test.toml", include_str!("../../../connectors/oauth2-client-credentials.toml")).unwrap().connector;
    let mut values = FieldValues::default();
    values.insert(FieldId::new("client_id").unwrap(), FieldValue::Plain(id.into()));
    values.insert(FieldId::new("client_secret").unwrap(), FieldValue::Secret(secret.into()));
    values.insert(FieldId::new("token_url").unwrap(), FieldValue::Plain("https://id.example/token".into()));
    values.insert(FieldId::new("client_authentication").unwrap(), FieldValue::Plain("basic".into()));
    values.insert(FieldId::new("authorization_prefix").unwrap(), FieldValue::Plain("Bearer".into()));
    Redactor::new(&connector, &values, token.map(SecretString::from).as_ref())
}

#[test]
fn values_give_way_to_their_labels_and_choices_stay() {
    let redactor = redactor("client-1", "s3cret", None);
    let cleaned = redactor.clean("client-1 is unknown at https://id.example/token; client-12 is not; basic Bearer", 500);
    assert_eq!(cleaned, "[Client ID] is unknown at [Token URL]; client-12 is not; basic Bearer");
}

#[test]
fn what_hides_is_removed_and_blanks_are_blanks() {
    let redactor = redactor("client-1", "s3cret", None);
    assert_eq!(redactor.clean("a\r\nb\tc\u{7}\u{1b}[31m\u{202E}d\u{200B}e\u{2028}f\u{FEFF}", 500), "a  b c[31mde f");
    // Hiding characters cannot be used to get a secret past.
    assert_eq!(redactor.clean("s3\u{200B}cr\u{0}et", 500), "[redacted]");
}

#[test]
fn words_are_cut_in_characters() {
    let redactor = redactor("client-1", "s3cret", None);
    let cleaned = redactor.clean(&"é".repeat(600), SERVICE_WORDS_MAX);
    assert_eq!(cleaned.chars().count(), SERVICE_WORDS_MAX);
    assert!(cleaned.ends_with('…'));
    assert_eq!(redactor.clean(&"é".repeat(500), SERVICE_WORDS_MAX), "é".repeat(500));
    // A secret across the cut is redacted first.
    assert!(!redactor.clean(&format!("{}s3cret", "x".repeat(497)), SERVICE_WORDS_MAX).contains("s3"));
}

#[test]
fn words_are_found_where_servers_put_them() {
    let redactor = redactor("client-1", "s3cret", None);
    let words = |json: Value| redactor.words(400, &HeaderMap::new(), Some(&json));
    let found = words(json!({"error": "invalid_client", "error_description": "no"}));
    assert_eq!((found.error.as_deref(), found.description.as_deref()), (Some("invalid_client"), Some("no")));
    let found = words(json!({"error": {"code": 7, "message": "no"}}));
    assert_eq!((found.error.as_deref(), found.description.as_deref()), (Some("7"), Some("no")));
    let found = words(json!({"code": "0340", "message": "no"}));
    assert_eq!((found.error.as_deref(), found.description.as_deref()), (Some("0340"), Some("no")));
    let found = words(json!({"title": "Bad", "detail": "no"}));
    assert_eq!((found.error.as_deref(), found.description.as_deref()), (None, Some("no")));
    assert_eq!(words(json!([1])).description, None);
}

proptest! {
    #[test]
    fn no_form_of_a_secret_comes_through(id in "[!-~]{1,20}", secret in "\\PC{6,40}", before in "[a-z ]{0,10}") {
        let secret = secret.trim().to_owned();
        prop_assume!(secret.chars().count() >= 6 && !secret.chars().any(hides));
        let redactor = redactor(&id, &secret, Some("tok-1234567890"));
        let pair = BASE64_STANDARD.encode(form_pair(&id, &secret).as_bytes());
        let percent = utf8_percent_encode(&secret, PERCENT).to_string();
        for form in [secret.clone(), form_encoded(&secret).to_string(), percent, BASE64_STANDARD.encode(&secret), pair,
            "tok-1234567890".to_owned()] {
            let cleaned = redactor.clean(&format!("{before}{form} end"), 10_000);
            prop_assert!(!cleaned.contains(&form), "{} in {}", form, cleaned);
        }
    }
}
