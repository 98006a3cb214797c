//! The manual and the completions that packages install are those of this very program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::blessed;

fn rekeyd(words: &[&str]) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_rekeyd")).args(words).output().unwrap();
    assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn the_committed_manual_is_the_programs() {
    let folder = tempfile::tempdir().unwrap();
    rekeyd(&["man", folder.path().to_str().unwrap()]);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    let written = names(folder.path());
    if std::env::var_os("REKEYD_BLESS").is_some() {
        fs::create_dir_all(&committed).unwrap();
        for stale in names(&committed).difference(&written) {
            fs::remove_file(committed.join(stale)).unwrap();
        }
    }
    assert!(written.contains("rekeyd.8") && written.contains("rekeyd-policy.5"), "{written:?}");
    for name in &written {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains(".SH NAME") || text.contains(".SH \"NAME\""), "{name}");
        let title = text.lines().find_map(|line| line.strip_prefix(".TH ")).unwrap();
        let date = title.split_whitespace().nth(2).unwrap().trim_matches('"');
        assert!(date.parse::<jiff::civil::Date>().is_ok(), "{name}: no date in `{title}`");
        blessed::compare(&format!("packaging/man/{name}"), &text);
    }
    assert_eq!(names(&committed), written, "a page of a command that is no more");
}

#[test]
fn every_page_is_set_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    rekeyd(&["man", folder.path().to_str().unwrap()]);
    for name in names(folder.path()) {
        let groff = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(folder.path().join(&name))
            .output();
        let groff =
            groff.expect("groff is not on the PATH: install groff-base, or the package that has `groff`");
        let said = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && said.is_empty(), "{name}: {said}");
    }
}

#[test]
fn the_committed_completions_are_the_programs() {
    for (shell, file) in [("bash", "rekeyd.bash"), ("zsh", "_rekeyd"), ("fish", "rekeyd.fish")] {
        let script = rekeyd(&["completions", shell]);
        assert!(script.contains("rehearse") && !script.contains("tethered-"), "{shell}");
        blessed::compare(&format!("packaging/completions/{file}"), &script);
    }
}
