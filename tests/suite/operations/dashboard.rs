//! The dashboard and the page about figures say what a real scrape says: the same metrics, types and labels.

use std::collections::{BTreeMap, BTreeSet};

use axum::{body::Body, http::Response};
use serde_json::Value;

use super::scrape::Scrape;
use crate::{proxy::Scene, support::server::Setup};

const DASHBOARD: &str = include_str!("../../../docs/grafana/keytile.json");
const PAGE: &str = include_str!("../../../docs/operations.md");

/// Labels that Prometheus adds to every series.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// A Keytile that has done something of everything that has no figure before it is done.
async fn scrape() -> Scrape {
    let scene = Scene::set_with(with_everything(), async |_| Response::new(Body::empty())).await;
    scene.get("/users").send().await.unwrap().text().await.unwrap();
    scene.get("/elsewhere/../..").header("upgrade", "x").send().await.unwrap();
    Scrape::of(scene.server.metrics.unwrap()).await
}

fn with_everything() -> Setup {
    Setup::new().with("--metrics-listen=127.0.0.1:0")
}

/// The labels of each metric, by the name of its series.
fn labels(scrape: &Scrape) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for series in scrape.series.keys() {
        all.entry(series.split('{').next().unwrap()).or_default().extend(Scrape::labels(series));
    }
    all
}

/// What is wrong with an expression: names of metrics and labels that there are not.
fn wrong_with(expression: &str, known: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut metrics = Vec::new();
    for (at, word) in words(expression) {
        if word.starts_with("keytile_") || word.starts_with("process_") {
            match known.get(word) {
                None => wrong.push(format!("there is no {word}")),
                Some(labels) => metrics.push(labels),
            }
            // The selector that stands behind it.
            let rest = &expression[at + word.len()..];
            let selector = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            for label in
                words(selector).filter(|(at, word)| selector[at + word.len()..].starts_with(['=', '!'])).map(|(_, word)| word)
            {
                let has = known.get(word).is_some_and(|labels| labels.contains(label));
                if !has && !OF_PROMETHEUS.contains(&label) {
                    wrong.push(format!("{word} has no label {label}"));
                }
            }
        }
    }
    if metrics.is_empty() {
        wrong.push("it asks for no metric".into());
    }
    for by in unquoted(expression).split("by (").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        for label in by.split(',').map(str::trim) {
            if label != "le" && !OF_PROMETHEUS.contains(&label) && !metrics.iter().all(|labels| labels.contains(label)) {
                wrong.push(format!("it is summed by {label}, which not all of its metrics have"));
            }
        }
    }
    wrong
}

/// An expression with quotation marks in place of what is quoted.
fn unquoted(text: &str) -> String {
    assert!(text.is_ascii(), "{text}");
    let mut quoted = false;
    let hide = |c: char| {
        quoted ^= c == '"';
        if quoted { '"' } else { c }
    };
    text.chars().map(hide).collect()
}

/// The words outside of quotes, and where each begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let unquoted = unquoted(text);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = unquoted[rest..].find(is_word).map(|at| at + rest) {
        let end = unquoted[start..].find(|c| !is_word(c)).map_or(unquoted.len(), |length| start + length);
        found.push((start, end));
        rest = end;
    }
    found.into_iter().map(|(start, end)| (start, &text[start..end]))
}

#[test]
fn an_expression_that_asks_for_what_there_is_not_is_seen() {
    let known = BTreeMap::from([("keytile_a_total", BTreeSet::from(["x"])), ("keytile_b", BTreeSet::new())]);
    let wrong = |expression: &str| wrong_with(expression, &known).len();
    assert_eq!(wrong("sum by (x, instance) (rate(keytile_a_total{x=\"by (nothing)\", job=~\"$job\"}[5m]))"), 0);
    assert_eq!(wrong("keytile_b{instance!=\"keytile_c\"} > 0"), 0);
    assert_eq!(wrong("keytile_a"), 2);
    assert_eq!(wrong("keytile_a_total{y=\"1\"}"), 1);
    assert_eq!(wrong("sum by (y) (keytile_a_total)"), 1);
    assert_eq!(wrong("sum by (x) (keytile_a_total / keytile_b)"), 1);
    assert_eq!(wrong("up"), 1);
}

