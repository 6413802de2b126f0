//! A history for reading: periods of time, single uses, and the chart.

pub(crate) mod chart;
pub(crate) mod table;
