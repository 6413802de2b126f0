//! What a connector file is refused for.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    connectors::FieldId,
    credentials::form::{RawForm, parse},
};

const TALKDESK: &str = include_str!("../../../../../connectors/talkdesk.toml");
const GENERIC: &str = include_str!("../../../../../connectors/oauth2-client-credentials.toml");

#[test]
fn the_files_that_come_with_keytile_are_read() {
    let file = read("a.toml", TALKDESK).unwrap();
    assert_eq!(file.connector.fields.len(), 7);
    assert_eq!(file.connector.field("region").unwrap().options[3].id, "au");
    read("b.toml", GENERIC).unwrap();
}

/// Replaces `old` by `new` and returns where and why the file is refused.
fn refused(old: &str, new: &str) -> (usize, String, String) {
    refused_of(TALKDESK, old, new)
}

fn refused_of(text: &str, old: &str, new: &str) -> (usize, String, String) {
    assert!(text.contains(old), "the file has no {old:?}");
    let changed = text.replacen(old, new, 1);
    let error = read("bad.toml", &changed).map(|_| ()).expect_err(new);
    let message = error.to_string();
    assert!(message.starts_with(&format!("bad.toml:{}: {}: ", error.line, error.key)), "{message}");
    // The line that is named holds what was written wrong, or opens the table that lacks it.
    (error.line, error.key, error.reason)
}

fn line_with(text: &str, needle: &str) -> usize {
    text.lines().position(|line| line.contains(needle)).unwrap() + 1
}

#[test]
fn unknown_keys_are_refused_where_they_stand() {
    let (line, key, reason) = refused("request_format = \"form\"", "request_fromat = \"form\"");
    assert_eq!((line, key.as_str()), (line_with(TALKDESK, "request_format"), "request_fromat"));
    assert!(reason.contains("unknown field"), "{reason}");
}

#[test]
fn undefined_variables_are_refused_where_they_stand() {
    let (line, key, reason) = refused("/oauth/token\"", "/oauth/{tenant}\"");
    assert_eq!((line, key.as_str()), (line_with(TALKDESK, "/oauth/token"), "token.url"));
    assert!(reason.contains("`tenant` is not a field"), "{reason}");
    let (_, key, reason) = refused("scope = \"{scopes}\"", "scope = \"{scope}\"");
    assert_eq!(key, "token.params.scope");
    assert!(reason.contains("`scope` is not a field"), "{reason}");
    let (_, _, reason) = refused("{account_name}.{region.identity}/oauth", "{account_name}.{region.idenity}/oauth");
    assert!(reason.contains("attribute `idenity`"), "{reason}");
}

#[test]
fn a_secret_in_an_address_is_refused() {
    for url in ["/oauth/{client_secret}\"", "/oauth/token?s={client_secret}\""] {
        let (_, key, reason) = refused("/oauth/token\"", url);
        assert_eq!(key, "token.url");
        assert!(reason.contains("must not stand in an address"), "{reason}");
    }
    let form = "client_auth = \"basic\"\nbasic_encoding = \"form\"\nrequest_format = \"form\"";
    for (query, params) in [
        ("client_auth = \"body\"\nrequest_format = \"query\"", ""),
        ("request_format = \"query\"", "secret = \"{client_secret}\"\n"),
    ] {
        let text = TALKDESK.replace("[token.params]\n", &format!("[token.params]\n{params}"));
        let (_, key, reason) = refused_of(&text, form, query);
        assert_eq!(key, "token.request_format");
        assert!(reason.contains("secret in a URL"), "{reason}");
    }
}

