//! Requests that Keytile is to be made to send inside: through every field of every connector that stands in an
//! address, through DNS that lies, and through services that send on. The connectors are those of the catalogue, so
//! that a new one is attacked without anybody thinking of it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use keytile::{
    domain::{
        connectors::{Connector, FieldId, format::FieldFormat, template::Reference, url_template::UrlTemplate},
        credentials::values::{FieldValue, FieldValues},
    },
    service::connectors::catalogue::Catalogue,
    upstream::Nameserver,
};
use url::Url;

use crate::support::{
    dns_server::{DnsServer, Says},
    fault_server::{FaultServer, Reply},
    https::pem,
    server::{Browser, Page, Server, Setup, credential_in},
    tls::Authority,
};

pub(super) fn connectors() -> Vec<Arc<Connector>> {
    let all = Catalogue::load(None).unwrap().all().to_vec();
    assert!(all.len() >= 2);
    all
}

/// A value for each field with which the connector makes addresses of public hosts.
fn good(connector: &Connector) -> Vec<(String, String)> {
    let value = |format: FieldFormat| match format {
        FieldFormat::DnsLabel | FieldFormat::Text | FieldFormat::Enum => "good",
        FieldFormat::Host => "api.good.test",
        FieldFormat::HttpsUrl => "https://id.good.test/token",
        FieldFormat::Uuid => "0189f7ea-ae2f-7809-8aeb-b819cf5e9e7f",
        FieldFormat::Digits => "1",
    };
    let fields = connector.fields.iter();
    fields.map(|field| (field.id.to_string(), field.default.clone().unwrap_or_else(|| value(field.format).to_owned()))).collect()
}

fn address(connector: &Connector, url: &UrlTemplate) -> Url {
    let mut values = FieldValues::default();
    for (field, value) in good(connector) {
        values.insert(FieldId::new(&field).unwrap(), FieldValue::Plain(value));
    }
    url.render(&keytile::domain::connectors::context::Context::new(&connector.fields, &values)).unwrap()
}

/// The fields that stand in an address of the connector, and whether in that of its API.
pub(super) fn fields_in_addresses(connector: &Connector) -> Vec<(FieldId, bool)> {
    let mut found = Vec::new();
    for (url, api) in [(&connector.token.url, false), (&connector.api.base_url, true)] {
        for reference in url.references() {
            let mut fields = match reference {
                Reference::Field(field) | Reference::Attribute(field, _) => vec![field.clone()],
                other => other.field().cloned().into_iter().collect(),
            };
            fields.retain(|field| !found.contains(&(field.clone(), api)));
            found.extend(fields.into_iter().map(|field| (field, api)));
        }
    }
    found
}

/// What would lead inside, to this port where it names one.
fn inside(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "localhost",
        "LOCALHOST.",
        "169.254.169.254",
        "metadata.google.internal",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "::1",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.nip.io",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127．0．0．1",
        "loc\u{ad}alhost",
        "ｌｏｃａｌｈｏｓｔ",
        "%31%32%37%2e0%2e0%2e1",
    ];
    let mut values: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    values.extend(hosts.iter().map(|host| format!("{host}:{port}")));
    values.extend(hosts.iter().map(|host| format!("https://{host}:{port}/")));
    let at = format!("127.0.0.1:{port}");
    values.extend([
        format!("x@{at}"),
        format!("x:y@{at}/"),
        format!("{at}/"),
        format!("{at}#"),
        format!("{at}?"),
        format!("{at}\\"),
        format!("{at}\\@good.test"),
        format!("{at}%2f"),
        format!("{at}%23"),
        format!("{at}%00"),
        format!("{at}\r\nHost: good.test"),
        format!("{at}%0d%0aHost:%20good.test"),
        format!("//{at}/"),
        format!("\\\\{at}\\"),
        format!("../../{at}"),
        format!("https://good.test@{at}/token"),
        format!("https://good.test\\@{at}/token"),
        format!("https://{at}#.good.test/token"),
        format!("https://{at}/?.good.test"),
        format!("https:/{at}/"),
        format!("https:{at}/"),
        format!("https:///{at}/"),
        format!("https:\t//{at}/"),
        format!("http://{at}/"),
        format!("ftp://{at}/"),
        format!("gopher://{at}/_x"),
        "file:///etc/passwd".to_owned(),
        "a.evil.com/".to_owned(),
        "evil.com#".to_owned(),
        "evil.com\\@".to_owned(),
        "a.evil.com%2f".to_owned(),
        "%2e".to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        "a\u{2024}evil\u{3002}com".to_owned(),
        "evil.com\0".to_owned(),
        "evil.com%00".to_owned(),
        "{region.api}".to_owned(),
        "{token_url}".to_owned(),
        "xn--evil-".to_owned(),
    ]);
    values
}

