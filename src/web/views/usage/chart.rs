//! The chart of a history: requests as bars, and below them their durations as lines. Only computes positions; the
//! style sheet decides the looks, and every part can be told from the others without colour.

use super::table::{Period, number};
use crate::domain::usage::{HourCounts, LATENCY_BOUNDS};

/// The width of a chart, in its own units.
pub(crate) const WIDTH: f64 = 760.0;
/// The height of the bars.
pub(crate) const BARS_HEIGHT: f64 = 190.0;
/// The height of the lines.
pub(crate) const LINES_HEIGHT: f64 = 150.0;

/// The position of the vertical axis.
const LEFT: f64 = 56.0;
/// The right margin.
const RIGHT: f64 = 8.0;
/// The margin above the highest value.
const TOP: f64 = 12.0;
/// The room for the time axis.
const BOTTOM: f64 = 24.0;

/// A mark on an axis.
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// A part of a bar.
pub(crate) struct Part {
    /// The CSS class: `done`, `refused` or `failed`.
    pub(crate) class: &'static str,
    /// The upper edge.
    pub(crate) y: f64,
    pub(crate) height: f64,
}

/// The requests of one period.
pub(crate) struct Bar {
    /// The left edge.
    pub(crate) x: f64,
    /// Its parts that are not empty, from the bottom up.
    pub(crate) parts: Vec<Part>,
    /// The tooltip.
    pub(crate) title: String,
}

/// Durations of requests, as a line over the periods.
pub(crate) struct Line {
    /// The CSS class.
    pub(crate) class: &'static str,
    /// The line as SVG path data, interrupted where there were no requests.
    pub(crate) path: String,
    /// Its points, for markers.
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Chart {
    pub(crate) bars: Vec<Bar>,
    pub(crate) bar_width: f64,
    /// The axis of the bars.
    pub(crate) counts: Vec<Tick>,
    /// Median and 95th percentile.
    pub(crate) lines: [Line; 2],
    /// The axis of the lines, in milliseconds.
    pub(crate) millis: Vec<Tick>,
    /// The time axis of both parts.
    pub(crate) times: Vec<Tick>,
}

impl Chart {
    pub(crate) fn of(periods: &[Period]) -> Self {
        let slot = (WIDTH - LEFT - RIGHT) / periods.len().max(1) as f64;
        let left_of = |index: usize| LEFT + slot * index as f64;
        let most = periods.iter().map(|period| period.counts.requests).max().unwrap_or(0);
        let count_axis = Axis::new(most as f64, 1.0, BARS_HEIGHT);
        let slowest = periods.iter().filter_map(|period| period.counts.latencies.quantile(0.95)).fold(0.0, f64::max);
        let millis_axis = Axis::new(slowest, 10.0, LINES_HEIGHT);
        // About seven marks, the first at the first period.
        let every = periods.len().div_ceil(7).max(1);
        let line = |class, share: f64| {
            let points = periods.iter().enumerate().map(|(index, period)| {
                let millis = period.counts.latencies.quantile(share)?;
                Some((left_of(index) + slot / 2.0, millis_axis.y(millis)))
            });
            Line::through(class, points)
        };
        Self {
            bars: periods.iter().enumerate().map(|(index, period)| bar(period, left_of(index) + slot * 0.1, &count_axis)).collect(),
            bar_width: tenth(slot * 0.8),
            counts: count_axis.ticks(|value| number(&(value as u64))),
            lines: [line("median", 0.5), line("p95", 0.95)],
            millis: millis_axis.ticks(in_millis),
            times: periods
                .iter()
                .enumerate()
                .step_by(every)
                .map(|(index, period)| Tick { at: tenth(left_of(index)), label: period.tick() })
                .collect(),
        }
    }

    pub(crate) const fn left(&self) -> f64 {
        LEFT
    }

    pub(crate) const fn right(&self) -> f64 {
        WIDTH - RIGHT
    }

    pub(crate) const fn width(&self) -> f64 {
        WIDTH
    }

    pub(crate) const fn bars_height(&self) -> f64 {
        BARS_HEIGHT
    }

    pub(crate) const fn lines_height(&self) -> f64 {
        LINES_HEIGHT
    }
}

/// Rounds to a tenth of a unit, which is less than a pixel.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl Line {
    fn through(class: &'static str, points: impl Iterator<Item = Option<(f64, f64)>>) -> Self {
        use std::fmt::Write as _;
        let mut line = Self { class, path: String::new(), points: Vec::new() };
        let mut is_drawn = false;
        for point in points {
            if let Some((x, y)) = point {
                // Writing to a string can't fail.
                let _ = write!(line.path, "{}{x:.1} {y:.1}", if is_drawn { "L" } else { "M" });
                line.points.push((tenth(x), tenth(y)));
            }
            is_drawn = point.is_some();
        }
        line
    }
}

