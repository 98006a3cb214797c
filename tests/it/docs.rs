//! What the documents tell people to write and to type is what the program takes.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod runbook;
mod typed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rekeyd::cli;
use rekeyd::config;

/// A fenced block: the document, the line it begins at, and what is in it.
struct Block {
    place: String,
    text: String,
}

/// The blocks of one language in the README and everything in `docs/`.
fn blocks(language: &str) -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents =
        vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("ARCHITECTURE.md")];
    documents.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut blocks = Vec::new();
    for path in documents.iter().filter(|path| path.extension().is_some_and(|it| it == "md")) {
        let text = fs::read_to_string(path).unwrap();
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(tag)) => {
                    let place = format!("{}:{}", path.strip_prefix(root).unwrap().display(), index + 1);
                    open = Some(Block { place: format!("{place} {tag}"), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
    }
    blocks.retain(|block| block.place.ends_with(&format!(" {language}")));
    blocks
}

#[test]
fn every_policy_in_a_document_is_valid_without_a_warning() {
    let policies = blocks("toml");
    assert!(!policies.is_empty());
    for Block { place, text } in policies {
        match config::load(&text, &place, &BTreeMap::new()) {
            Ok(config) => assert!(config.warnings().problems.is_empty(), "{place}\n{}", config.warnings()),
            Err(problems) => panic!("{place}\n{problems}"),
        }
    }
}

/// A line in words, as a shell takes it apart.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match quote {
            Some(mark) if mark == letter => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter == ' ' => words.push(std::mem::take(&mut word)),
            Some(_) | None => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The words of every `rekeyd …` that a block shows after a prompt, up to a pipe, a redirection or a comment.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let lines =
        block.text.lines().filter_map(|line| line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")));
    lines
        .map(words)
        .filter_map(|words| {
            let at = words.iter().position(|word| *word == "rekeyd" || word.ends_with("/rekeyd"))?;
            // A path, a unit or a user of that name is no command.
            let is_command = words[..at].iter().all(|word| *word == "sudo" || word.contains('='));
            let ends = |word: &String| ["|", ">", "&", "&&", "#"].contains(&word.as_str());
            is_command.then(|| words[at..].iter().take_while(|word| !ends(word)).cloned().collect())
        })
        .collect()
}

#[test]
fn every_command_in_a_document_is_one() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for block in blocks("console") {
        for words in commands(&block) {
            seen += 1;
            if let Err(why) = cli::understands(words.iter().map(String::as_str)) {
                wrong.push(format!("{}: `{}`: {why}", block.place, words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(seen > 10, "only {seen} commands were found: the test no longer reads them");
}

/// The sections of the runbook whose entries each show commands.
const TYPED: [&str; 5] =
    ["Alerts", "Parked rotations", "Blocked rotations", "Findings", "Holds, deadlines and expiry"];

#[test]
fn every_entry_of_the_runbook_shows_a_command_or_says_that_there_is_none() {
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for part in TYPED {
        let entries = runbook.split(&format!("\n## {part}\n")).nth(1).unwrap();
        let entries = entries.split("\n## ").next().unwrap();
        for entry in entries.split("\n### ").skip(1) {
            seen += 1;
            let heading = entry.lines().next().unwrap();
            let is_shown = entry.contains("\n```console\n$ ") || entry.contains("\nNo command");
            wrong.extend((!is_shown).then_some(heading));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?} show no command");
    assert!(seen > 75, "only {seen} entries were found: the test no longer reads them");
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let top: Vec<&str> = readme.lines().take(20).collect();
    for command in ["$ make demo", "$ make test"] {
        assert!(top.iter().any(|line| line.starts_with(command)), "`{command}` is not in the first 20 lines");
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn files_and_tests_that_the_architecture_names_are_there() {
    fn read(folder: &Path, all: &mut String) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                read(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    read(&root.join("src"), &mut code);
    read(&root.join("tests"), &mut code);
    let text =
        ["ARCHITECTURE.md", "docs/design.md"].map(|it| fs::read_to_string(root.join(it)).unwrap()).concat();
    let (mut files, mut tests, mut missing) = (0, 0, Vec::new());
    for word in quoted(&text) {
        let is_file = ["src/", "tests/", "docs/", "config/"].iter().any(|folder| word.starts_with(folder));
        let is_sentence =
            word.matches('_').count() >= 3 && !word.contains(|c: char| !(c.is_alphanumeric() || c == '_'));
        if is_file {
            files += 1;
            missing.extend((!root.join(word).exists()).then(|| format!("there is no file `{word}`")));
        } else if is_sentence && word != "aws_secrets_manager" {
            tests += 1;
            missing.extend(
                (!code.contains(&format!("fn {word}("))).then(|| format!("there is no test `{word}`")),
            );
        }
    }
    let map = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mapped = map.lines().filter(|line| !line.starts_with(' ') && !line.is_empty());
    for path in mapped.filter_map(|line| line.split_whitespace().next()) {
        files += 1;
        missing.extend(
            (!root.join(path).exists()).then(|| format!("the map shows `{path}`, which is not there")),
        );
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    assert!(files > 30 && tests > 20, "only {files} files and {tests} tests were found");
}
