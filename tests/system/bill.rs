//! The SBOM, compared with what cargo links.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

#[track_caller]
pub(crate) fn names_every_linked_crate(text: &str) {
    let bill: Value = serde_json::from_str(text).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let told = bill["components"].as_array().unwrap().iter();
    let told: BTreeSet<String> = told
        .map(|it| format!("{} v{}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap()))
        .collect();
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}", "--no-dedupe"]);
    let tree = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let linked = tree.lines().filter_map(|line| line.split_once(' '));
    let linked: BTreeSet<String> = linked
        .filter(|(name, _)| *name != "rekeyd")
        .map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap()))
        .collect();
    assert!(linked.len() > 200);
    let missing: Vec<_> = linked.symmetric_difference(&told).collect();
    assert!(missing.is_empty(), "linked or told, but not both: {missing:?}");
}
