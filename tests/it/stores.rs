//! What each kind of store declares, committed as `docs/stores.md`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use rekeyd::config::{agent, schema};
use rekeyd::ports::store_kind::{StoreKind, StoreOperation};
use rekeyd::stores::KINDS;
use serde_json::Value;

use crate::support::blessed;

const HEAD: &str = "# Stores

The kinds of secrets store that rekeyd publishes to. A policy declares a store by a table of its kind, and credentials refer
to it by its name:

```toml
[workspaces.prod]
base_url = \"https://api.elevenlabs.io\"
admin_key = { systemd_credential = \"elevenlabs-admin-key\" }

[stores.local.directory]
path = \"/run/rekeyd/secrets\"

[credentials.tts-backend]
service_account = \"tts-backend\"
every = \"30d\"
publish_to = [{ store = \"local\", secret = \"tts-backend\" }]
```

This page is generated from what each kind declares in `src/adapters/`.
";

#[test]
fn every_store_is_described_as_it_declares_itself() {
    blessed::compare("docs/stores.md", &document());
}

#[test]
fn the_declared_keys_are_those_of_the_schemas() {
    let keys =
        |properties: &Value| -> Vec<String> { properties.as_object().unwrap().keys().cloned().collect() };
    let declared = |key: fn(&StoreKind) -> Option<&'static str>| {
        let mut declared: Vec<String> = KINDS.iter().filter_map(|kind| Some(key(kind)?.to_owned())).collect();
        declared.sort();
        declared
    };
    assert_eq!(keys(&schema::value()["$defs"]["Store"]["properties"]), declared(|kind| Some(kind.key)));
    assert_eq!(
        keys(&agent::schema()["$defs"]["Origin"]["properties"]),
        declared(|kind| Some(kind.followed.as_ref()?.key))
    );
}

fn document() -> String {
    let agent = agent::schema();
    let mut text = HEAD.to_owned();
    for kind in KINDS {
        let table = definition(schema::value(), "Store", kind.key);
        write!(text, "\n## `{}`\n\n{}\n", kind.key, description(table)).unwrap();
        write!(text, "\n{}", keys(table, &format!("[stores.NAME.{}]", kind.key))).unwrap();
        text += &properties(kind);
        text += "\n| operation | calls |\n|---|---|\n";
        for (name, operation) in OPERATIONS {
            writeln!(text, "| {name} | {} |", (kind.calls)(*operation).join(", ")).unwrap();
        }
        text += "\n| `rekeyd doctor` | checks |\n|---|---|\n";
        for check in kind.checks {
            writeln!(text, "| `{}` | {} |", check.label, check.checks).unwrap();
        }
        let Some(form) = &kind.followed else { continue };
        let key = form.key;
        let source = definition(&agent, "Origin", key);
        let field = &agent["$defs"]["Origin"]["properties"][key];
        write!(text, "\nThe [agent](consumers.md) follows such a secret by `from.{key}`: ").unwrap();
        writeln!(text, "{}", lower(description(field))).unwrap();
        let flags: Vec<String> =
            form.flags.iter().map(|it| format!("`--{} {}`", it.flag, it.value_name)).collect();
        writeln!(text, "Flags: {}. It is read every `{}` by default.", flags.join(", "), form.every).unwrap();
        if source.get("properties").is_some() {
            write!(text, "\n{}", keys(source, &format!("from.{key}"))).unwrap();
        }
    }
    text
}

const OPERATIONS: &[(&str, StoreOperation)] = &[
    ("preflight", StoreOperation::Preflight { exists: true }),
    ("preflight of a secret that does not exist", StoreOperation::Preflight { exists: false }),
    ("stage", StoreOperation::Stage { exists: true, after_preflight: true }),
    ("stage of a secret that does not exist", StoreOperation::Stage { exists: false, after_preflight: true }),
    ("read", StoreOperation::Read),
    ("promote", StoreOperation::Promote { is_current: false }),
    ("discard", StoreOperation::Discard),
];

fn properties(kind: &StoreKind) -> String {
    let created =
        if kind.is_filled_by_rekeyd { "unless `create = false`" } else { "only with `create = true`" };
    let quota =
        kind.version_quota.map(|quota| format!("at most {} versions of a secret a day", quota.per_day));
    let access = kind.access_policy.as_ref();
    let access = access.map(|form| format!("`rekeyd doctor --{}` prints what has to be allowed", form.flag));
    let init = kind.init.as_ref().map(|form| format!("`rekeyd init --store {}:{}`", form.scheme, form.value));
    let rows = [
        ("names of secrets", Some(kind.name_rule.help.to_owned())),
        ("secrets are created", Some(created.to_owned())),
        ("quota", quota),
        ("permissions", access),
        ("`rekeyd doctor --write-probe`", Some(kind.write_probe.to_owned())),
        ("first policy", init),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some(format!("| {name} | {} |\n", value?)));
    format!("\n| property | |\n|---|---|\n{}", rows.collect::<String>())
}

/// The definition that a key of a table refers to; the key itself if it refers to none.
fn definition<'s>(schema: &'s Value, table: &str, key: &str) -> &'s Value {
    let property = &schema["$defs"][table]["properties"][key];
    property["$ref"].as_str().map_or(property, |to| schema.pointer(to.strip_prefix('#').unwrap()).unwrap())
}

fn keys(table: &Value, heading: &str) -> String {
    let mut text = format!("| `{heading}` | default | meaning |\n|---|---|---|\n");
    let required: Vec<&str> =
        table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, property) in table["properties"].as_object().unwrap() {
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        writeln!(text, "| `{key}` | {default} | {} |", lower(description(property)).trim_end_matches('.'))
            .unwrap();
    }
    text
}

fn description(of: &Value) -> String {
    of["description"].as_str().unwrap().replace('\n', " ")
}

/// With a small initial, unless it begins with an abbreviation.
fn lower(text: String) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        (_, _) => text,
    }
}