/// A Keytile whose connectors reach a service that takes every credential, under the names that good values lead
/// to. Every other name leads inside, and what is asked for is kept.
pub(super) struct Trap {
    pub(super) setup: Setup,
    pub(super) server: Server,
    /// The service, as `reply` lets it answer.
    pub(super) service: FaultServer,
    /// A connection here means that Keytile was led inside.
    pub(super) victim: FaultServer,
    _dns: DnsServer,
    names: Arc<Mutex<Vec<String>>>,
}

impl Trap {
    pub(super) async fn set(reply: impl Fn(u16) -> Reply + Send + Sync + 'static, allow: Option<&str>) -> Self {
        let authority = Authority::new();
        let victim = FaultServer::start(authority.server(&["127.0.0.1", "localhost"]), |_| Reply::token()).await;
        let port = victim.address.port();
        let mut hosts = Vec::new();
        for connector in connectors() {
            for url in [&connector.token.url, &connector.api.base_url] {
                hosts.push(address(&connector, url).host_str().unwrap().to_owned());
            }
        }
        let certificate: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let service = FaultServer::start(authority.server(&certificate), move |_| reply(port)).await;
        let names: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = Arc::clone(&names);
        let dns = DnsServer::start(move |name, ipv6| {
            keep.lock().unwrap().push(name.to_ascii_lowercase());
            Says::address(if ipv6 { "::1" } else { "127.0.0.1" })
        })
        .await;
        let mut setup = Setup::new();
        let file = setup.folder.path().join("authority.pem");
        std::fs::write(&file, pem(&authority.certificate())).unwrap();
        setup = setup.with(format!("--extra-ca={}", file.display()));
        for host in &hosts {
            setup = setup.with(format!("--egress-pin={host}={}", service.address));
        }
        if let Some(net) = allow {
            setup = setup.with(format!("--allow-private-egress={net}"));
        }
        setup.overrides.nameserver = Nameserver::At(dns.address);
        let server = setup.start().await;
        Self { setup, server, service, victim, _dns: dns, names }
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
        drop(self.setup);
    }
}

/// The kind of resource that a connector is tried as.
pub(super) fn flow(connector: &Connector) -> String {
    format!("/{}/new/{}", connector.used_for[0].plural(), connector.id)
}

/// Sends the overlay's form, with other values for some fields.
pub(super) async fn save(browser: &mut Browser, connector: &Connector, name: &str, values: &[(&str, &str)]) -> Page {
    let overlay = format!("{}/credentials/new", flow(connector));
    let draft = browser.get(&overlay).await.value("draft");
    let mut form = vec![("draft".to_owned(), draft), ("name".to_owned(), name.to_owned())];
    form.extend(good(connector).into_iter().map(|(field, value)| {
        let other = values.iter().find(|(other, _)| *other == field);
        (field, other.map_or(value, |(_, value)| (*value).to_owned()))
    }));
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(&overlay, &form).await
}

/// Makes the request of a resource that is to be created, and tests the credential.
pub(super) async fn use_it(browser: &mut Browser, connector: &Connector, credential: &str) -> Page {
    let configure = format!("{}/configure?credential={credential}", flow(connector));
    let form = browser.get(&configure).await.value("form");
    let typed = [("form", form.as_str()), ("name", "x"), ("method", "GET"), ("path", "/inside"), ("action", "test")];
    let shown = browser.post(&configure, &typed).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert_eq!(browser.post(&format!("/credentials/{credential}/test"), &[]).await.status, 303);
    shown
}

#[tokio::test]
async fn no_field_of_any_connector_leads_inside() {
    let trap = Trap::set(|_| Reply::token(), None).await;
    let mut ana = trap.server.browser();
    let (mut tried, mut saved) = (0, 0);
    for connector in connectors() {
        let right = save(&mut ana, &connector, "right", &[]).await;
        assert_eq!(right.status, 303, "{}: the values that are changed are good ones: {}", connector.id, right.text);
        let fields = fields_in_addresses(&connector);
        assert!(!fields.is_empty(), "{}", connector.id);
        for (field, api) in fields {
            for value in inside(trap.victim.address.port()) {
                tried += 1;
                let what = format!("{} of {} is {value:?}", field, connector.id);
                let page = save(&mut ana, &connector, &format!("n{tried}"), &[(field.as_str(), &value)]).await;
                match (page.status, page.location) {
                    (422, _) => {}
                    // What names the API is not asked for a token; it is refused as soon as it is called.
                    (303, Some(location)) if api => {
                        saved += 1;
                        let credential = credential_in(&location);
                        use_it(&mut ana, &connector, &credential).await;
                    }
                    (status, location) => panic!("{what}: {status} {location:?}"),
                }
                assert_eq!(trap.victim.connections(), 0, "{what}");
            }
        }
        // Where the connector chooses the domain, nothing else was even looked up.
        let bound: Vec<Url> = [&connector.token.url, &connector.api.base_url]
            .into_iter()
            .filter(|url| !url.host_is_free())
            .map(|url| address(&connector, url))
            .collect();
        let names = std::mem::take(&mut *trap.names.lock().unwrap());
        if bound.len() == 2 {
            for name in names {
                let below = bound.iter().any(|url| name.ends_with(url.host_str().unwrap().split_once('.').unwrap().1));
                assert!(below, "{} was looked up for {}", name, connector.id);
            }
        }
    }
    assert!(tried > 300 && saved > 0, "{tried} {saved}");
    trap.stop().await;
}

