//! Families of counters whose labels are words out of fixed lists.

use prometheus_client::metrics::family::Family;

use super::Counter;

/// Labels with words that are known beforehand.
pub(super) type Words<const N: usize> = [(&'static str, &'static str); N];
/// Numbers that only grow, told apart by such labels.
pub(super) type Counters<const N: usize> = Family<Words<N>, Counter>;
