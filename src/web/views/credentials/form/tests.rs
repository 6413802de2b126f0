//! Tests of the form's view, with the embedded connectors.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;

use super::*;
use crate::domain::{
    connectors::file,
    credentials::verification::{Blame, Diagnosis, FaultCode, Stage, StageOutcome, StageReport},
    resources::ResourceKind,
};

#[derive(Template)]
#[template(path = "overlay/form.html")]
struct Fragment<'a> {
    form: FormView<'a>,
}

const TOKEN: &str = "the token of the session";
const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);

const ACCOUNTS: &str = r#"
id = "example"
name = "Example <Service>"
summary = "For tests"
used_for = ["source"]
section = "Sign-in"
guide = "example.md"
account = "{account}"
[[field]]
id = "client_id"
label = "Client ID"
[[field]]
id = "client_secret"
label = "Client Secret"
secret = true
[[field]]
id = "account"
label = "Account"
format = "dns-label"
prefix = "https://"
suffix = ".{region.domain}"
[[field]]
id = "region"
label = "Region"
advanced = true
default = "us"
[field.options.us]
label = "United States"
domain = "id.example"
[field.options.eu]
label = "Europe"
domain = "id.example.eu"
[[field]]
id = "api_host"
label = "API host"
format = "host"
advanced = true
optional = true
[token]
grant = "client_credentials"
url = "https://{account}.{region.domain}/oauth/token"
lifetime = "10m"
[api]
base_url = "https://{api_host|region.domain}"
authorization = "Bearer {access_token}"
"#;

fn flow(text: &str) -> Flow {
    Flow { kind: ResourceKind::Source, connector: Arc::new(file::read("example.toml", text).unwrap().connector) }
}

