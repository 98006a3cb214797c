//! A secret value in memory, and the fingerprint that may be shown in its place.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const VALUE_BYTES_MAX: usize = 4096;
/// Of a token: fewer can be tried, one after the other.
pub const TOKEN_CHARACTERS_MIN: usize = 16;
const FINGERPRINT_BYTES: usize = 8;

/// A key's value or a token. It has no `Debug`, no `Display` and no `Serialize`, so that it cannot be printed by
/// accident; its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<String>);

/// Why a text is refused as a secret value. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("the value is empty")]
    Empty,
    #[error("the value is longer than {VALUE_BYTES_MAX} bytes")]
    Long,
    #[error("the value holds something else than printable ASCII without spaces")]
    Unprintable,
}

impl SecretValue {
    /// Takes the value over; it is wiped also when it is refused.
    ///
    /// # Errors
    /// Refuses what could not be a header value or would not survive a file with a newline at its end.
    pub fn new(value: String) -> Result<Self, BadSecret> {
        let value = Zeroizing::new(value);
        if value.is_empty() {
            Err(BadSecret::Empty)
        } else if value.len() > VALUE_BYTES_MAX {
            Err(BadSecret::Long)
        } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(BadSecret::Unprintable)
        } else {
            Ok(Self(value))
        }
    }

    /// The value itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }

    /// Whether somebody who wants to come in by it could guess it.
    #[must_use]
    pub fn is_short_for_a_token(&self) -> bool {
        self.0.len() < TOKEN_CHARACTERS_MIN
    }

    /// Compares without telling by its duration where two values differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        // Comparing digests leaks nothing usable about the values, whatever the comparison's timing.
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(other.0.as_bytes())
    }
}

/// The first 16 hex digits of a value's SHA-256: what may be logged, compared and acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[0-9a-f]{16}$"))]
pub struct Fingerprint(String);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is the first 16 hex digits, in lower case, of the value's SHA-256")]
pub struct BadFingerprint;

impl Fingerprint {
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let digest = Sha256::digest(value);
        Self(digest.iter().take(FINGERPRINT_BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = BadFingerprint;
    fn try_from(text: String) -> Result<Self, BadFingerprint> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == FINGERPRINT_BYTES * 2 && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err(BadFingerprint)
        }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_a_prefix_of_sha256() {
        assert_eq!(Fingerprint::of(b"abc").as_str(), "ba7816bf8f01cfea");
        assert!(Fingerprint::try_from("ba7816bf8f01cfea".to_owned()).is_ok());
        for bad in ["", "BA7816BF8F01CFEA", "ba7816bf8f01cfe", "ba7816bf8f01cfeg"] {
            assert!(Fingerprint::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_is_printable_ascii_of_a_sane_length() {
        assert!(SecretValue::new("sk_0123".to_owned()).is_ok());
        for bad in ["", "two words", "new\nline", "ü", &"x".repeat(VALUE_BYTES_MAX + 1)] {
            assert!(SecretValue::new(bad.to_owned()).is_err());
        }
    }
}
