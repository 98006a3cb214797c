//! What `docs/consumers.md` says of the agent's configuration is what the agent takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rekeyd::config::agent::{Mode, load, schema};
use serde_json::Value;

/// The heading under which each table of the schema is described.
const HEADINGS: &[(&str, &str)] = &[
    ("Agent", "### The file"),
    ("Followed", "### `[secrets.NAME]`"),
    ("Origin", "### `from`"),
    ("AwsSecret", "### `from.aws_secrets_manager`"),
    ("OutputFile", "### `to` and `[env_file]`"),
    ("OnChange", "### `[on_change]`"),
    ("Signal", "### `on_change.signal`"),
    ("Health", "### `[health]`"),
    ("Rekeyd", "### `[rekeyd]`"),
    ("Exec", "### `[exec]`"),
];

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consumers.md")).unwrap()
}

#[test]
fn the_agents_keys_are_described_with_their_true_defaults() {
    let (document, schema) = (document(), schema());
    let tables = schema["$defs"].as_object().unwrap().iter().map(|(name, it)| (name.as_str(), it));
    let tables: BTreeMap<&str, &Value> = tables.chain([("Agent", &schema)]).collect();
    let mut wrong = Vec::new();
    for (table, heading) in HEADINGS {
        let Some(section) = document.split(&format!("\n{heading}\n")).nth(1) else {
            wrong.push(format!("there is no heading {heading}"));
            continue;
        };
        let section = section.split("\n#").next().unwrap();
        let rows: BTreeMap<&str, &str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
        let keys = tables[table]["properties"].as_object().unwrap();
        for (key, it) in keys {
            match (rows.get(key.as_str()), it.get("default").filter(|it| !it.is_object())) {
                (None, _) => wrong.push(format!("{heading}: {key} is missing")),
                (Some(row), Some(default)) if !row.contains(&format!("| `{default}` |")) => {
                    wrong.push(format!("{heading}: the default of {key} is {default}"));
                }
                (Some(_), _) => {}
            }
        }
        wrong.extend(
            rows.keys().filter(|key| !keys.contains_key(**key)).map(|key| format!("{heading}: no {key}")),
        );
    }
    let described: Vec<&str> = HEADINGS.iter().map(|(table, _)| *table).collect();
    let with_keys = tables.iter().filter(|(_, it)| it.get("properties").is_some()).map(|(name, _)| *name);
    wrong.extend(
        with_keys
            .filter(|it| !described.contains(it) && *it != "Secret")
            .map(|it| format!("{it} is not described")),
    );
    assert!(wrong.is_empty(), "docs/consumers.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_configuration_in_the_document_is_valid_without_a_warning() {
    let document = document();
    let blocks: Vec<&str> =
        document.split("```toml agent\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3, "only {} configurations were found", blocks.len());
    for block in blocks {
        let mode = if block.contains("path_variable") || block.contains("[exec]") {
            Mode::Exec
        } else {
            Mode::Beside
        };
        match load(block, "docs/consumers.md", mode) {
            Ok(config) => assert!(config.warnings.problems.is_empty(), "{block}\n{}", config.warnings),
            Err(problems) => panic!("{block}\n{problems}"),
        }
    }
}

#[test]
fn a_wrong_configuration_is_refused_with_place_and_key_and_without_any_value() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.toml");
    for (text, says) in [
        (
            "[secrets.tts]\nfrom.fil = \"/planted\"\nto.path = \"/k\"\n",
            vec!["`secrets.tts.from.fil`", ":2:", "did you mean `file`"],
        ),
        (
            "[secrets.tts]\nfrom.file = \"planted\"\nto.path = \"/k\"\n",
            vec!["`secrets.tts.from.file`", ":2:", "absolute path"],
        ),
        ("[secrets.tts]\nfrom.file = \"/s\"\n", vec![":1:", "would not receive this secret"]),
        (
            "[secrets.tts]\nfrom.file = \"/s\"\nto.path = \"/s\"\n",
            vec![":3:", "a secret is read from this file"],
        ),
        (
            "[secrets.tts]\nfrom.file = \"/s\"\nto = { path = \"/k\", mode = \"0666\" }\n",
            vec!["mode`", "other users"],
        ),
        (
            "[secrets.tts]\nfrom.file = \"/s\"\nto.path = \"/k\"\n[rekeyd]\nconsumer = \"api\"\ntoken.file = \"/t\"\n",
            vec!["without knowing whether the application uses them"],
        ),
        ("[secrets.tts]\nfrom.file = \"/s\"\nto.path = \"/k\"\n[on_change]\n", vec!["exactly one method"]),
        (
            "[secrets.tts]\nfrom.file = \"/s\"\nto.path = \"/k\"\n[on_change]\nurl = \"https://planted.example/x\"\n",
            vec![":5:", "loopback"],
        ),
        (
            "[secrets.tts]\nfrom.file = \"/s\"\nto.path = \"/k\"\n[on_change]\ncommand = [\"true\"]\n[rekeyd]\nurl = \"http://planted.example\"\nconsumer = \"api\"\ntoken.file = \"/t\"\n",
            vec![":7:", "unencrypted"],
        ),
        ("this is not planted TOML", vec!["this is not TOML", ":1:"]),
        ("", vec!["no secret to follow", "secrets"]),
    ] {
        fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
            .arg("agent")
            .arg("--config")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}\n{said}");
        assert!(says.iter().any(|words| said.contains(words)), "{text}\n{said}");
        for words in &says[..says.len().min(if text.is_empty() { 1 } else { says.len() })] {
            assert!(said.contains(words) || text.is_empty(), "no `{words}`: {text}\n{said}");
        }
        assert!(!said.contains("planted") && said.contains("agent.toml"), "{said}");
    }
}

#[test]
fn flags_alone_say_the_same_as_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("source"), "sk_flags").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(["agent", "--credential", "tts", "--file", &path("source"), "--to", &path("key")])
        .args(["--path-variable", "KEY_FILE", "--exec", "--", "sh", "-c", "cat $KEY_FILE; exit 5"])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(5), b"sk_flags".as_slice()));
    for (flags, code) in [
        (vec![], 2),
        (vec!["--exec"], 2),
        (vec!["--config", "/x", "--file", "/y"], 2),
        (vec!["--credential", "tts", "--file", "relative", "--to", "/k"], 78),
        (vec!["--credential", "tts", "--file", "/s", "--to", "/k", "--consumer", "api"], 78),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_rekeyd")).arg("agent").args(&flags).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{flags:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
