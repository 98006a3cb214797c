//! Reads and replaces one top-level text field of a JSON object by splicing: every other byte stays as it was, and the same
//! input gives the same bytes, so that a retry writes the same secret. Errors never show content.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::domain::secret::SecretValue;

/// Why a field cannot be read or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadJson {
    #[error("the secret is not a JSON object")]
    NotAnObject,
    #[error("the secret has the field more than once")]
    Twice,
    #[error("the field holds something else than a text")]
    NotText,
}

/// The names of the fields; `None` if the text is not a JSON object.
pub(crate) fn names(text: &str) -> Option<Vec<String>> {
    let object: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_str(text).ok();
    object.map(|object| object.into_keys().collect())
}

/// The field's value; `None` if the field does not exist or cannot be a key.
///
/// # Errors
/// The text is not a JSON object, or has the field twice.
pub(crate) fn get(text: &str, field: &str) -> Result<Option<SecretValue>, BadJson> {
    let object = Object::scan(text, field)?;
    let Some(value) = object.value.and_then(|span| text.get(span)) else {
        return Ok(None);
    };
    let value: Option<String> = serde_json::from_str(value).ok();
    Ok(value.and_then(|value| SecretValue::new(value).ok()))
}

/// The text with the field set to `value`: in its place if it exists, else as the last field.
///
/// # Errors
/// The text is not a JSON object, has the field twice, or the field is neither a text nor null.
pub(crate) fn set(text: &str, field: &str, value: &str) -> Result<Zeroizing<String>, BadJson> {
    let object = Object::scan(text, field)?;
    let value = quoted(value);
    let (replaced, lead) = match object.value {
        Some(span) => {
            let old = text.get(span.clone()).unwrap_or_default();
            if !old.starts_with('"') && old != "null" {
                return Err(BadJson::NotText);
            }
            (span, String::new())
        }
        None => {
            // A pretty-printed object stays one: the new field begins the way the first one does.
            let indent = text.get(object.indent).unwrap_or_default();
            let (comma, indent) = if object.is_empty { ("", "") } else { (",", indent) };
            let colon = if indent.is_empty() { ":" } else { ": " };
            let at = object.last_end;
            (at..at, format!("{comma}{indent}{}{colon}", quoted(field).as_str()))
        }
    };
    let before = text.get(..replaced.start).unwrap_or_default();
    let after = text.get(replaced.end..).unwrap_or_default();
    // Its size is known beforehand, so that growing leaves no copy behind.
    let mut spliced = Zeroizing::new(String::with_capacity(text.len() + lead.len() + value.len()));
    for part in [before, &lead, &value, after] {
        spliced.push_str(part);
    }
    Ok(spliced)
}

fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(text).to_string())
}

/// Positions in an object's text.
struct Object {
    /// The wanted field's value.
    value: Option<Range<usize>>,
    /// The white space between the opening brace and the first key.
    indent: Range<usize>,
    /// Where the last value ends, or the opening brace of an empty object.
    last_end: usize,
    is_empty: bool,
}

impl Object {
    fn scan(text: &str, field: &str) -> Result<Self, BadJson> {
        // The scan below relies on valid JSON; serde_json also bounds the depth.
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| BadJson::NotAnObject)?;
        let bytes = text.as_bytes();
        let open = after_space(bytes, 0);
        if bytes.get(open) != Some(&b'{') {
            return Err(BadJson::NotAnObject);
        }
        let first = after_space(bytes, open + 1);
        let mut object = Self { value: None, indent: open + 1..first, last_end: open + 1, is_empty: true };
        let mut at = first;
        while bytes.get(at) == Some(&b'"') {
            let key = at..string_end(bytes, at);
            let colon = after_space(bytes, key.end);
            let start = after_space(bytes, colon + 1);
            let value = start..value_end(bytes, start);
            let name: Option<String> = text.get(key).and_then(|key| serde_json::from_str(key).ok());
            object.last_end = value.end;
            object.is_empty = false;
            at = after_space(bytes, after_space(bytes, value.end) + 1);
            if name.as_deref() == Some(field) && object.value.replace(value).is_some() {
                return Err(BadJson::Twice);
            }
        }
        Ok(object)
    }
}

fn after_space(bytes: &[u8], from: usize) -> usize {
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    from + bytes.iter().skip(from).take_while(space).count()
}

/// The end of the string whose opening quote is at `from`.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the value that begins at `from`.
fn value_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_is_set_and_nothing_else_changes() {
        for (before, after) in [
            (r#"{}"#, r#"{"key":"new"}"#),
            (r#"{ }"#, r#"{"key":"new" }"#),
            (r#"{"key":"old"}"#, r#"{"key":"new"}"#),
            (r#"{"key":null}"#, r#"{"key":"new"}"#),
            (
                r#"{"\u006bey" : "o\"ld\\" , "b":[1,{"key":"x"}]}"#,
                r#"{"\u006bey" : "new" , "b":[1,{"key":"x"}]}"#,
            ),
            (r#"{"a":1.50,"b":"}{\","}"#, r#"{"a":1.50,"b":"}{\",","key":"new"}"#),
            ("{\n  \"a\": {\"key\": 1e400}\n}\n", "{\n  \"a\": {\"key\": 1e400},\n  \"key\": \"new\"\n}\n"),
            (
                r#" {"a":12345678901234567890123,"é":"ü"} "#,
                r#" {"a":12345678901234567890123,"é":"ü","key":"new"} "#,
            ),
        ] {
            let set = set(before, "key", "new").unwrap();
            assert_eq!(set.as_str(), after, "{before}");
            assert_eq!(get(&set, "key").unwrap().unwrap().expose(), "new", "{before}");
            assert_eq!(super::set(&set, "key", "new").unwrap().as_str(), after, "again: {before}");
        }
    }

    #[test]
    fn what_is_no_object_with_such_a_field_is_refused() {
        for (text, error) in [
            ("", BadJson::NotAnObject),
            ("sk_plain", BadJson::NotAnObject),
            (r#""text""#, BadJson::NotAnObject),
            ("[{}]", BadJson::NotAnObject),
            (r#"{"a":1"#, BadJson::NotAnObject),
            (r#"{"a":1}}"#, BadJson::NotAnObject),
            (r#"{"key":"a","key":"b"}"#, BadJson::Twice),
            (r#"{"key":{"nested":1}}"#, BadJson::NotText),
            (r#"{"key":7}"#, BadJson::NotText),
        ] {
            assert_eq!(set(text, "key", "new").map(|_| ()), Err(error), "{text}");
        }
        assert!(get(r#"{"key":7}"#, "key").unwrap().is_none());
        assert!(get(r#"{"a":"b"}"#, "key").unwrap().is_none());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-z\"\\\\{},]{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_keeps_its_other_fields(
            fields in prop::collection::btree_map("[a-z\"\\\\{}:,é]{0,6}", json(), 0..6),
            value in "[!-~]{1,40}",
            pretty in any::<bool>(),
        ) {
            let mut object: serde_json::Map<String, serde_json::Value> = fields.into_iter().collect();
            object.remove("the key");
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let spliced = set(&text.unwrap(), "the key", &value).unwrap();
            object.insert("the key".to_owned(), value.clone().into());
            let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&spliced).unwrap();
            prop_assert_eq!(&read, &object);
            let again = set(&spliced, "the key", "x").unwrap();
            let back = set(&again, "the key", &value).unwrap();
            prop_assert_eq!(back.as_str(), spliced.as_str());
        }
    }
}
