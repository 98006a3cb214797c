//! No value of a policy is ever shown, wherever it stands and however broken the file is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rekeyd::config;

const REFERENCE: &str = include_str!("../../../config/rekeyd.toml");
const PROVIDER_KEY: &str = "sk_8e1f0c6b2a9d4735bc60d1f2a3e4958677b1c0d9e8f7a6b5";
const PASSWORD: &str = "hunter2-hunter2";

/// Everything that rekeyd can say about a text.
fn everything_said(text: &str) -> String {
    let problems = match config::load(text, "policy.toml", &BTreeMap::new()) {
        Ok(config) => config.warnings().clone(),
        Err(problems) => problems,
    };
    format!("{problems}\n{problems:?}\n{}", serde_json::to_string(&problems).unwrap())
}

/// The reference policy's lines with everything that is commented out put in force.
fn lines() -> Vec<String> {
    let live = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest.to_owned(),
        _ => line.to_owned(),
    };
    REFERENCE.lines().map(live).collect()
}

/// Ways to write a secret into the place of a value.
fn plants(secret: &str) -> Vec<String> {
    vec![
        format!("\"{secret}\""),
        format!("'{secret}'"),
        format!("\"\"\"\n{secret}\"\"\""),
        format!("\"{secret}"),
        secret.to_owned(),
        format!("[\"{secret}\"]"),
        format!("[[\"{secret}\"], {{ a = \"{secret}\" }}]"),
        format!("{{ value = \"{secret}\" }}"),
        format!("{{ file = \"{secret}\" }}"),
        format!("{{ env = \"{secret}\" }}"),
        format!("{{ systemd_credential = \"{secret}/x\" }}"),
        format!("{{ then = \"{secret}\", at = \"{secret}\", opens = \"{secret}\", store = \"{secret}\" }}"),
        format!("\"{secret}\" \"{secret}\""),
        format!("\"\\q{secret}\""),
    ]
}

#[test]
fn a_secret_in_the_place_of_any_value_is_never_shown() {
    let lines = lines();
    let mut cases = 0;
    for secret in [PROVIDER_KEY, PASSWORD] {
        for (index, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
            for plant in plants(secret) {
                let mut text = lines.clone();
                // Once in its place, and once as the value of a key that nobody knows.
                text[index] = format!("{key} = {plant}\nunknown_key = {plant}");
                let said = everything_said(&text.join("\n"));
                assert!(!said.contains(secret), "{} shows it:\n{said}", text[index]);
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "only {cases} cases: the reference policy was not understood");
}

#[test]
fn a_provider_key_in_the_place_of_a_name_is_refused_and_never_shown() {
    for text in [
        format!("{PROVIDER_KEY} = 1"),
        format!("[{PROVIDER_KEY}]"),
        format!("[credentials.{PROVIDER_KEY}]"),
        format!("[workspaces.{PROVIDER_KEY}]\nbase_url = 1"),
        format!("[stores.{PROVIDER_KEY}.directory]\npath = 1"),
        format!("[credentials.a.{PROVIDER_KEY}]"),
        format!("[daemon]\n\"{PROVIDER_KEY}\" = 1"),
        format!("[daemon.\"{PROVIDER_KEY}\".x.y]"),
    ] {
        assert!(config::load(&text, "policy.toml", &BTreeMap::new()).is_err(), "{text}");
        let said = everything_said(&text);
        assert!(!said.contains(PROVIDER_KEY), "{text}:\n{said}");
    }
}

#[test]
fn a_file_that_is_nested_without_end_is_refused_without_a_crash() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        "[[freeze]]\n".repeat(20_000),
    ] {
        assert!(config::load(&text, "policy.toml", &BTreeMap::new()).is_err());
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Delete(usize, usize),
    Insert(usize, &'static str),
    Copy(usize, usize, usize),
    Plant(usize, usize),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let pieces = [
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "#",
        "\"\"\"",
        "\\",
        "\u{0}",
        "é",
        "[[",
        "]]",
        "[credentials.",
        "9e9",
        "-",
        "2026-02-30",
        "inf",
        "* * * * *",
        "99999999999d",
        "\t",
        "\r",
        "\\u00e9",
    ];
    let place = 0usize..8000;
    prop_oneof![
        (place.clone(), 1usize..40).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (place.clone(), prop::sample::select(pieces.to_vec()))
            .prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (place.clone(), 1usize..200, place.clone())
            .prop_map(|(at, length, to)| Mutation::Copy(at, length, to)),
        (place, 0usize..14).prop_map(|(at, which)| Mutation::Plant(at, which)),
    ]
}

fn mutated(text: &str, mutation: &Mutation) -> String {
    let characters: Vec<char> = text.chars().collect();
    let cut = |at: usize, length: usize| {
        let start = at % characters.len().max(1);
        (start, (start + length).min(characters.len()))
    };
    let join = |parts: &[&[char]]| parts.concat().into_iter().collect::<String>();
    match *mutation {
        Mutation::Delete(at, length) => {
            let (start, end) = cut(at, length);
            join(&[&characters[..start], &characters[end..]])
        }
        Mutation::Insert(at, piece) => {
            let (start, _) = cut(at, 0);
            join(&[&characters[..start], &piece.chars().collect::<Vec<_>>(), &characters[start..]])
        }
        Mutation::Copy(at, length, to) => {
            let ((start, end), (to, _)) = (cut(at, length), cut(to, 0));
            join(&[&characters[..to], &characters[start..end], &characters[to..]])
        }
        Mutation::Plant(at, which) => {
            let lines: Vec<&str> = text.lines().collect();
            let chosen = at % lines.len().max(1);
            let plant = &plants(PROVIDER_KEY)[which];
            let planted = |(index, line): (usize, &&str)| match line.split_once(" = ") {
                Some((key, _)) if index == chosen => format!("{key} = {plant}"),
                _ => (*line).to_owned(),
            };
            lines.iter().enumerate().map(planted).collect::<Vec<_>>().join("\n")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_mutation_panics_or_shows_what_was_planted(
        first in 0usize..8000, which in 0usize..14, rest in prop::collection::vec(mutations(), 0..6),
    ) {
        let mut text = mutated(&lines().join("\n"), &Mutation::Plant(first, which));
        for mutation in &rest {
            text = mutated(&text, mutation);
        }
        prop_assert!(!everything_said(&text).contains(PROVIDER_KEY));
    }
}
