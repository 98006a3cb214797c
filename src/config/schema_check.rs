//! Validates a parsed file against the schema: unknown and missing keys, wrong types and unknown words. Invalid parts are
//! removed, so that the rest can be checked in the same run.

use std::ops::Range;

use serde_json::Value;
use serde_spanned::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use crate::config::raw::UNQUOTED;
use crate::config_file::findings::{Findings, listed, looks_like_a_secret, nearest, shown};

/// Reports what does not fit `schema` and leaves in `document` what does.
pub(crate) fn hold(document: &mut Spanned<DeTable<'_>>, schema: &Value, findings: &mut Findings) {
    let mut walk = Walk { root: schema, findings };
    let span = document.span();
    walk.table(schema, "", &span, document.get_mut());
}

struct Walk<'w> {
    root: &'w Value,
    findings: &'w mut Findings,
}

/// What becomes of a value that was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
}

impl<'w> Walk<'w> {
    /// `span` is where problems of the table as a whole are shown.
    fn table(&mut self, schema: &'w Value, path: &str, span: &Range<usize>, table: &mut DeTable<'_>) {
        let known = schema.get("properties").and_then(Value::as_object);
        let any = schema.get("additionalProperties").filter(|any| any.is_object());
        let mut gone = Vec::new();
        for (key, value) in table.iter_mut() {
            let (word, at) = (key.get_ref().as_ref(), key.span());
            let below = join(path, word);
            match (known.and_then(|known| known.get(word)), any) {
                (Some(schema), _) => {
                    if self.value(schema, &below, &at, value) == Fate::Goes {
                        gone.push(word.to_owned());
                    }
                }
                (None, Some(schema)) => {
                    self.findings.index(&at, &below);
                    if looks_like_a_secret(word) {
                        self.secret(&below, &at);
                    }
                    if self.value(schema, &below, &at, value) == Fate::Goes {
                        // The name stays declared, so that what refers to it is not reported as well.
                        *value = Spanned::new(value.span(), DeValue::Table(DeTable::new()));
                    }
                }
                (None, None) => {
                    let words = known.into_iter().flat_map(|known| known.keys()).map(String::as_str);
                    self.unknown_key(path, &below, word, &at, words.collect());
                    gone.push(word.to_owned());
                }
            }
        }
        self.required(schema, path, span, table);
        for word in &gone {
            table.remove(word.as_str());
        }
        let at_least_one = schema.get("minProperties").is_some();
        if let Some(known) = known.filter(|_| at_least_one && table.is_empty())
            && schema.get("maxProperties") != Some(&Value::from(1))
            && !self.findings.is_explained(path)
        {
            let help = format!("use one of {}", listed(known.keys().map(String::as_str)));
            self.findings.error_of(path.to_owned(), span, "one of its keys is required", help);
        }
        if let Some(known) = known.filter(|_| schema.get("maxProperties") == Some(&Value::from(1))) {
            if table.len() != 1 && !self.findings.is_explained(path) {
                let rule = match table.len() {
                    0 => "exactly one of its keys is required, and none is set",
                    _ => "exactly one of its keys is required, and several are set",
                };
                let help = format!("use one of {}", listed(known.keys().map(String::as_str)));
                self.findings.error_of(path.to_owned(), span, rule, help);
            }
            if table.len() > 1 {
                table.clear();
            }
        }
    }

    fn required(&mut self, schema: &Value, path: &str, span: &Range<usize>, table: &DeTable<'_>) {
        let required = schema.get("required").and_then(Value::as_array);
        for word in required.into_iter().flatten().filter_map(Value::as_str) {
            let key = join(path, word);
            if !table.contains_key(word) && !self.findings.is_explained(&key) {
                let example = schema.get("properties").and_then(|known| known.get(word));
                let help = example.and_then(|schema| self.example(schema)).map_or_else(
                    || format!("set `{word}`"),
                    |example| format!("set it, for example `{word} = {example}`"),
                );
                self.findings.error_of(key, span, "missing key", help);
            }
        }
    }

