//! The text of a secret: the value itself, or a JSON object with the value in one field. The same for every store.

use zeroize::Zeroizing;

use crate::adapters::json_field;
use crate::adapters::json_field::BadJson;
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;

/// The text to write: `value` merged into `base`, the text that it replaces.
///
/// # Errors
/// `Invalid`: the base is no JSON object that could take the field.
pub(crate) fn compose(
    destination: &Destination,
    base: Option<&str>,
    value: &str,
) -> Result<Zeroizing<String>, Failure> {
    match &destination.json_field {
        None => Ok(Zeroizing::new(value.to_owned())),
        Some(field) => {
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
