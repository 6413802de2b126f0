//! What is typed into a field or an endpoint stays in its place in the request that is made of it: it adds no header,
//! no parameter and no second request, and leads to no other path or host.

use super::egress::{Trap, connectors, fields_in_addresses, flow, save, use_it};
use crate::support::{
    fault_server::{Reply, Seen},
    server::credential_in,
};

/// What would begin a line, a request, a parameter or another value.
const SMUGGLED: [&str; 18] = [
    "x\r\nInjected: yes",
    "x\nInjected: yes",
    "x\rInjected: yes",
    "x\r\n\r\nGET /injected HTTP/1.1\r\nHost: injected\r\n\r\n",
    "x%0d%0aInjected: yes",
    "x\u{10d}\u{10a}Injected: yes",
    "x\u{560a}\u{560d}Injected: yes",
    "x\u{85}Injected: yes",
    "x\u{2028}Injected: yes",
    "x\tInjected: yes",
    "x\0Injected: yes",
    "x&grant_type=injected&injected=yes",
    "x;injected=yes",
    "x\", \"injected\": \"yes",
    "x?injected=yes#",
    "{access_token}",
    "{client_secret}",
    "é\u{ffff}👩",
];

/// The request is one, to where it should go, and has nothing in it that it should not.
#[track_caller]
fn is_whole(seen: &Seen, what: &str) {
    for (name, value) in seen.headers() {
        assert!(name != "injected" && !value.contains("Host: injected"), "{what}: {seen:?}");
    }
    assert_eq!(seen.headers().iter().filter(|(name, _)| name == "host").count(), 1, "{what}: {seen:?}");
    assert!(seen.header("transfer-encoding").is_none(), "{what}: {seen:?}");
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    assert_eq!(seen.body.len(), length, "{what}: more than one request: {seen:?}");
    assert!(!seen.target.contains(['\r', '\n', ' ', '#']), "{what}: {seen:?}");
    if seen.method == "POST" {
        let parameters: Vec<(String, String)> = form_urlencoded::parse(&seen.body).into_owned().collect();
        let grants: Vec<&str> = parameters.iter().filter(|(name, _)| name == "grant_type").map(|(_, value)| &**value).collect();
        assert_eq!(grants, ["client_credentials"], "{what}: {seen:?}");
        for (name, value) in &parameters {
            assert!(name != "injected" && value != "tok-1", "{what}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn no_field_of_any_connector_adds_to_a_request() {
    let trap = Trap::set(|_| Reply::token(), None).await;
    let mut ana = trap.server.browser();
    let (mut number, mut sent) = (0, 0);
    for connector in connectors() {
        let in_addresses = fields_in_addresses(&connector);
        let others = connector.fields.iter().filter(|field| !in_addresses.iter().any(|(in_address, _)| *in_address == field.id));
        for field in others {
            for value in SMUGGLED {
                number += 1;
                let what = format!("{} of {} is {value:?}", field.id, connector.id);
                let before = trap.service.seen().len();
                let page = save(&mut ana, &connector, &format!("n{number}"), &[(field.id.as_str(), value)]).await;
                assert!([303, 422].contains(&page.status), "{what}: {}", page.status);
                if let Some(location) = page.location {
                    use_it(&mut ana, &connector, &credential_in(&location)).await;
                }
                for seen in &trap.service.seen()[before..] {
                    is_whole(seen, &what);
                    sent += 1;
                }
                assert_eq!(trap.victim.connections(), 0, "{what}");
            }
        }
    }
    assert!(number > 100 && sent > 100, "{number} values, {sent} requests");
    trap.stop().await;
}

#[tokio::test]
async fn no_endpoint_of_any_connector_leaves_the_api() {
    let trap = Trap::set(|_| Reply::token(), Some("127.0.0.1/32")).await;
    let mut ana = trap.server.browser();
    let inside = format!("127.0.0.1:{}", trap.victim.address.port());
    let mut paths: Vec<String> = [
        "//INSIDE/",
        "/\\INSIDE/",
        "\\\\INSIDE\\",
        "https://INSIDE/",
        "@INSIDE/",
        ":@INSIDE/",
        "/..//INSIDE/",
        "/../oauth/token",
        "/%2e%2e/oauth/token",
        "/.%2e/oauth/token",
        "/..%2foauth/token",
        "/%2e%2e%2foauth%2ftoken",
        "/..;/oauth/token",
        "/..\\oauth\\token",
        "/./../oauth/token",
        "/a/../../oauth/token",
        "/\t../oauth/token",
        "/a HTTP/1.1\r\nInjected: yes\r\n\r\n",
        "/a\nInjected: yes",
        "/a?injected=yes",
        "/a#injected",
        ".INSIDE/",
        "",
        "a",
        "*",
        "/%00",
        "/%0d%0aInjected:%20yes",
        "/{client_secret}",
        "/{access_token}",
        "/{token_url}",
    ]
    .map(|path| path.replace("INSIDE", &inside))
    .into();
    paths.extend(SMUGGLED.map(|value| format!("/{value}")));
    let mut called = 0;
    for connector in connectors() {
        let saved = save(&mut ana, &connector, "right", &[]).await;
        let configure = format!("{}/configure?credential={}", flow(&connector), credential_in(&saved.location.unwrap()));
        use_it(&mut ana, &connector, &credential_in(&configure)).await;
        // What a path of this API begins with: what came before that of the call just made.
        let seen = trap.service.seen();
        let call = seen.iter().rev().find(|seen| seen.target.ends_with("/inside")).unwrap();
        let (base, host) = (call.target.trim_end_matches("/inside").to_owned(), call.header("host").unwrap().to_owned());
        for path in &paths {
            for (name, value) in [("", ""), ("a\r\nInjected: yes", "b&injected=yes"), ("a=b&injected", "#\r\n\r\nGET / HTTP/1.1")] {
                let before = trap.service.seen().len();
                let form = ana.get(&configure).await.value("form");
                let typed = [
                    ("form", form.as_str()),
                    ("name", "x"),
                    ("method", "GET"),
                    ("path", path),
                    ("query_name", name),
                    ("query_value", value),
                    ("action", "test"),
                ];
                let page = ana.post(&configure, &typed).await;
                let what = format!("{path:?} with {name:?} of {}", connector.id);
                assert!([200, 422].contains(&page.status), "{what}: {}", page.status);
                for seen in &trap.service.seen()[before..] {
                    is_whole(seen, &what);
                    called += 1;
                    assert_eq!((seen.method.as_str(), seen.header("host")), ("GET", Some(host.as_str())), "{what}");
                    assert!(seen.target.starts_with(&format!("{base}/")), "{what}: {}", seen.target);
                    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
                    // As a server reads it that decodes before it goes up.
                    let decoded =
                        path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
                    assert!(!decoded.split('/').any(|segment| segment == ".."), "{what}: {}", seen.target);
                    let injected = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "injected");
                    assert!(!injected, "{what}: {}", seen.target);
                }
                assert_eq!(trap.victim.connections(), 0, "{what}");
            }
        }
    }
    assert!(called > 20, "{called}");
    trap.stop().await;
}