fn state(values: &[(&str, &str)]) -> FormState {
    FormState {
        draft: Uuid::nil(),
        name: "Support".into(),
        description: String::new(),
        values: values.iter().map(|(id, value)| (FieldId::new(id).unwrap(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
        kept_secrets: [].into(),
        stored_secrets: [].into(),
        restored_from: None,
    }
}

fn html(flow: &Flow, state: &FormState, problem: Problem<'_>) -> String {
    Fragment { form: FormView::new(flow, state, problem, TOKEN, None, NOW) }.render().unwrap()
}

#[test]
fn prefix_suffix_and_token_url_show_the_values() {
    let flow = flow(ACCOUNTS);
    let empty = html(&flow, &state(&[]), Problem::None);
    assert!(empty.contains(">https://….id.example/oauth/token<"), "{empty}");
    let typed = html(&flow, &state(&[("account", "acme"), ("region", "eu")]), Problem::None);
    assert!(typed.contains(">https://acme.id.example.eu/oauth/token<"), "{typed}");
    assert!(typed.contains(">.id.example.eu<"), "{typed}");
    assert!(typed.contains("data-template=\"https://{account}.{region.domain}/oauth/token\""), "{typed}");
}

#[test]
fn a_secret_is_never_in_the_page_even_if_the_state_held_one() {
    let mut state = state(&[("client_secret", "canary-7f3a")]);
    state.kept_secrets.insert(FieldId::new("client_secret").unwrap());
    let html = html(&flow(ACCOUNTS), &state, Problem::None);
    assert!(!html.contains("canary-7f3a"), "{html}");
    assert!(html.contains("Kept from your last try"), "{html}");
}

#[test]
fn an_error_is_beside_its_field_and_in_the_summary() {
    let errors = [FieldError::new("account", "No <b> here."), FieldError::new("name", "Taken.")];
    let html = html(&flow(ACCOUNTS), &state(&[("account", "<b>")]), Problem::Invalid(&errors));
    for part in [
        "role=\"alert\"",
        "href=\"#f-account\">Account</a>: No &#60;b&#62; here.",
        "href=\"#f-name\">Credential Name</a>: Taken.",
        "id=\"f-account-error\"",
        "aria-describedby=\"f-account-error",
        "value=\"&#60;b&#62;\"",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert_eq!(html.matches("aria-invalid=\"true\"").count(), 2);
}

#[test]
fn advanced_fields_are_folded_until_they_matter() {
    let flow = flow(ACCOUNTS);
    let open = |state: &FormState, problem: Problem<'_>| FormView::new(&flow, state, problem, TOKEN, None, NOW).advanced_open;
    assert!(!open(&state(&[]), Problem::None));
    assert!(!open(&state(&[("region", "us")]), Problem::None));
    assert!(open(&state(&[("region", "eu")]), Problem::None));
    assert!(open(&state(&[]), Problem::Invalid(&[FieldError::new("api_host", "Wrong.")])));
    assert_eq!(FormView::new(&flow, &state(&[]), Problem::None, TOKEN, None, NOW).advanced_labels, "region, API host");
}

#[test]
fn a_rejection_marks_the_fields_and_offers_to_try_again_only_where_it_helps() {
    let flow = flow(ACCOUNTS);
    let state = state(&[]);
    let mut verification = Verification {
        stages: vec![StageReport { stage: Stage::Address, outcome: StageOutcome::Failed, micros: 5 }],
        failure: Some(Diagnosis {
            stage: Stage::Address,
            code: FaultCode::NoSuchHost,
            blame: Blame::Input,
            summary: "There is no such account.".into(),
            remedy: "Check it.".into(),
            fields: vec![FieldId::new("account").unwrap()],
            service: None,
            retry_after: None,
        }),
        notice: None,
    };
    let page = html(&flow, &state, Problem::Rejected(&verification));
    assert!(page.contains("There is no such account.") && page.contains("Nothing was saved; what you typed is kept."), "{page}");
    assert!(page.contains("stage-failed") && page.contains("id=\"f-account-error\""), "{page}");
    assert_eq!(FormView::new(&flow, &state, Problem::Rejected(&verification), TOKEN, None, NOW).save_label(), "Save");
    verification.failure.as_mut().unwrap().blame = Blame::Service;
    assert_eq!(FormView::new(&flow, &state, Problem::Rejected(&verification), TOKEN, None, NOW).save_label(), "Try again");
}

#[test]
fn an_address_that_is_one_field_is_not_repeated_under_it() {
    let generic = flow(include_str!("../../../../../connectors/oauth2-client-credentials.toml"));
    assert!(!html(&generic, &state(&[]), Problem::None).contains("token-url"));
}

#[test]
fn narrow_fields_stand_in_pairs() {
    let flow = flow(ACCOUNTS);
    let state = state(&[]);
    let view = FormView::new(&flow, &state, Problem::None, TOKEN, None, NOW);
    let wide: Vec<_> = view.fields.iter().chain(&view.advanced).map(|field| (field.id, field.wide)).collect();
    assert_eq!(wide, [("client_id", false), ("client_secret", false), ("account", true), ("region", false), ("api_host", false)]);
}

#[test]
fn the_script_is_told_every_domain_of_which_an_address_may_be_pasted() {
    let text =
        ACCOUNTS.replace("suffix = \".{region.domain}\"", "suffix = \".{region.domain}\"\naccept_hosts = [\"{region.portal}\"]");
    let text = text.replace("domain = \"id.example.eu\"", "domain = \"id.example.eu\"\nportal = \"portal.example\"");
    let flow = flow(&text);
    let state = state(&[]);
    let view = FormView::new(&flow, &state, Problem::None, TOKEN, None, NOW);
    let hosts: Vec<_> = view.fields.iter().map(|field| (field.id, field.hosts.as_str())).collect();
    let all = r#"[".{region.domain}","{region.portal}"]"#;
    assert_eq!(hosts, [("client_id", ""), ("client_secret", ""), ("account", all)]);
    let page = html(&flow, &state, Problem::None);
    assert!(page.contains("data-hosts=\"[&#34;.{region.domain}&#34;,&#34;{region.portal}&#34;]\""), "{page}");
    // The option has the attribute that the template uses.
    assert!(page.contains("&#34;portal&#34;:&#34;portal.example&#34;"), "{page}");
}

#[test]
fn no_browser_cuts_what_is_pasted() {
    let page = html(&flow(ACCOUNTS), &state(&[]), Problem::None);
    assert!(page.contains("name=\"name\"") && !page.contains("maxlength"), "{page}");
}
