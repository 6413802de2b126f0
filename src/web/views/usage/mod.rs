//! A usage history as pages show it: a table and a chart.

pub(crate) mod chart;
pub(crate) mod table;
