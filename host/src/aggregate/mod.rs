//! Samples into series, series into windows, windows into totals. `merge` is associative.
