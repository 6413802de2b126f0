//! An error with everything that caused it, in one line for logs and settings.

use std::error::Error;

/// The messages of an error and of its causes, separated by colons.
pub fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