fn bar(period: &Period, x: f64, axis: &Axis) -> Bar {
    let HourCounts { requests, refused, failed, .. } = period.counts;
    let done = requests.saturating_sub(refused + failed);
    let mut below = 0;
    let mut parts = Vec::new();
    for (class, value) in [("done", done), ("refused", refused), ("failed", failed)] {
        if value > 0 {
            let (from, to) = (axis.y(below as f64), axis.y((below + value) as f64));
            // A value above zero is always visible.
            let height = (from - to).max(1.5);
            parts.push(Part { class, y: tenth(from - height), height: tenth(height) });
            below += value;
        }
    }
    let mut title = format!("{}: {} requests", period.label(), number(&requests));
    for (value, word) in [(refused, "refused"), (failed, "failed")] {
        if value > 0 {
            title.push_str(&format!(", {} {word}", number(&value)));
        }
    }
    Bar { x: tenth(x), parts, title }
}

/// A vertical axis, from 0 up.
struct Axis {
    /// The number at its end.
    end: f64,
    height: f64,
}

impl Axis {
    /// An axis for values up to `most`, and at least up to `least`.
    fn new(most: f64, least: f64, height: f64) -> Self {
        let most = most.max(least);
        let power = 10_f64.powf(most.log10().floor());
        let end = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|end| *end >= most).unwrap_or(most);
        Self { end, height }
    }

    fn y(&self, value: f64) -> f64 {
        let bottom = self.height - BOTTOM;
        bottom - (bottom - TOP) * (value / self.end).min(1.0)
    }

    /// Its start, its middle if that is a whole number, and its end.
    fn ticks(&self, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let values = [0.0, self.end / 2.0, self.end];
        values
            .into_iter()
            .filter(|value| value.fract() == 0.0)
            .map(|value| Tick { at: tenth(self.y(value)), label: label(value) })
            .collect()
    }
}

fn in_millis(millis: f64) -> String {
    let last = LATENCY_BOUNDS[LATENCY_BOUNDS.len() - 1] as f64;
    match millis {
        0.0 => "0".to_owned(),
        _ if millis >= last => format!("≥ {:.0} s", last / 1_000.0),
        _ if millis >= 1_000.0 => format!("{} s", millis / 1_000.0),
        _ => format!("{millis:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{domain::time::Timestamp, web::views::usage::table::Range};

    const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    fn hour(ago: i64, requests: u64, refused: u64, failed: u64, millis: u64) -> (Timestamp, HourCounts) {
        let mut counts = HourCounts { requests, refused, failed, ..HourCounts::default() };
        for _ in 0..requests {
            counts.latencies.count(Duration::from_millis(millis));
        }
        (Timestamp::from_millis((NOW.as_millis() / 3_600_000 - ago) * 3_600_000), counts)
    }

    #[test]
    fn a_bar_is_as_high_as_its_requests_and_shows_each_part() {
        let periods = Range::Day.periods(NOW, &[hour(0, 100, 1, 0, 20), hour(2, 50, 10, 40, 300)]);
        let chart = Chart::of(&periods);
        let parts = |index: usize| chart.bars[index].parts.iter().map(|part| (part.class, part.height)).collect::<Vec<_>>();
        let plot = BARS_HEIGHT - BOTTOM - TOP;
        assert_eq!(
            parts(23),
            [("done", plot * 0.99), ("refused", plot * 0.01)].map(|(class, height)| (class, tenth(height.max(1.5))))
        );
        let classes: Vec<_> = parts(21).into_iter().map(|(class, _)| class).collect();
        assert_eq!(classes, ["refused", "failed"], "there is none that was done");
        assert!(parts(22).is_empty());
        assert_eq!(chart.bars[21].title, "2 Jan 01:00–02:00: 50 requests, 10 refused, 40 failed");
        assert_eq!(chart.counts.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0", "50", "100"]);
        let last = &chart.bars[23];
        assert!(last.x + chart.bar_width <= chart.right() && last.parts.iter().all(|part| part.y >= TOP - 2.0));
    }

    #[test]
    fn a_line_is_interrupted_where_there_is_nothing() {
        let periods = Range::Day.periods(NOW, &[hour(0, 1, 0, 0, 20), hour(2, 1, 0, 0, 20), hour(3, 1, 0, 0, 9)]);
        let [median, p95] = Chart::of(&periods).lines;
        assert_eq!((median.points.len(), p95.points.len()), (3, 3));
        assert_eq!((median.path.matches('M').count(), median.path.matches('L').count()), (2, 1));
        assert!(median.points[0].1 > median.points[1].1, "what took longer stands higher");
    }

    #[test]
    fn an_axis_ends_with_a_round_number_and_a_chart_of_nothing_has_one_too() {
        let end = |most: f64| Axis::new(most, 1.0, 100.0).end;
        assert_eq!([0.0, 1.0, 3.0, 9.0, 11.0, 70.0, 81.0].map(end), [1.0, 1.0, 4.0, 10.0, 20.0, 80.0, 100.0]);
        let chart = Chart::of(&Range::Quarter.periods(NOW, &[]));
        assert_eq!(chart.counts.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(chart.millis.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0", "5 ms", "10 ms"]);
        assert_eq!(chart.times.len(), 7);
    }
}