#[test]
fn a_host_is_fed_only_by_what_stays_in_its_label() {
    let (_, key, reason) = refused("https://{account_name}.{region.identity}/oauth", "https://{client_id}.{region.identity}/oauth");
    assert_eq!(key, "token.url");
    assert!(reason.contains("could leave its label"), "{reason}");
    let (_, _, reason) = refused("https://{account_name}.{region.identity}/oauth", "{account_name}/oauth");
    assert!(reason.contains("https-url"), "{reason}");
    let (_, _, reason) = refused("https://{account_name}.{region.identity}/oauth", "http://{account_name}.{region.identity}/oauth");
    assert!(reason.contains("must begin with https://"), "{reason}");
    let (_, _, reason) =
        refused("https://{account_name}.{region.identity}/oauth", "https://x@{account_name}.{region.identity}/oauth");
    assert!(reason.contains("user information"), "{reason}");
    for (address, expected) in [
        ("https:///{account_name}.{region.identity}/oauth", "a host after https://"),
        ("https://{account_name}\\\\.{region.identity}/oauth", "a backslash"),
        ("https://{account_name}. {region.identity}/oauth", "blank"),
        ("https://{account_name}.{region.identity}/.%2{scopes}/oauth", "two hexadecimal digits"),
    ] {
        let (_, key, reason) = refused("https://{account_name}.{region.identity}/oauth", address);
        assert_eq!(key, "token.url");
        assert!(reason.contains(expected), "{address}: {reason}");
    }
    let (_, _, reason) = refused("identity = \"talkdeskid.eu\"", "identity = \"evil.example/\"");
    assert!(reason.contains("is not a host name"), "{reason}");
    let (_, key, reason) = refused_of(GENERIC, "\"{token_url}\"\nclient_auth", "\"{token_url}evil\"\nclient_auth");
    assert_eq!(key, "token.url");
    assert!(reason.contains("must begin with `/` or `?`"), "{reason}");
}

#[test]
fn ids_are_used_once() {
    let (line, key, reason) = refused("id = \"scopes\"", "id = \"region\"");
    assert_eq!((line, key.as_str()), (line_with(TALKDESK, "id = \"scopes\""), "field[5].id"));
    assert!(reason.contains("used twice"), "{reason}");
    let (_, _, reason) = refused("name = \"Account\"", "name = \"Users\"");
    assert!(reason.contains("used twice"), "{reason}");
    let (_, _, reason) = refused("id = \"scopes\"", "id = \"name\"");
    assert!(reason.contains("Keytile's own"), "{reason}");
}

#[test]
fn other_mistakes_are_refused() {
    for (old, new, key, reason) in [
        ("grant = \"client_credentials\"", "grant = \"password\"", "token.grant", "only grant"),
        ("client_auth = \"basic\"", "client_auth = \"digest\"", "token.client_auth", "`basic` or `body`"),
        ("client_auth = \"basic\"", "client_auth = \"{region}\"", "token.client_auth", "option `us`"),
        ("lifetime = \"10m\"", "lifetime = \"10\"", "token.lifetime", "not a time"),
        ("\"{authorization_prefix} {access_token}\"", "\"Basic\"", "api.authorization", "access_token"),
        ("\"{authorization_prefix} {access_token}\"", "\"{scopes} {access_token}\"", "api.authorization", "may be empty"),
        ("account = \"{account_name}{region.tile}\"", "account = \"{client_secret}\"", "account", "must not be shown"),
        ("default = \"us\"", "default = \"uk\"", "field[3].default", "not a value"),
        ("path = \"/account\"\ncompare", "path = \"account\"\ncompare", "probe.path", "Start the path"),
        ("compare = \"authorization_prefix\"", "compare = \"scopes\"", "probe.compare", "not an enum field"),
        ("scope = \"{scopes}\"", "client_secret = \"x\"", "token.params.client_secret", "set by the grant"),
        ("scope = \"{scopes}\"", "scope = \"{scopes\"", "token.params.scope", "without its"),
        ("method = \"POST\"", "method = \"CONNECT\"", "endpoint[3].method", "not a method"),
        ("id = \"client_id\"", "id = \"client\"", "field", "needs a field `client_id`"),
        ("guide = \"talkdesk.md\"", "guide = \"../x.md\"", "guide", "beside this one"),
        ("\nsecret = true", "\n", "field", "must be marked"),
    ] {
        let (line, found, why) = refused(old, new);
        assert_eq!(found, key, "{new}: {why}");
        assert!(why.contains(reason), "{new}: {why}");
        assert!(line >= 1);
    }
}

