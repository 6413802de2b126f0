//! Sharing through the pages: what one person shares, another one may use or manage, at once and no further.