    /// `at` is where the value's key stands.
    fn value<'i>(
        &mut self,
        schema: &'w Value,
        path: &str,
        at: &Range<usize>,
        value: &mut Spanned<DeValue<'i>>,
    ) -> Fate {
        let outer = schema;
        let found = kind_of(value.get_ref());
        let mut schema = self.resolve(schema);
        if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
            let fits = |it: &&Value| wanted(it) == found;
            match alternatives.iter().map(|it| self.resolve(it)).find(fits) {
                Some(fitting) => schema = fitting,
                None => return self.wrong_kind(outer, path, at, value),
            }
        }
        let span = value.span();
        if wanted(schema) != found {
            return self.wrong_kind(outer, path, at, value);
        }
        match value.get_mut() {
            DeValue::Table(table) => {
                self.table(schema, path, at, table);
                return Fate::Stays;
            }
            DeValue::Array(array) => {
                self.findings.index(&span, path);
                let Some(items) = schema.get("items") else { return Fate::Stays };
                let taken = std::mem::replace(array, DeArray::new());
                for (index, mut item) in taken.into_iter().enumerate() {
                    let span = item.span();
                    if self.value(items, &format!("{path}[{index}]"), &span, &mut item) == Fate::Stays {
                        array.push(item);
                    }
                }
                return Fate::Stays;
            }
            DeValue::String(text) => {
                self.findings.index(&span, path);
                if looks_like_a_secret(text) {
                    return self.secret(path, &span);
                }
                return self.word(schema, outer, path, &span, text);
            }
            DeValue::Integer(number) => {
                self.findings.index(&span, path);
                return self.integer(schema, path, &span, number);
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                self.findings.index(&span, path);
            }
        }
        Fate::Stays
    }

    /// `outer` is what may stand here, of which `schema` is the part that fits a text.
    fn word(
        &mut self,
        schema: &Value,
        outer: &'w Value,
        path: &str,
        span: &Range<usize>,
        text: &str,
    ) -> Fate {
        let choices = schema.get("enum").and_then(Value::as_array);
        let choices: Vec<&str> = choices.into_iter().flatten().filter_map(Value::as_str).collect();
        if choices.is_empty() || choices.contains(&text) {
            return Fate::Stays;
        }
        let help = match nearest(text, choices.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? known: {}", listed(choices)),
            None => format!("use {}", self.title(outer)),
        };
        self.findings.error_of(path.to_owned(), span, "unknown value", help);
        Fate::Goes
    }

    fn integer(&mut self, schema: &Value, path: &str, span: &Range<usize>, number: &DeInteger<'_>) -> Fate {
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let bound = |name| schema.get(name).and_then(Value::as_i64);
        let (least, most) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        if number.is_some_and(|number| (least..=most).contains(&number)) {
            return Fate::Stays;
        }
        let help = match bound("maximum") {
            Some(most) => format!("use a number from {least} to {most}"),
            None => format!("use a number of at least {least}"),
        };
        self.findings.error_of(path.to_owned(), span, "number out of range", help);
        Fate::Goes
    }

    fn secret(&mut self, path: &str, span: &Range<usize>) -> Fate {
        let rule = "looks like a secret; a policy only refers to secrets";
        let help = "remove it, rotate that key, and refer to the new one with `{ file = … }`, \
                    `{ systemd_credential = … }` or `{ env = … }` where a secret is needed";
        self.findings.error_of(path.to_owned(), span, rule, help);
        Fate::Goes
    }

    fn unknown_key(&mut self, parent: &str, path: &str, word: &str, at: &Range<usize>, known: Vec<&str>) {
        let help = match nearest(word, known.iter().copied()) {
            Some(meant) => {
                self.findings.explain(join(parent, meant));
                format!("did you mean `{meant}`?")
            }
            None => format!("known keys: {}", listed(known)),
        };
        self.findings.error_of(path.to_owned(), at, "unknown key", help);
    }

    fn wrong_kind(
        &mut self,
        schema: &Value,
        path: &str,
        at: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Fate {
        let found = kind_of(value.get_ref());
        // A table's own place may be anywhere: its head, or that of a table in it.
        let span = if found == Kind::Table { at.clone() } else { value.span() };
        let rule = format!("expected {}, found {}", self.title(schema), found.name());
        let help = self.example(schema).map(|example| format!("use for example `{example}`"));
        self.findings.error_of(path.to_owned(), &span, rule, help.unwrap_or_default());
        Fate::Goes
    }

    fn resolve(&self, schema: &'w Value) -> &'w Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// What is expected, in words.
    fn title(&self, schema: &'w Value) -> String {
        let schema = self.resolve(schema);
        if let Some(title) = schema.get("title").and_then(Value::as_str) {
            return title.to_owned();
        }
        if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
            return alternatives.iter().map(|it| self.title(it)).collect::<Vec<_>>().join(" or ");
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let words = listed(choices.iter().filter_map(Value::as_str));
            return if choices.len() == 1 { words } else { format!("one of {words}") };
        }
        match (wanted(schema), schema.get("items")) {
            (Kind::Array, Some(items)) => format!("a list, each item {}", self.title(items)),
            (kind, _) => kind.name().to_owned(),
        }
    }

    /// An example, as it would stand in a policy.
    fn example(&self, schema: &'w Value) -> Option<String> {
        let inner = self.resolve(schema);
        let examples = schema.get("examples").or_else(|| inner.get("examples"));
        let schema = inner;
        if let Some(example) = examples.and_then(|examples| examples.get(0)) {
            let unquoted = schema.get(UNQUOTED).is_some();
            return Some(
                example.as_str().filter(|_| unquoted).map_or_else(|| inline(example), str::to_owned),
            );
        }
        if let Some(choice) = schema.get("enum").and_then(|choices| choices.get(0)) {
            return Some(inline(choice));
        }
        if let Some(items) = schema.get("items") {
            return self.example(items).map(|example| format!("[{example}]"));
        }
        match (wanted(schema), schema.get("minimum")) {
            (Kind::Boolean, _) => Some("true".to_owned()),
            (Kind::Integer, Some(least)) => Some(least.to_string()),
            _ => schema.get("anyOf")?.as_array()?.iter().find_map(|it| self.example(it)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
    Moment,
    Array,
    Table,
    Anything,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Boolean => "a boolean",
            Self::Moment => "a date or time",
            Self::Array => "a list",
            Self::Table => "a table",
            Self::Anything => "any value",
        }
    }
}

fn kind_of(value: &DeValue<'_>) -> Kind {
    match value {
        DeValue::String(_) => Kind::Text,
        DeValue::Integer(_) => Kind::Integer,
        DeValue::Float(_) => Kind::Float,
        DeValue::Boolean(_) => Kind::Boolean,
        DeValue::Datetime(_) => Kind::Moment,
        DeValue::Array(_) => Kind::Array,
        DeValue::Table(_) => Kind::Table,
    }
}

fn wanted(schema: &Value) -> Kind {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if schema.get(UNQUOTED).is_some() => Kind::Moment,
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Float,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::Array,
        Some("object") => Kind::Table,
        _ => Kind::Anything,
    }
}

fn join(path: &str, word: &str) -> String {
    let word = shown(word);
    let word = if word.contains('.') { format!("\"{word}\"") } else { word.to_owned() };
    if path.is_empty() { word } else { format!("{path}.{word}") }
}

/// A JSON value as TOML, on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key} = {}", inline(value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
