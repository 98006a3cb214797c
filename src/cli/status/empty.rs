//! Destinations that nobody reads yet, in the table of all credentials.

use crate::domain::report::{CredentialReport, StatusReport};

/// How many the table names.
const EMPTY_MAX: usize = 10;

/// Destinations that nobody reads yet; nothing if there are none.
pub(super) fn told(report: &StatusReport) -> String {
    let of = |it: &CredentialReport| -> Vec<String> {
        it.empty_destinations().map(|place| format!("`{place}` of `{}`", it.credential)).collect()
    };
    let mut all: Vec<String> = report.credentials.iter().flat_map(of).collect();
    let count = all.len();
    if count == 0 {
        return String::new();
    }
    all.truncate(EMPTY_MAX);
    let more = if count > all.len() { format!(", and {} more", count - all.len()) } else { String::new() };
    format!(
        "\nempty: nobody reads these destinations yet: {}{more}\n  \
         have the programs that use the key read it from there before its first rotation\n",
        all.join(", ")
    )
}
