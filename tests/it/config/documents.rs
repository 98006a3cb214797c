//! The documents about the policy say what the program does.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rekeyd::config::{self, schema};
use serde_json::Value;

/// The heading of `docs/policy.md` under which each table of the schema is described.
const HEADINGS: &[(&str, &str)] = &[
    ("Policy", "## The file"),
    ("Daemon", "## `[daemon]`"),
    ("Acceptances", "### `acceptances`"),
    ("Links", "### `links`"),
    ("Tls", "### `tls`"),
    ("Journal", "### `journal`"),
    ("Sqlite", "### `journal.sqlite`"),
    ("Workspace", "## `[workspaces.NAME]`"),
    ("AdminKey", "### `admin_key`"),
    ("Breaker", "### `breaker`"),
    ("Leaks", "## `[leaks]`"),
    ("Notify", "## `[notify.NAME]`"),
    ("Slack", "### `[notify.NAME.slack]`"),
    ("PagerDuty", "### `[notify.NAME.pagerduty]`"),
    ("Generic", "### `[notify.NAME.generic]`"),
    ("Readers", "## `[readers]`"),
    ("Metrics", "## `[metrics]`"),
    ("Probe", "### `probes`"),
    ("Secret", "### A reference to a secret"),
    ("Consumer", "## `[consumers.NAME]`"),
    ("Defaults", "## `[defaults]`"),
    ("Credential", "## `[credentials.NAME]`"),
    ("CreateAccount", "### `create_account`"),
    ("Destination", "### `publish_to`"),
    ("Calendar", "### `cron`"),
    ("Window", "### `window`"),
    ("Overlap", "### `overlap`"),
    ("WaitFor", "### `wait_for`"),
    ("Freeze", "### `freeze`"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every table of the schema with its keys and their defaults, where they have one.
fn tables() -> BTreeMap<String, BTreeMap<String, Option<Value>>> {
    let schema = schema::value();
    let definitions = schema["$defs"].as_object().unwrap();
    let named = definitions.iter().map(|(name, definition)| (name.clone(), definition));
    let keys = |definition: &Value| {
        let keys = definition.get("properties")?.as_object()?;
        Some(keys.iter().map(|(key, it)| (key.clone(), it.get("default").cloned())).collect())
    };
    named
        .chain([("Policy".to_owned(), schema)])
        .filter_map(|(name, definition)| Some((name, keys(definition)?)))
        .collect()
}

#[test]
fn the_committed_schema_is_the_one_that_the_program_prints() {
    let committed = fs::read_to_string(root().join("config/policy.schema.json")).unwrap();
    assert!(
        committed == schema::text(),
        "config/policy.schema.json is stale: `cargo run -- schema > config/policy.schema.json`"
    );
    assert_eq!(schema::value()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn every_example_policy_is_valid_without_a_warning() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#:schema ./policy.schema.json\n"), "{}", path.display());
        match config::load(&text, &path.display().to_string(), &BTreeMap::new()) {
            Ok(config) => assert!(config.warnings().problems.is_empty(), "{}", config.warnings()),
            Err(problems) => panic!("{problems}"),
        }
        count += 1;
    }
    assert!(count >= 4, "only {count} examples");
}

#[test]
fn the_reference_policy_shows_every_key_and_its_true_default() {
    let reference = fs::read_to_string(root().join("config/rekeyd.toml")).unwrap();
    for (table, keys) in tables().into_iter().filter(|(table, _)| table != "Policy" && table != "Journal") {
        for (key, default) in keys {
            let shows = |line: &&str| {
                let is_word = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let starts = line.match_indices(&key).map(|(at, _)| at);
                starts.into_iter().any(|at| {
                    let rest = &line[at + key.len()..];
                    is_word(&line[..at]) && (rest.starts_with(" =") || rest.starts_with(['.', ']']))
                })
            };
            assert!(
                reference.lines().any(|line| shows(&line)),
                "{table}.{key} is not in the reference policy"
            );
            // Two tables may have a key of one name: one of the lines has to show each default.
            let prefix = format!("# {key} = ");
            let commented = reference.lines().filter_map(|line| line.strip_prefix(&prefix));
            let written: Vec<&str> = commented.map(|line| line.split("  ").next().unwrap()).collect();
            if let Some(default) = default.filter(|_| !written.is_empty()) {
                assert!(written.contains(&default.to_string().as_str()), "{table}.{key}: {written:?}");
            }
        }
    }
}

#[test]
fn the_reference_describes_every_key_with_its_true_default() {
    let reference = fs::read_to_string(root().join("docs/policy.md")).unwrap();
    let tables = tables();
    // The tables of stores are in `docs/stores.md`, which is generated.
    let stores = &schema::value()["$defs"]["Store"]["properties"];
    let stores =
        stores.as_object().unwrap().values().filter_map(|it| it["$ref"].as_str()?.rsplit('/').next());
    let described: Vec<&str> =
        HEADINGS.iter().map(|(table, _)| *table).chain(stores).chain(["Store"]).collect();
    let mut missing: Vec<String> =
        tables.keys().filter(|table| !described.contains(&table.as_str())).cloned().collect();
    for (table, heading) in HEADINGS {
        let Some(section) = reference.split(&format!("\n{heading}\n")).nth(1) else {
            missing.push(format!("the heading {heading}"));
            continue;
        };
        let section = section.split("\n#").next().unwrap();
        let rows: BTreeMap<&str, &str> =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
        for (key, default) in &tables[*table] {
            match (rows.get(key.as_str()), default) {
                (None, _) => missing.push(format!("{heading}: {key}")),
                (Some(row), Some(default)) if !row.contains(&format!("| `{default}` |")) => {
                    missing.push(format!("{heading}: the default {default} of {key}"));
                }
                (Some(_), _) => {}
            }
        }
        let unknown = rows.keys().filter(|key| !tables[*table].contains_key(**key));
        missing.extend(unknown.map(|key| format!("{heading}: there is no {key}")));
    }
    assert!(missing.is_empty(), "docs/policy.md:\n{}", missing.join("\n"));
}