#[tokio::test]
async fn the_dashboard_asks_for_what_there_is() {
    let scrape = scrape().await;
    let known = labels(&scrape);
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut ids, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has the id of another panel");
        if panel["type"] == "row" {
            continue;
        }
        for text in [&panel["title"], &panel["description"], &panel["fieldConfig"]["defaults"]["unit"]] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{title} says too little of itself");
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(wrong_with(expression, &known), Vec::<String>::new(), "{title}: {expression}");
            assert!(
                expression.contains("job=~\"$job\"") && expression.contains("instance=~\"$instance\""),
                "{title}: {expression}"
            );
            asked.extend(words(expression).map(|(_, word)| word.to_owned()).filter(|word| known.contains_key(word.as_str())));
            for label in target["legendFormat"].as_str().unwrap().split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                let kept = words(expression).any(|(_, word)| word == label) || OF_PROMETHEUS.contains(&label);
                assert!(kept, "{title}: the legend names {label}, which {expression} does not keep");
            }
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap().iter().filter(|variable| variable["type"] == "query") {
        let query = variable["definition"].as_str().unwrap();
        assert!(query.contains("keytile_build_info"), "{query}");
    }
    // What is counted is also shown, but for what stands beside other figures.
    let shown = |name: &str| {
        let family = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        asked.iter().any(|asked| asked.trim_end_matches("_bucket") == family)
    };
    let unshown = ["process_virtual_memory_bytes", "process_threads", "process_start_time_seconds"];
    for name in known.keys().filter(|name| !unshown.contains(*name)) {
        assert!(shown(name), "no panel shows {name}");
    }
}

/// A row of the page's table of metrics.
struct Row<'a> {
    kind: &'a str,
    labels: BTreeSet<&'a str>,
}

fn rows() -> BTreeMap<&'static str, Row<'static>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| `keytile_") || line.starts_with("| `process_"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let labels =
                cells[2].split(',').map(|label| label.trim().trim_matches('`')).filter(|label| !label.is_empty()).collect();
            (cells[0].trim_matches('`'), Row { kind: cells[1], labels })
        })
        .collect()
}

#[tokio::test]
async fn the_page_names_every_metric_with_its_type_and_labels() {
    let scrape = scrape().await;
    let rows = rows();
    let told: BTreeMap<&str, &str> = rows.iter().map(|(name, row)| (*name, row.kind)).collect();
    let real: BTreeMap<&str, &str> = scrape.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(told, real);
    for (series, labels) in labels(&scrape) {
        let parts = ["_bucket", "_sum", "_count"];
        let family =
            parts.iter().find_map(|part| series.strip_suffix(part).filter(|name| rows.contains_key(name))).unwrap_or(series);
        assert_eq!(rows[family].labels, labels, "{series}");
    }
}

#[tokio::test]
async fn the_alerts_ask_for_what_there_is() {
    let scrape = scrape().await;
    let known = labels(&scrape);
    let alerts = PAGE.split_once("### Alerts worth having").unwrap().1;
    let alerts = alerts.split("\n#").next().unwrap();
    let expressions: Vec<&str> =
        alerts.lines().filter(|line| line.contains('`')).map(|line| line.split('`').nth(1).unwrap()).collect();
    assert!(expressions.len() >= 8, "{expressions:?}");
    for expression in expressions {
        assert_eq!(wrong_with(expression, &known), Vec::<String>::new(), "{expression}");
    }
}

/// Nothing that people or programs choose is in a label: only words that the page lists, patterns of routes, and codes.
#[tokio::test]
async fn labels_are_words_out_of_lists() {
    let scrape = scrape().await;
    let is_word = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    for series in scrape.series.keys() {
        let Some((_, labels)) = series.split_once('{') else { continue };
        for label in labels.trim_end_matches('}').split("\",") {
            let (name, value) = label.trim_end_matches('"').split_once("=\"").unwrap();
            let is_route = name == "route" && is_word(&value.replace(['/', '-', '{', '}'], "_"));
            assert!(is_word(value) || name == "le" || is_route, "{series}");
            assert!(uuid::Uuid::try_parse(value).is_err(), "{series}");
        }
    }
    assert!(scrape.series.len() < 1_000, "{} series of a Keytile that has done little", scrape.series.len());
}
