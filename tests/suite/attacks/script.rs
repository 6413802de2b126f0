//! Script in every text field and every parameter of an address: it comes back as text, or not at all.

use super::{form_paths, routes};
use crate::{
    support::server::{ADMINISTRATOR, Browser, OVERLAY, PASSWORD, Page, Setup, good_values, replaced},
    web::unrecorded::{Form, forms},
};

/// Ends an attribute, an element and a comment, and does something.
pub(super) const PAYLOADS: [&str; 4] = [
    "\"'><img src=q onerror=pwned()>",
    "</textarea></title><script>pwned()</script>",
    "--><svg/onload=pwned()>",
    "{{7*7}}<b>pwned()",
];
/// What a browser would take for markup of these.
const MARKUP: [&str; 6] = ["<img src=q", "<script>pwned", "<svg/onload", "<b>pwned", "\"'><", "</textarea></title>"];

/// Nothing in the page is markup of a payload.
#[track_caller]
pub(super) fn harmless(page: &Page, place: &str) {
    for markup in MARKUP {
        assert!(!page.text.contains(markup), "{place}: {markup} stands in the page:\n{}", page.text);
    }
    for attribute in ["href", "src", "action", "formaction"] {
        assert!(!page.text.contains(&format!("{attribute}=\"javascript:")), "{place}: a link that runs script:\n{}", page.text);
    }
}

/// Every name of a parameter or field that `web` reads, in any page.
fn names() -> Vec<&'static str> {
    vec![
        "q",
        "after",
        "before",
        "done",
        "credential",
        "then",
        "next",
        "name",
        "description",
        "email",
        "password",
        "code",
        "token",
        "person",
        "target",
        "action",
        "from",
        "until",
        "owner",
        "role",
        "version",
        "with",
        "access",
        "sharing",
        "share",
        "to",
        "member",
        "draft",
        "form",
        "shown_for",
        "endpoint",
        "method",
        "path",
        "query_name",
        "query_value",
        "body",
        "may_write",
        "reach",
        "scope",
        "resource",
        "expires",
        "expires_on",
        "offer",
        "what",
        "old_password",
        "new_password",
        "client_id",
        "client_secret",
        "account_name",
        "region",
        "scopes",
        "api_host",
        "authorization_prefix",
        "error",
        "error_description",
        "state",
        "verified",
    ]
}

