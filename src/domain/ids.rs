//! The names and marks by which things are known. A value of these types is always well formed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const NAME_CHARACTERS_MAX: usize = 64;
/// As [`check_name`] and [`check_opaque`] have it, for those who read a schema.
const OPAQUE_PATTERN: &str = "^[!-~]+$";
const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
const OPAQUE_CHARACTERS_MAX: usize = 512;

/// Why a text cannot be a name or an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a name may not be empty")]
    Empty,
    #[error("a name has at most {0} characters")]
    Long(usize),
    #[error("a name is made of a-z, A-Z, 0-9, `-`, `_` and `.`, and begins with a letter or a digit")]
    Characters,
    #[error("an id is made of printable ASCII without spaces")]
    Unprintable,
}

/// A name that an operator chose: usable in a URL path, a file name and a metric label as it is.
fn check_name(text: &str) -> Result<(), BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > NAME_CHARACTERS_MAX {
        return Err(BadName::Long(NAME_CHARACTERS_MAX));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(BadName::Characters)
    }
}

/// An id that an outside system chose: opaque, but never empty, endless or unprintable.
fn check_opaque(text: &str) -> Result<(), BadName> {
    match text {
        "" => Err(BadName::Empty),
        text if text.len() > OPAQUE_CHARACTERS_MAX => Err(BadName::Long(OPAQUE_CHARACTERS_MAX)),
        text if text.chars().all(|c| c.is_ascii_graphic()) => Ok(()),
        _ => Err(BadName::Unprintable),
    }
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $check:ident, $pattern:ident, $longest:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern, "maxLength" = $longest))]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// Says which rule the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_newtype!(
    /// A named entry of the policy: what consumers hold.
    CredentialName, check_name, NAME_PATTERN, NAME_CHARACTERS_MAX
);
text_newtype!(
    /// A workspace's name in the policy.
    WorkspaceName, check_name, NAME_PATTERN, NAME_CHARACTERS_MAX
);
text_newtype!(
    /// A store's name in the policy.
    StoreName, check_name, NAME_PATTERN, NAME_CHARACTERS_MAX
);
text_newtype!(
    /// A program that uses a credential, as the policy names it.
    ConsumerName, check_name, NAME_PATTERN, NAME_CHARACTERS_MAX
);
text_newtype!(
    /// A channel of notifications, as the policy names it.
    ChannelName, check_name, NAME_PATTERN, NAME_CHARACTERS_MAX
);
text_newtype!(
    /// ElevenLabs' `key_id`.
    KeyId, check_opaque, OPAQUE_PATTERN, OPAQUE_CHARACTERS_MAX
);
text_newtype!(
    /// ElevenLabs' `service_account_user_id`.
    ServiceAccountId, check_opaque, OPAQUE_PATTERN, OPAQUE_CHARACTERS_MAX
);
text_newtype!(
    /// One version of a secret in a store. Of a staging, rekeyd chooses it (AWS: the client request token, which becomes the
    /// VersionId); of what others wrote, it is what the store calls it.
    VersionId, check_opaque, OPAQUE_PATTERN, OPAQUE_CHARACTERS_MAX
);

/// One replacement of a credential's key by its successor. A UUIDv7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RotationId(Uuid);

impl RotationId {
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The mark in the name of the key that this rotation's `attempt`-th mint creates.
    #[must_use]
    pub fn nonce(self, attempt: u32) -> Nonce {
        Nonce { rotation: self, attempt }
    }

    /// The token under which a mint's value is staged: the rotation id itself for the first mint; a token of its
    /// own, derived from it, for each later mint and for each restaging, because a store refuses one token with
    /// two contents.
    #[must_use]
    pub fn version(self, attempt: u32, restaged: u32) -> VersionId {
        if attempt <= 1 && restaged == 0 {
            return VersionId(self.0.hyphenated().to_string());
        }
        let digest = Sha256::new()
            .chain_update(self.0.as_bytes())
            .chain_update(attempt.to_be_bytes())
            .chain_update(restaged.to_be_bytes())
            .finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        VersionId(uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string())
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for RotationId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A value is restaged where another program wrote in between, which is rare.
const RESTAGED_LOOKED_FOR: u32 = 3;

/// The mark in a key's name by which a lost key is found again: the rotation and which of its mints made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce {
    pub rotation: RotationId,
    pub attempt: u32,
}

impl Nonce {
    /// The versions under which the value of the key with this nonce is staged; more than these are rare.
    pub fn versions(self) -> impl Iterator<Item = VersionId> {
        (0..=RESTAGED_LOOKED_FOR).map(move |restaged| self.rotation.version(self.attempt, restaged))
    }

    const PREFIX: &'static str = "rk-";

    /// Finds the nonce in a key's name, wherever it stands in it.
    #[must_use]
    pub fn find_in(name: &str) -> Option<Self> {
        name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).find_map(|word| {
            let (rotation, attempt) = word.strip_prefix(Self::PREFIX)?.split_once('-')?;
            let rotation = Uuid::parse_str(rotation).ok().filter(|_| rotation.len() == 32)?;
            let attempt = attempt.parse().ok()?;
            Some(Self { rotation: RotationId(rotation), attempt })
        })
    }

    /// The name of the key that carries this nonce.
    #[must_use]
    pub fn key_name(&self, credential: &CredentialName) -> String {
        format!("{credential} {self}")
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-{}", Self::PREFIX, self.rotation.0.simple(), self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation() -> RotationId {
        "0190b8a0-0000-7000-8000-000000000001".parse().unwrap()
    }

    #[test]
    fn a_nonce_is_found_again_in_the_name_it_was_put_into() {
        let nonce = rotation().nonce(3);
        let name = nonce.key_name(&CredentialName::new("tts-backend").unwrap());
        assert_eq!(name, "tts-backend rk-0190b8a0000070008000000000000001-3");
        assert_eq!(Nonce::find_in(&name), Some(nonce));
        assert_eq!(Nonce::find_in(&format!("renamed by Eve ({nonce}) yesterday")), Some(nonce));
        for foreign in [
            "",
            "tts",
            "rk-",
            "rk-1-1",
            "rk-0190b8a0-0000-7000-8000-000000000001-1",
            "rk-zz90b8a0000070008000000000000001-1",
        ] {
            assert_eq!(Nonce::find_in(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn every_mint_and_restaging_has_a_version_token_of_its_own() {
        let mut tokens: Vec<String> = (1..4)
            .flat_map(|mint| (0..3).map(move |again| rotation().version(mint, again).to_string()))
            .collect();
        assert_eq!(tokens[0], rotation().to_string());
        assert!(tokens.iter().all(|token| token.len() == 36), "{tokens:?}");
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 9);
    }

    #[test]
    fn names_are_safe_in_paths_and_labels() {
        for good in ["a", "tts-backend", "A.b_c-9"] {
            assert!(CredentialName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "-x", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert!(CredentialName::new(bad).is_err(), "{bad}");
        }
    }
}
