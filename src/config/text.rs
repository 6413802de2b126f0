//! How a setting is written in the audit trail.

/// Several values of a setting, in the format of its variable.
pub(super) fn listed<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}
