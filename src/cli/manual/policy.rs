//! The manual page of the policy, generated from its schema.

use std::io;

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use serde_json::Value;

use crate::config::schema;

/// The schema nests no deeper; a reference to itself would.
const DEPTH_MAX: usize = 8;

pub(super) fn page() -> io::Result<Vec<u8>> {
    let schema = schema::value();
    let mut roff = Roff::new();
    let source = format!("rekeyd {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["rekeyd-policy", "5", super::DATE, source.as_str(), "rekeyd"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("rekeyd-policy - credentials that rekeyd rotates, their stores and schedules")]);
    roff.control("SH", ["DESCRIPTION"]);
    let text = "The policy is a TOML file. rekeyd check reports its errors and warnings, and rekeyd schema prints its JSON Schema for editors. In the list of keys, a dot separates nested tables, NAME stands for a name that you choose, and [] marks a list of tables.";
    roff.text([roman(text)]);
    roff.control("SH", ["KEYS"]);
    keys(&mut roff, schema, schema, "", 0);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("rekeyd(8), rekeyd-check(8), rekeyd-schema(8)")]);
    let mut text = Vec::new();
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn keys(roff: &mut Roff, schema: &Value, of: &Value, path: &str, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let of = resolved(schema, of);
    let required: Vec<&str> = of
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in of.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        key(roff, schema, property, &path, required.contains(&name.as_str()));
        keys(roff, schema, property, &path, depth + 1);
    }
    if let Some(named) = of.get("additionalProperties").filter(|it| it.is_object()) {
        keys(roff, schema, named, &format!("{path}.NAME"), depth + 1);
    }
    if let Some(items) = of.get("items") {
        keys(roff, schema, items, &format!("{path}[]"), depth + 1);
    }
}

fn key(roff: &mut Roff, schema: &Value, property: &Value, path: &str, required: bool) {
    let resolved = resolved(schema, property);
    roff.control("TP", []);
    let mut title: Vec<Inline> = vec![bold(path.to_owned())];
    if let Some(kind) = kind(property).or_else(|| kind(resolved)) {
        title.push(roman(" "));
        title.push(italic(kind));
    }
    if required {
        title.push(roman(" (required)"));
    }
    roff.text(title);
    let text = property.get("description").or_else(|| resolved.get("description")).and_then(Value::as_str);
    let text = text.unwrap_or_default().replace('\n', " ");
    let default = property.get("default").map(|default| format!(" Default: {default}."));
    roff.text([roman(format!("{text}{}", default.unwrap_or_default()))]);
}

/// The type of a key's value; `None` for tables, whose keys follow.
fn kind(property: &Value) -> Option<String> {
    let word = match property.get("type")? {
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).find(|word| *word != "null")?.to_owned()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    (word != "object").then_some(word)
}

/// Follows a `$ref`, also of an optional value.
fn resolved<'s>(schema: &'s Value, of: &'s Value) -> &'s Value {
    let choices = of.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let reference = choices.chain([of]).find_map(|it| it.get("$ref").and_then(Value::as_str));
    let pointed = reference.and_then(|it| schema.pointer(it.strip_prefix('#')?));
    pointed.unwrap_or(of)
}
