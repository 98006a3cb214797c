//! The text of a secret: the value itself, or a JSON object with the value in one field. The same for every store.

use zeroize::Zeroizing;

use crate::adapters::json_field;
use crate::adapters::json_field::BadJson;
use crate::config_file::findings::nearest;
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::domain::sanitize::quoted;
use crate::domain::secret::SecretValue;

const FIELDS_NAMED_MAX: usize = 10;

/// The text to write: `value` merged into `base`, the text that it replaces.
///
/// # Errors
/// `Invalid`: the base is no JSON object that could take the field, or other programs read it in another shape: they would
/// lose their fields, or look for the key in another one.
pub(crate) fn compose(
    destination: &Destination,
    base: Option<&str>,
    value: &str,
) -> Result<Zeroizing<String>, Failure> {
    match &destination.json_field {
        None => {
            let fields = base.and_then(json_field::names).unwrap_or_default();
            if fields.is_empty() {
                Ok(Zeroizing::new(value.to_owned()))
            } else {
                Err(an_object(destination, &fields))
            }
        }
        Some(field) => {
            let fields = base.and_then(json_field::names).unwrap_or_default();
            if !destination.create_field && !fields.is_empty() && !fields.contains(field) {
                return Err(no_such_field(destination, field, &fields));
            }
            json_field::set(base.unwrap_or("{}"), field, value).map_err(|bad| unfit(destination, bad))
        }
    }
}

/// The value in a text; `None` if the text has none that could be a key.
pub(crate) fn extract(destination: &Destination, text: &str) -> Option<SecretValue> {
    match &destination.json_field {
        None => SecretValue::new(text.to_owned()).ok(),
        Some(field) => json_field::get(text, field).ok().flatten(),
    }
}

fn an_object(destination: &Destination, fields: &[String]) -> Failure {
    let message = format!(
        "cannot publish a key as the whole of {destination}: it is a JSON object with the fields {}, which would be lost; name \
         the field of the key as `json_field`",
        list(fields)
    );
    Failure::rejected(Kind::Invalid, message)
}

fn no_such_field(destination: &Destination, field: &str, fields: &[String]) -> Failure {
    let hint = nearest(field, fields.iter().map(String::as_str))
        .map_or_else(String::new, |there| format!("; did you mean {}", quoted(there)));
    let message = format!(
        "cannot publish a key to the field {} of {destination}: the secret has the fields {}{hint}; correct `json_field`, or set \
         `create_field = true` to add the field",
        quoted(field),
        list(fields)
    );
    Failure::rejected(Kind::Invalid, message)
}

fn list(fields: &[String]) -> String {
    let more = fields.len().saturating_sub(FIELDS_NAMED_MAX);
    let named: Vec<String> = fields.iter().take(FIELDS_NAMED_MAX).map(|field| quoted(field)).collect();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", named.join(", "))
}

fn unfit(destination: &Destination, bad: BadJson) -> Failure {
    let advice = match bad {
        BadJson::NotAnObject => {
            "make it one, or leave `json_field` out to publish the value as the whole secret"
        }
        BadJson::Twice => "leave one of them",
        BadJson::NotText => "empty it, or name another field",
    };
    Failure::rejected(Kind::Invalid, format!("cannot merge a key into {destination}: {bad}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::StoreName;

    fn to(json_field: Option<&str>, create_field: bool) -> Destination {
        let store = StoreName::new("aws").unwrap();
        let json_field = json_field.map(str::to_owned);
        Destination { store, secret: "prod/tts".to_owned(), json_field, create: false, create_field }
    }

    fn refused(to: &Destination, base: &str) -> String {
        compose(to, Some(base), "new").unwrap_err().message
    }

    #[test]
    fn a_key_never_replaces_an_object_that_others_read() {
        let message = refused(&to(None, false), r#"{"db_password": "x", "xi_api_key": "y"}"#);
        assert!(
            message.contains("`db_password`, `xi_api_key`") && message.contains("`json_field`"),
            "{message}"
        );
        for replaced in ["old", "", "{}", "[1]", r#""text""#] {
            assert_eq!(*compose(&to(None, false), Some(replaced), "new").unwrap(), "new");
        }
    }

    #[test]
    fn a_field_that_nobody_reads_is_not_added_unless_the_policy_says_so() {
        let base = r#"{"XI_API_KEY": "y", "other": 1}"#;
        let message = refused(&to(Some("xi_api_key"), false), base);
        assert!(message.contains("did you mean `XI_API_KEY`"), "{message}");
        assert!(
            message.contains("`XI_API_KEY`, `other`") && message.contains("create_field = true"),
            "{message}"
        );
        assert!(!refused(&to(Some("zzz"), false), base).contains("did you mean"));
        assert!(refused(&to(Some("xi_apikey"), false), base).contains("did you mean `XI_API_KEY`"));
        let added = compose(&to(Some("xi_api_key"), true), Some(base), "new").unwrap();
        assert!(added.contains(r#""xi_api_key""#) && added.contains("XI_API_KEY"), "{}", *added);
        for replaced in [None, Some("{}"), Some(r#"{"xi_api_key": null, "a": 1}"#)] {
            assert!(compose(&to(Some("xi_api_key"), false), replaced, "new").is_ok());
        }
    }

    #[test]
    fn an_object_with_many_fields_names_ten() {
        let fields: Vec<String> = (10..30).map(|n| format!(r#""field{n}": {n}"#)).collect();
        let message = refused(&to(None, false), &format!("{{{}}}", fields.join(",")));
        assert!(message.contains("`field19` and 10 more") && !message.contains("field20"), "{message}");
    }
}