#[tokio::test]
async fn what_an_address_brings_is_shown_as_text() {
    let server = Setup::sandbox().start().await;
    for mut browser in [server.browser(), server.visitor()] {
        for route in routes().into_iter().filter(|route| route.takes_get) {
            for payload in PAYLOADS.into_iter().chain(["javascript:pwned()"]) {
                let mut query = form_urlencoded::Serializer::new(String::new());
                names().iter().for_each(|name| {
                    query.append_pair(name, payload);
                });
                let path = format!("{}?{}", route.path, query.finish());
                let page = browser.get(&path).await;
                assert!(page.status < 500, "{path}: {}", page.status);
                harmless(&page, &path);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_form_brings_is_shown_as_text() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    // Ids that pages make, so that forms with errors are shown again rather than refused as a whole.
    let ids = ["draft", "form", "member", "share"];
    for path in form_paths().into_iter().filter(|path| path != "/sign-out") {
        for payload in PAYLOADS {
            let value = |name: &str| {
                if ids.contains(&name) {
                    super::NOTHING
                } else if name == "version" {
                    "1"
                } else {
                    payload
                }
            };
            for action in ["add", "create", "test", "resources", "add-parameter", payload] {
                let form: Vec<_> =
                    names().into_iter().map(|name| (name, if name == "action" { action } else { value(name) })).collect();
                let page = ana.post(&path, &form).await;
                assert!(page.status < 500, "{path}: {}", page.status);
                harmless(&page, &path);
            }
        }
    }
    server.stop().await;
}

/// Adds a group, a person who is in it, a credential that is shared with both, and a source, all called by the payload.
async fn plant(browser: &mut Browser, payload: &str, number: usize) -> Vec<String> {
    let group = browser.post("/settings/groups", &[("name", payload)]).await;
    assert_eq!(group.status, 303, "{}", group.text);
    let email = format!("p{number}@example.com");
    let added = browser.post("/settings/people", &[("email", &email), ("name", payload), ("role", "editor")]).await;
    assert_eq!(added.status, 200, "{}", added.text);
    harmless(&added, "the page with the link");
    let draft = browser.get(OVERLAY).await.value("draft");
    let form = replaced(good_values(payload, &draft), &[("description", payload), ("scopes", "")]);
    let saved = browser.post(OVERLAY, &form).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let credential = crate::support::server::credential_in(&saved.location.unwrap());
    let configure = format!("/sources/new/talkdesk/configure?credential={credential}");
    let id = browser.get(&configure).await.value("form");
    let typed = [
        ("form", id.as_str()),
        ("name", payload),
        ("description", payload),
        ("method", "GET"),
        ("path", "/account"),
        ("query_name", payload),
        ("query_value", payload),
        ("action", "create"),
    ];
    let created = browser.post(&configure, &typed).await;
    assert_eq!(created.status, 303, "{}", created.text);
    let source = created.location.unwrap().split('?').next().unwrap().to_owned();
    let group = group.location.unwrap().split('?').next().unwrap().to_owned();
    let joined = browser.post(&format!("{group}/members"), &[("email", &email)]).await;
    assert_eq!(joined.status, 303, "{}", joined.text);
    let sharing = format!("/credentials/{credential}/sharing");
    for with in [&email, payload] {
        let shared = browser.post(&sharing, &[("action", "add"), ("with", with), ("access", "use")]).await;
        assert_eq!(shared.status, 303, "{}", shared.text);
    }
    vec![
        group.clone(),
        format!("{group}/delete"),
        source.clone(),
        format!("{source}/delete"),
        sharing,
        configure,
        format!("/credentials/{credential}"),
        format!("/credentials/{credential}/delete"),
        format!("/sources/new/talkdesk/authenticate?credential={credential}"),
    ]
}

#[tokio::test]
async fn what_is_stored_is_shown_as_text_on_every_page() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    assert_eq!(ana.post("/settings/name", &[("name", PAYLOADS[0])]).await.status, 303);
    let mut pages: Vec<String> = routes().into_iter().filter(|route| route.takes_get).map(|route| route.path).collect();
    for (number, payload) in PAYLOADS.into_iter().enumerate() {
        pages.extend(plant(&mut ana, payload, number).await);
    }
    let mut shown = 0;
    for path in pages {
        let page = ana.get(&path).await;
        assert!(page.status < 500, "{path}: {}", page.status);
        harmless(&page, &path);
        shown += usize::from(page.text.contains("pwned()"));
    }
    assert!(shown > 30, "only {shown} pages show what was planted");
    server.stop().await;
}

/// The forms of what there is, with at least a field that somebody types into.
pub(super) async fn typed_forms(ana: &mut Browser) -> Vec<Form> {
    let mut all = forms(ana).await;
    let sharing = all.iter().find(|form| form.route == "/credentials/{id}/sharing").unwrap().address.clone();
    let add = [("action", "add"), ("with", "ben@example.com"), ("access", "use")];
    let fields = add.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    all.push(Form { route: "/credentials/{id}/sharing", address: sharing, fields });
    all.retain(|form| !form.fields.is_empty());
    assert!(all.len() >= 15, "{}", all.len());
    all
}

#[tokio::test]
async fn forms_of_what_there_is_are_shown_again_with_text() {
    let server = Setup::sandbox().start().await;
    let mut ana = server.browser();
    let (mut again, mut shown, mut routes) = (0, 0, std::collections::BTreeSet::new());
    for form in typed_forms(&mut ana).await {
        for (changed, _) in &form.fields {
            for payload in PAYLOADS.into_iter().chain(["javascript:pwned()"]) {
                // Everything else is right, so that the form goes as far as it can.
                let fields = form.fields.iter().map(|(name, value)| (name.as_str(), if name == changed { payload } else { value }));
                let mut fields: Vec<(&str, &str)> = fields.collect();
                // And a wrong value besides, so that it is shown again rather than done.
                if form.route == "/settings/people/{id}" {
                    fields = replaced(fields, &[("role", "x")]);
                }
                let page = ana.post(&form.address, &fields).await;
                let what = format!("{changed} of {}", form.route);
                assert!(page.status < 500, "{what}: {}", page.status);
                harmless(&page, &what);
                again += usize::from(page.status == 422);
                if page.text.contains("pwned()") {
                    shown += 1;
                    routes.insert(form.route);
                }
            }
        }
    }
    assert!(again > 80 && shown > 60, "{again} forms were shown again, {shown} with what was typed");
    for route in [
        "/settings/people/{id}",
        "/settings/people/{id}/hand-over",
        "/settings/groups/{id}",
        "/settings/groups/{id}/members",
        "/settings/keys/new",
        "/credentials/{id}/sharing",
        "/{kind}/new/{connector}/credentials/new",
        "/{kind}/new/{connector}/configure",
    ] {
        assert!(routes.contains(route), "what was typed is not shown again by {route}: {routes:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_browser_says_of_itself_is_text() {
    let server = Setup::sandbox().with("--trusted-proxy=127.0.0.1").start().await;
    let mut ana = server.browser();
    for payload in PAYLOADS.into_iter().chain(["Firefox/<script>pwned()</script>"]) {
        let mut elsewhere = server.visitor();
        elsewhere.get("/sign-in").await;
        for password in ["wrong", PASSWORD] {
            let mut sign_in = elsewhere.form("/sign-in", &[("email", ADMINISTRATOR), ("password", password)]);
            for name in ["User-Agent", "X-Forwarded-For", "X-Request-Id", "Referer", "Accept-Language"] {
                sign_in = sign_in.header(name, payload);
            }
            let page = elsewhere.send(sign_in).await;
            harmless(&page, "the sign-in");
        }
        assert_eq!(elsewhere.get("/").await.status, 200);
    }
    let mut shown = 0;
    for path in ["/settings/sessions", "/settings", "/settings/people", "/audit"] {
        let page = ana.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        harmless(&page, path);
        shown += page.text.matches("pwned()").count();
    }
    assert!(shown >= PAYLOADS.len(), "only {shown} claims are shown");
    server.stop().await;
}
