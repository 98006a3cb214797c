//! Policies of commit 412e970 are valid: those of `config/`, and `everything.toml`, which uses every table and key.

use std::path::Path;

use super::{rekeyd, text};

#[test]
fn every_old_policy_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/past/policies");
    let mut checked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let output = rekeyd(&["check", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}: {}", path.display(), text(&output.stderr));
        checked += 1;
    }
    assert_eq!(checked, 5);
}
