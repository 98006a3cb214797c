//! The examples of `deploy/`: what Kubernetes takes, what rekeyd and its agent take, and that nothing is left lying about.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekeyd::config;
use rekeyd::config::agent::{self, Mode};
use serde_json::Value;

/// The first with native sidecars, and a recent one.
const KUBERNETES: [&str; 2] = ["1.29", "1.33"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn files(name: &str, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    found.sort();
    assert!(!found.is_empty(), "deploy/{name} has no .{extension}");
    found
}

#[test]
fn kubernetes_takes_every_manifest() {
    for name in ["kubernetes/daemon", "kubernetes/agent"] {
        let manifests = files(name, "yaml").into_iter().filter(|path| !path.ends_with("kustomization.yaml"));
        let manifests: Vec<PathBuf> = manifests.collect();
        for version in KUBERNETES {
            let mut validate = Command::new("kubernetes-validate");
            validate.args(["--strict", "--kubernetes-version", version]).args(&manifests);
            let said = validate.output().unwrap_or_else(|error| {
                panic!("kubernetes-validate cannot be started, `make test` brings it: {error}")
            });
            assert!(
                said.status.success(),
                "{version}: {}",
                String::from_utf8_lossy(&[said.stdout, said.stderr].concat())
            );
        }
    }
}

#[test]
fn each_kustomization_names_everything_in_its_folder() {
    for name in ["kubernetes/daemon", "kubernetes/agent"] {
        let kustomization = fs::read_to_string(folder(name).join("kustomization.yaml")).unwrap();
        for extension in ["yaml", "toml"] {
            for path in files(name, extension).iter().filter(|path| !path.ends_with("kustomization.yaml")) {
                let file = path.file_name().unwrap().to_str().unwrap();
                let is_named = kustomization.contains(&format!("  - {file}\n"))
                    || kustomization.contains(&format!("[{file}]"));
                assert!(is_named, "deploy/{name}/kustomization.yaml does not name {file}");
            }
        }
    }
}

#[test]
fn every_policy_and_every_agents_configuration_is_valid_without_a_lint() {
    for name in ["kubernetes/daemon", "kubernetes/agent", "compose"] {
        for path in files(name, "toml") {
            let (text, shown) = (fs::read_to_string(&path).unwrap(), path.display().to_string());
            let warnings = if path.ends_with("agent.toml") {
                agent::load(&text, &shown, Mode::Beside).map(|it| it.warnings.to_string())
            } else {
                config::load(&text, &shown, &BTreeMap::new()).map(|it| it.warnings().to_string())
            };
            let warnings = warnings.unwrap_or_else(|problems| panic!("{problems}"));
            assert!(warnings.ends_with("0 errors, 0 warnings"), "{warnings}");
        }
    }
}

#[test]
fn the_roles_may_read_and_write_secrets_and_nothing_that_deletes_or_rules() {
    let granted = |text: &str| -> BTreeSet<String> {
        let policy: Value = serde_json::from_str(text).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let all = statements.iter().flat_map(|it| it["Action"].as_array().unwrap().clone());
        all.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let actions = |name: &str| granted(&fs::read_to_string(folder("aws").join(name)).unwrap());
    // No more than the doctor prescribes for the example's policy.
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    doctor.args(["doctor", "--iam", "--policy"]).arg(folder("kubernetes/daemon/policy.toml"));
    let prescribed = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
    assert_eq!(actions("daemon.json"), granted(&prescribed));
    let reads = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"].map(str::to_owned);
    assert_eq!(actions("agent.json"), BTreeSet::from(reads));
}
