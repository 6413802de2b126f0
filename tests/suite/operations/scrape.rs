//! Reads figures as Prometheus would.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use crate::support::https::plain_client;

/// What a scrape brought.
pub(crate) struct Scrape {
    pub(crate) text: String,
    /// The type of each family, by its name.
    pub(crate) types: BTreeMap<String, String>,
    /// The value of each series, by its name and labels as they are written.
    pub(crate) series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Asks for the text format.
    pub(crate) async fn of(address: SocketAddr) -> Self {
        let answer = plain_client().get(format!("http://{address}/metrics")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self::read(answer.text().await.unwrap())
    }

    pub(crate) fn read(text: String) -> Self {
        let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(series.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} is there twice");
            }
        }
        Self { text, types, series }
    }

    /// The value of one series.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in:\n{}", self.text))
    }

    /// The names of all series, without labels.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(|series| series.split('{').next().unwrap()).collect()
    }

    /// The names of the labels of a series, but for those that a histogram's bucket has by itself.
    pub(crate) fn labels(series: &str) -> BTreeSet<&str> {
        let Some((_, labels)) = series.split_once('{') else { return BTreeSet::new() };
        let labels = labels.trim_end_matches('}').split("\",");
        labels.map(|label| label.split_once('=').unwrap().0).filter(|name| *name != "le").collect()
    }
}