#[tokio::test]
async fn what_leads_inside_would_be_seen() {
    // The same trap with the guard opened: the connection arrives, so that none above means something.
    let trap = Trap::set(|_| Reply::token(), Some("127.0.0.1/32")).await;
    let mut ana = trap.server.browser();
    let mut arrived = 0;
    for connector in connectors().into_iter().filter(|connector| connector.token.url.host_is_free()) {
        for (field, _) in fields_in_addresses(&connector).into_iter().filter(|(_, api)| !api) {
            let value = format!("https://127.0.0.1:{}/token", trap.victim.address.port());
            save(&mut ana, &connector, &format!("to {field}"), &[(field.as_str(), &value)]).await;
            arrived += trap.victim.connections();
        }
    }
    assert!(arrived > 0);
    trap.stop().await;
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection_of_every_connector() {
    let allowed = "127.9.9.9";
    for connector in connectors() {
        let answers = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answers);
        let dns = DnsServer::start(move |_, ipv6| {
            if ipv6 {
                return Says::Addresses(Vec::new());
            }
            // Allowed, where nothing listens; then this machine.
            Says::address(if count.fetch_add(1, Ordering::SeqCst) == 0 { allowed } else { "127.0.0.1" })
        })
        .await;
        let mut setup = Setup::new().with(format!("--allow-private-egress={allowed}/32"));
        setup.overrides.nameserver = Nameserver::At(dns.address);
        let server = setup.start().await;
        let mut ana = server.browser();
        // The first response passes the guard, and the connection to it fails; no second lookup happens in between.
        let first = save(&mut ana, &connector, "first", &[]).await;
        assert_eq!((first.status, answers.load(Ordering::SeqCst)), (422, 1), "{}: {}", connector.id, first.text);
        first.does_not_say("loopback address");
        let second = save(&mut ana, &connector, "second", &[]).await;
        assert_eq!((second.status, answers.load(Ordering::SeqCst)), (422, 2), "{}", connector.id);
        second.says("loopback address");
        assert!(setup.texts("SELECT name FROM credentials").await.is_empty());
        server.stop().await;
    }
}

#[tokio::test]
async fn no_service_of_any_connector_sends_keytile_on() {
    let sends_on = Arc::new(AtomicUsize::new(0));
    let way = Arc::clone(&sends_on);
    let reply = move |port: u16| {
        let to =
            ["https://127.0.0.1:PORT/", "https://localhost:PORT/", "http://169.254.169.254/latest/meta-data/", "//127.0.0.1:PORT/"];
        match way.load(Ordering::SeqCst) {
            0 => Reply::token(),
            number => {
                let status = [301, 302, 303, 307, 308, 300, 201, 200][number % 8];
                let to = to[number % 4].replace("PORT", &port.to_string());
                let headers = vec![
                    ("Location", to.clone()),
                    ("Content-Location", to.clone()),
                    ("Refresh", format!("0; url={to}")),
                    ("Link", format!("<{to}>; rel=preconnect")),
                    ("Alt-Svc", format!("h2=\"127.0.0.1:{port}\"; ma=86400")),
                    ("Content-Type", "text/html".to_owned()),
                ];
                Reply::Whole(status, headers, format!("<meta http-equiv=refresh content=\"0; url={to}\">"))
            }
        }
    };
    // The guard is open, so that only not following keeps the connection from arriving.
    let trap = Trap::set(reply, Some("127.0.0.1/32")).await;
    let mut ana = trap.server.browser();
    for connector in connectors() {
        sends_on.store(0, Ordering::SeqCst);
        let saved = save(&mut ana, &connector, "right", &[]).await;
        let credential = credential_in(&saved.location.unwrap());
        for number in 1..=8 {
            sends_on.store(number, Ordering::SeqCst);
            let before = trap.service.seen().len();
            let refused = save(&mut ana, &connector, "sent on", &[]).await;
            assert_eq!(refused.status, 422, "{} {number}", connector.id);
            assert_eq!(trap.service.seen().len(), before + 1, "{} {number}", connector.id);
            use_it(&mut ana, &connector, &credential).await;
            assert!(trap.service.seen().len() > before + 1, "{} {number}", connector.id);
            assert_eq!(trap.victim.connections(), 0, "{} {number}", connector.id);
        }
    }
    trap.stop().await;
}
