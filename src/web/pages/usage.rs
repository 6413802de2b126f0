//! The history of a credential, and of a source or destination.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use crate::{
    domain::time::Timestamp,
    service::usage::{History, HistoryWanted},
    web::{
        http::{
            error::PageError,
            extract::{Id, Kind},
        },
        layout::{self, Layout, Section},
        session::SignedIn,
        state::WebState,
        views::{
            resources::flow::noun,
            usage::{
                chart::Chart,
                table::{Period, Range, Totals, UseView, number},
            },
        },
    },
};

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    range: Option<String>,
    /// `problems` for only uses that failed or were refused.
    only: Option<String>,
    /// Milliseconds since the Unix epoch.
    before: Option<String>,
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    layout: Layout,
    /// The name of the credential or resource.
    name: String,
    address: String,
    noun: &'static str,
    /// True for a credential, whose uses belong to several resources.
    of_credential: bool,
    range: Range,
    only_problems: bool,
    is_first_page: bool,
    totals: Totals,
    /// The periods in which something happened, newest first.
    periods: Vec<Period>,
    chart: Chart,
    uses: Vec<UseView>,
    next: Option<i64>,
}

impl HistoryPage {
    fn ranges(&self) -> [Range; 3] {
        Range::ALL
    }

    /// The URL of this page with another range.
    fn with_range(&self, range: &Range) -> String {
        let only = if self.only_problems { "&only=problems" } else { "" };
        format!("{}/history?range={}{only}", self.address, range.word())
    }

    /// The URL of this page with the newest uses.
    fn newest(&self) -> String {
        self.with_range(&self.range)
    }

    /// The URL of this page with all uses, or with only those that failed or were refused.
    fn other_uses(&self) -> String {
        let only = if self.only_problems { "" } else { "&only=problems" };
        format!("{}/history?range={}{only}", self.address, self.range.word())
    }

    fn number(&self, value: &u64) -> String {
        number(value)
    }
}

/// `GET /credentials/{id}/history`.
pub(crate) async fn of_credential(
    State(state): State<WebState>,
    signed: SignedIn,
    Id(id): Id,
    Query(shown): Query<Shown>,
) -> Result<Response, PageError> {
    let (range, wanted) = read(&state, &shown);
    let history = state.service.credential_history(&signed.caller, id, &wanted).await?.ok_or(PageError::NotFound)?;
    let place = (Section::Credentials, format!("/credentials/{id}"), "credential");
    respond(&state, &signed, history, place, range, &wanted)
}

/// `GET /{kind}/{id}/history`.
pub(crate) async fn of_resource(
    State(state): State<WebState>,
    signed: SignedIn,
    Kind(kind): Kind,
    Id(id): Id,
    Query(shown): Query<Shown>,
) -> Result<Response, PageError> {
    let (range, wanted) = read(&state, &shown);
    let history = state.service.resource_history(&signed.caller, kind, id, &wanted).await?.ok_or(PageError::NotFound)?;
    let place = (Section::Flows, format!("/{}/{id}", kind.plural()), noun(kind));
    respond(&state, &signed, history, place, range, &wanted)
}

fn read(state: &WebState, shown: &Shown) -> (Range, HistoryWanted) {
    let range = Range::parse(shown.range.as_deref().unwrap_or_default());
    let before = shown.before.as_deref().and_then(|millis| millis.parse().ok()).map(Timestamp::from_millis);
    let only_problems = shown.only.as_deref() == Some("problems");
    (range, HistoryWanted { from: range.begin(state.service.now()), before, only_problems })
}

fn respond(
    state: &WebState,
    signed: &SignedIn,
    history: History,
    (section, address, noun): (Section, String, &'static str),
    range: Range,
    wanted: &HistoryWanted,
) -> Result<Response, PageError> {
    let mut periods = range.periods(state.service.now(), &history.hours);
    let (totals, chart) = (Totals::of(&periods), Chart::of(&periods));
    periods.retain(|period| !period.is_empty());
    periods.reverse();
    let page = HistoryPage {
        layout: Layout::new(state, signed, section, format!("History of {}", history.name)),
        of_credential: section == Section::Credentials,
        address,
        noun,
        range,
        only_problems: wanted.only_problems,
        is_first_page: wanted.before.is_none(),
        totals,
        periods,
        chart,
        uses: UseView::all(&history),
        next: history.next.map(Timestamp::as_millis),
        name: history.name,
    };
    layout::ok(&page)
}
