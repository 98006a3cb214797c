//! Planted bugs, each of which the simulation must catch: what would not be noticed is not proven.
//!
//! A copy of the source is changed in every planted place at once; each bug sleeps until `REKEYD_MUTATION` names it. The
//! copy is built without a program, so that nothing that other tests start is replaced.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod planted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use planted::{Bug, PLANTED};

/// What the copy needs of the repository.
const PARTS: [&str; 7] =
    ["src", "migrations", "docs/runbook.md", "tests/it/simulation", "Cargo.toml", "Cargo.lock", "config"];

/// The only tests of the copy: none of them starts a program.
const MAIN: &str = "mod simulation;\n";

/// In the copy only: whether a bug is awake.
const AWAKE: &str = "
/// Whether the planted bug of this name is awake.
#[must_use]
pub fn is_awake(bug: &str) -> bool {
    std::env::var_os(\"REKEYD_MUTATION\").is_some_and(|awake| awake == bug)
}
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds what this test belongs to.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let profile = program.ancestors().find(|it| it.join("deps").is_dir()).unwrap();
    profile.parent().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

/// Puts `bug` into its file.
fn plant(tree: &Path, bug: &Bug) {
    let file = tree.join(bug.file);
    let text = fs::read_to_string(&file).unwrap();
    let places = text.matches(bug.right).count();
    assert_eq!(places, 1, "`{}`: its place stands {places} times in {}", bug.name, bug.file);
    let awake = format!("crate::is_awake(\"{}\")", bug.name);
    fs::write(&file, text.replacen(bug.right, &bug.wrong.replace("AWAKE", &awake), 1)).unwrap();
}

/// Under the same name cargo would take the copy's library for the real one, and the real one never be built again.
fn rename(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let renamed = text.replacen("name = \"rekeyd\"", "name = \"rekeyd-mutations\"", 1);
    assert_ne!(text, renamed, "{}", file.display());
    fs::write(file, renamed).unwrap();
}

fn planted_tree() -> PathBuf {
    let tree = target().join("mutations");
    if tree.exists() {
        fs::remove_dir_all(&tree).unwrap();
    }
    for part in PARTS {
        copy(&root().join(part), &tree.join(part));
    }
    fs::write(tree.join("tests/it/main.rs"), MAIN).unwrap();
    let manifest = fs::read_to_string(tree.join("Cargo.toml")).unwrap();
    let (head, rest) = manifest.split_once("[lib]").unwrap();
    let bench = rest.find("[[bench]]").unwrap();
    let dependencies = rest.find("[dependencies]").unwrap();
    let manifest = format!(
        "{head}autobins = false\n\n[lib]\nname = \"rekeyd\"{}{}",
        &rest[..bench],
        &rest[dependencies..]
    );
    fs::write(tree.join("Cargo.toml"), manifest).unwrap();
    ["Cargo.toml", "Cargo.lock"].iter().for_each(|file| rename(&tree.join(file)));
    let library = tree.join("src/lib.rs");
    fs::write(&library, fs::read_to_string(&library).unwrap() + AWAKE).unwrap();
    PLANTED.iter().for_each(|bug| plant(&tree, bug));
    tree
}

fn build(tree: &Path) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--no-run", "--test", "it", "--message-format", "json"])
        .arg("--target-dir")
        .arg(target())
        .current_dir(tree)
        .output()
        .unwrap();
    let told = String::from_utf8(built.stdout).unwrap();
    let rendered = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["message"]["rendered"].as_str().map(str::to_owned)
    };
    let complaints: Vec<String> = told.lines().filter_map(rendered).collect();
    let failed = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the copy does not build: {}\n{failed}", complaints.join("\n"));
    let artifact = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_the_test = message["target"]["name"] == "it" && message["executable"].is_string();
        is_the_test.then(|| PathBuf::from(message["executable"].as_str().unwrap()))
    };
    told.lines().find_map(artifact).unwrap()
}

fn run(program: &Path, test: &str, bug: Option<&str>) -> Output {
    let mut command = Command::new(program);
    command.args([test, "--test-threads", "1"]).env_remove("REKEYD_SEED").env_remove("REKEYD_MUTATION");
    command.envs(bug.map(|bug| ("REKEYD_MUTATION", bug))).current_dir(root());
    command.output().unwrap()
}

#[test]
fn every_planted_bug_is_caught_by_the_simulation() {
    let program = build(&planted_tree());
    let mut survivors = Vec::new();
    for bug in PLANTED {
        let asleep = run(&program, bug.caught_by, None);
        let told = String::from_utf8_lossy(&asleep.stdout);
        assert!(asleep.status.success(), "`{}` fails without a bug:\n{told}", bug.caught_by);
        assert!(!told.contains("running 0 tests"), "there is no test `{}`", bug.caught_by);
        if run(&program, bug.caught_by, Some(bug.name)).status.success() {
            survivors.push(bug.name);
        }
    }
    assert!(survivors.is_empty(), "nothing noticed {survivors:?}");
}
