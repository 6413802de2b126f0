//! Tests of the redactor: no secret gets through, in whatever form a service repeats it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    domain::{
        connectors::{FieldId, file},
        credentials::values::FieldValue,
    },
    upstream::diagnosis::secret_scanner::REDACTED,
};

fn redactor(id: &str, secret: &str, token: Option<&str>) -> Redactor {
    let connector =
        file::read("test.toml", include_str!("../../../../connectors/oauth2-client-credentials.toml")).unwrap().connector;
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
    // Invisible characters can't be used to get a secret through.
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

#[test]
fn media_types_give_nothing_away() {
    let redactor = redactor("client-1", "S3cret", None);
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, "Text/X-S3cret-client-1; charset=utf-8".parse().unwrap())]);
    assert_eq!(redactor.content_type(&headers).unwrap(), "text/x-[redacted]-client-1");
    assert_eq!(redactor.words(400, &headers, None).content_type.unwrap(), "text/x-[redacted]-[client id]");
}

#[test]
fn plain_values_that_hide_something_give_way_too() {
    let redactor = redactor("client\u{A0}\u{200B}1", "s3cret", None);
    assert_eq!(redactor.clean("client\u{A0}\u{200B}1 and client 1", 500), "[Client ID] and [Client ID]");
}

/// Any characters, with many that normalization drops or that encodings change.
fn secrets() -> impl Strategy<Value = String> {
    let special = "\u{A0}\u{200B}\u{3000}\u{202E}\u{FEFF}\u{AD}\u{7}\t\n +%&<>\"'/\\\\é😀".chars().collect::<Vec<_>>();
    proptest::collection::vec(prop_oneof![any::<char>(), proptest::sample::select(special), proptest::char::range('a', 'z')], 6..40)
        .prop_map(String::from_iter)
        // The mark itself could contain part of anything shorter.
        .prop_filter("enough to see", |secret| {
            settled(secret).trim().chars().count() >= 4 && !REDACTED.contains(settled(secret).trim())
        })
}

proptest! {
    #[test]
    fn no_form_of_a_secret_comes_through(id in "[!-~]{1,20}", secret in secrets(), before in "[a-z ]{0,10}", token in "[!-~]{12,40}") {
        let redactor = redactor(&id, &secret, Some(&token));
        let all = forms_of(&secret).into_iter().chain(forms_of(&form_pair(&id, &secret))).chain(forms_of(&raw_pair(&id, &secret)));
        for form in all.chain(forms_of(&token)) {
            let text = format!("{before}{} end", *form);
            let cleaned = redactor.clean(&text, 10_000);
            for lost in [secret.as_str(), &settled(&secret), &form, &settled(&form), &token] {
                prop_assert!(!cleaned.contains(lost), "{:?} of {:?} in {:?}", lost, text, cleaned);
            }
            let body = redactor.body(text.as_bytes(), false);
            for lost in [secret.as_str(), &form, &token] {
                prop_assert!(!String::from_utf8(body.clone()).unwrap().contains(lost), "{:?} in {:?}", lost, body);
            }
        }
    }
}
