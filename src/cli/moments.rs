//! Instants as a person thinks of them, in commands as on the status page.

pub(super) use crate::domain::report::moments::{age, distance, span};
