//! Committed files that a test generates: compared on each run, rewritten when `REKEYD_BLESS` is set.

use std::path::Path;

/// Compares `text` with the committed file at `path`, relative to the repository's root.
#[track_caller]
pub(crate) fn compare(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("REKEYD_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{path} is out of date: run the test again with REKEYD_BLESS=1 and review the change"
    );
}
