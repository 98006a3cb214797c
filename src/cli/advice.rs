//! Every command that a message, the status page, a notification or an alert suggests parses as written. Tests only.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::examples;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Replaces each placeholder by a name.
fn filled_in(command: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0usize);
    for character in command.chars() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    text.push('x');
                }
            }
            _ if depth == 0 => text.push(character),
            _ => {}
        }
    }
    text.replace("ARN", "arn:aws:kms:eu-west-1:123456789012:key/x")
}

/// Commands in a line of code: in backticks, or at the end of a string literal.
fn in_code(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("rekeyd ") {
        let (before, from) = line.split_at(at);
        let end = if before.ends_with('`') { '`' } else { '"' };
        let is_command =
            before.ends_with(['`', '"']) || ["next: ", "; "].iter().any(|it| before.ends_with(it));
        found.extend(from.split_once(end).filter(|_| is_command).map(|(command, _)| filled_in(command)));
    }
    found
}

#[test]
fn every_suggested_command_parses_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    files(&root.join("src"), &mut sources);
    let mut advised: Vec<(String, String)> = Vec::new();
    for path in sources.into_iter().filter(|path| !path.ends_with("cli/examples.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            advised.extend(in_code(line).into_iter().map(|it| (path.display().to_string(), it)));
        }
    }
    let in_code = advised.len();
    let alerts = fs::read_to_string(root.join("monitoring/alerts.yaml")).unwrap();
    // Descriptions are folded texts, which are indented deeper than keys.
    let unfolded = alerts.replace("\n            ", " ");
    let first = unfolded.lines().filter_map(|line| line.split_once("Run: "));
    advised.extend(first.map(|(_, command)| ("alerts.yaml".to_owned(), filled_in(command))));
    assert!(in_code > 40 && advised.len() > in_code + 20, "only {} were found", advised.len());
    let known = examples::command();
    let is_one = |word: &str| known.find_subcommand(word).is_some();
    let mut wrong = Vec::new();
    for (place, line) in advised {
        let words: Vec<&str> = line.split("\\n").next().unwrap_or_default().split_whitespace().collect();
        if !words.get(1).is_some_and(|word| is_one(word)) || words.contains(&"…") {
            continue;
        }
        if let Err(error) = examples::command().try_get_matches_from(&words) {
            wrong.push(format!("{place}: {line}\n{error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
