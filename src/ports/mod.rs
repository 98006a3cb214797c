//! What rekeyd needs from the outside, in its own words: one small trait with its contract per file.