#[test]
fn a_field_of_format_host_is_the_whole_host() {
    for url in ["https://x-{api_host}/v1", "https://{api_host}.example.com", "https://{api_host}{account_name}/"] {
        let (_, key, reason) = refused("https://{api_host|region.api}", url);
        assert_eq!(key, "api.base_url");
        assert!(reason.contains("must be the whole host"), "{reason}");
    }
}

#[test]
fn a_domain_is_free_where_a_field_chooses_it() {
    let free = |url: &str| {
        let text = TALKDESK.replacen("https://{account_name}.{region.identity}/oauth/token", url, 1);
        read("a.toml", &text).unwrap().connector.token.url.host_is_free()
    };
    for fixed in [
        "https://{account_name}.{region.identity}/t",
        "https://{account_name}.service.example/t",
        "https://id.example/{account_name}",
    ] {
        assert!(!free(fixed), "{fixed}");
    }
    for chosen in
        ["https://{account_name}/t", "https://id.{account_name}/t", "https://{account_name}.com/t", "https://{api_host}/t"]
    {
        assert!(free(chosen), "{chosen}");
    }
}

#[test]
fn the_slash_at_the_end_of_an_address_stays() {
    use crate::domain::{
        connectors::context::Context,
        credentials::values::{FieldValue, FieldValues},
    };
    let connector = read("b.toml", GENERIC).unwrap().connector;
    let mut values = FieldValues::default();
    values.insert(FieldId::new("token_url").unwrap(), FieldValue::Plain("https://id.example/o/token/".into()));
    assert_eq!(
        connector.token.url.render(&Context::new(&connector.fields, &values)).unwrap().as_str(),
        "https://id.example/o/token/"
    );
}

proptest! {
    /// Somebody's own connector file may hold anything: it is read or refused at a line of it.
    #[test]
    fn any_text_is_a_connector_or_is_refused_at_a_line(
        text in prop_oneof!["\\PC{0,200}", "([a-z\\[\\].=\"{}| ]{0,20}\n){0,8}"],
        generic: bool,
        at: prop::sample::Index,
        length in 0_usize..40,
        put in prop_oneof!["\\PC{0,12}", "[\\[\\]{}|=\"#.\\n]{0,6}"],
    ) {
        let whole: Vec<char> = if generic { GENERIC } else { TALKDESK }.chars().collect();
        let at = at.index(whole.len());
        let (before, after) = (&whole[..at], &whole[(at + length).min(whole.len())..]);
        let changed: String = before.iter().copied().chain(put.chars()).chain(after.iter().copied()).collect();
        for text in [text, changed] {
            if let Err(error) = read("any.toml", &text) {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{} of {text:?}", error.line);
                prop_assert!(!error.key.is_empty() && !error.reason.is_empty() && !error.to_string().contains('\n'), "{error}");
            }
        }
    }

    /// Whatever is typed into a form of TalkDesk, the address that is called is one of TalkDesk's.
    #[test]
    fn whatever_is_typed_the_address_is_the_services(
        account in prop_oneof!["\\PC{1,40}", "[a-z0-9.:/@#?%\\\\-]{1,30}"],
        host in prop_oneof!["", "\\PC{1,40}", "[a-z0-9.:/@#?%\\\\-]{1,30}"],
        region in "us|eu|ca|au|xx",
    ) {
        let connector = read("a.toml", TALKDESK).unwrap().connector;
        let mut raw = RawForm { name: "Desk".into(), ..RawForm::default() };
        for (field, value) in
            [("client_id", "id"), ("client_secret", "secret"), ("account_name", &*account), ("region", &*region), ("api_host", &*host)]
        {
            raw.fields.insert(FieldId::new(field).unwrap(), value.into());
        }
        if let Ok(input) = parse(&connector, &raw, None) {
            let url = connector.token_url(&input.values).unwrap();
            let (label, rest) = url.host_str().unwrap().split_once('.').unwrap();
            let regions = &connector.field("region").unwrap().options;
            prop_assert!(!label.is_empty() && regions.iter().any(|region| region.attribute("identity") == Some(rest)), "{url}");
            prop_assert_eq!((url.scheme(), url.path(), url.port(), url.username()), ("https", "/oauth/token", None, ""));
        }
    }
}
