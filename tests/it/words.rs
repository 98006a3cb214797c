//! The words of everything that users read: none of the retired ones, and no sentence of the help that is too long.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Each of these has a standard term in its place; ARCHITECTURE.md lists the terms. Between bars.
const RETIRED: &str = "keeper|keepers|visit|visits|desk|desks|restraint|restraints|clearance|pulse|patrol|patrols|herald|\
    courier|couriers|attendant|shelf|teller|parcel|tale|tales|notice|notices|trouble|troubles|remark|remarks|lint|lints|\
    tension|tensions|mend|mends|mended|mending|shut|way back|way there|grants|drift|drifts|drifted|straggler|stragglers|\
    person|people|somebody|hindered|told|heard|by whose word|season|foresight|likeness|ledger|chronicle";

/// Where a retired word is the field's own.
const ALLOWED: [&str; 2] = ["make lint", "clippy lint"];

const HELP_SENTENCE_WORDS_MAX: usize = 35;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents, and the comments of the policies in `config/`.
fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md"].map(Into::into).into();
    for (folder, ending) in [("docs", "md"), ("config", "toml")] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let listed = entries.filter(|path| path.extension().is_some_and(|it| it == ending));
        names.extend(listed.map(|path| format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap())));
    }
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// `--help` of the program and of each of its commands.
fn helps() -> Vec<(String, String)> {
    let help = |words: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_rekeyd")).args(words).arg("--help").output().unwrap();
        assert!(ran.status.success(), "{words:?}");
        (format!("rekeyd {} --help", words.join(" ")), String::from_utf8(ran.stdout).unwrap())
    };
    let overview = help(&[]);
    let listed = overview.1.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 25, "{names:?}");
    let mut helps: Vec<_> = names.iter().map(|name| help(&[name])).collect();
    for nested in [["audit", "verify"], ["audit", "export"], ["audit", "compare"], ["notify", "test"]] {
        helps.push(help(&nested));
    }
    helps.push(overview.clone());
    helps
}

fn is_part_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The retired words in a line, at the boundaries of words.
fn retired_in(line: &str) -> Vec<&'static str> {
    let line = ALLOWED.iter().fold(line.to_lowercase(), |line, allowed| line.replace(allowed, ""));
    let stands_alone = |at: usize, word: &str| {
        let before = line.get(..at).and_then(|it| it.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|it| it.chars().next());
        !before.is_some_and(is_part_of_a_word) && !after.is_some_and(is_part_of_a_word)
    };
    let stands_in = |word: &&str| line.match_indices(*word).any(|(at, found)| stands_alone(at, found));
    RETIRED.split('|').filter(stands_in).collect()
}

#[test]
fn retired_words_are_found_at_the_boundaries_of_words_only() {
    assert_eq!(retired_in("The Keeper, and `lints`"), ["keeper", "lints"]);
    assert!(retired_in("`make lint`, a bookkeeper, grants_changed, shutdown").is_empty());
}

#[test]
fn what_users_read_has_none_of_the_retired_words() {
    let mut wrong = Vec::new();
    for (name, text) in documents().into_iter().chain(helps()) {
        for (line, number) in text.lines().zip(1..) {
            let found = retired_in(line);
            if !found.is_empty() {
                wrong.push(format!("{name}:{number}: {}: {}", found.join(", "), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
}

/// The sentences of a help text. A line of an option or a command begins a new one, and so does a blank line.
fn sentences(help: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in help.lines() {
        let begins = line.trim().is_empty() || line.trim_start().starts_with('-') || !line.starts_with("   ");
        if begins {
            found.push(String::new());
        }
        for word in line.split_whitespace() {
            let current = found.last_mut().unwrap();
            *current += word;
            current.push(' ');
            if word.ends_with('.') {
                found.push(String::new());
            }
        }
    }
    found
}

#[test]
fn no_sentence_of_the_help_is_too_long() {
    for (name, help) in helps() {
        for sentence in sentences(&help) {
            let words = sentence.split_whitespace().count();
            assert!(words <= HELP_SENTENCE_WORDS_MAX, "{name}: {words} words: {sentence}");
        }
    }
}
