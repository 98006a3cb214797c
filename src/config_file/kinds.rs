//! The raw value types of a policy, with their schemas. Values are not checked here.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_spanned::Spanned;

/// A value with its position in the file.
pub(crate) struct At<T>(Spanned<T>);

impl<T> At<T> {
    pub(crate) fn span(&self) -> Range<usize> {
        self.0.span()
    }

    pub(crate) fn value(&self) -> &T {
        self.0.get_ref()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl PartialEq for At<String> {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for At<String> {}

impl PartialOrd for At<String> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At<String> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value().cmp(other.value())
    }
}

macro_rules! text_kinds {
    ($($name:ident, $title:literal, $example:literal;)*) => { $(
        #[derive(Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(String);

        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "title": $title, "examples": [$example] })
            }
        }
    )* };
}

text_kinds! {
    Duration, "a duration", "30d";
    Cron, "a cron expression of five fields", "0 3 * * Mon";
    Zone, "an IANA time zone", "Europe/London";
    AbsolutePath, "an absolute path", "/var/lib/rekeyd/journal.db";
    Address, "an address and a port", "127.0.0.1:9809";
    Url, "a URL", "https://api.elevenlabs.io";
    Mode, "a file mode in octal digits", "0440";
    Reference, "the name of an entry of this policy", "prod";
    Permission, "the name of a permission", "text_to_speech";
    AddressRange, "an IP address or network", "203.0.113.0/24";
    Group, "the ID of a sharing group, or ID:ROLE", "GROUP_ID:editor";
    Template, "a URL with placeholders", "https://grafana.example.com/d/rekeyd?var-credential={credential}";
    Text, "a string", "tts-backend";
}

/// A reference to a secret: exactly one of three kinds. The policy never contains the secret.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    title = "a reference to a secret",
    extend("minProperties" = 1, "maxProperties" = 1, "examples" = [{ "file": "/etc/rekeyd/credentials/admin-key" }])
)]
pub(crate) struct Secret {
    /// Name of a credential that systemd passes to the unit (`LoadCredential=`).
    pub(crate) systemd_credential: Option<At<Text>>,
    /// Path of a file that contains only the secret.
    pub(crate) file: Option<At<AbsolutePath>>,
    /// Name of an environment variable.
    pub(crate) env: Option<At<Text>>,
}

impl Secret {
    /// The position of the reference.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        let Self { systemd_credential, file, env } = self;
        let text = |it: &Option<At<Text>>| it.as_ref().map(At::span);
        text(systemd_credential).or_else(|| text(env)).or_else(|| file.as_ref().map(At::span))
    }
}

/// A date, or a date and a time, in TOML's own syntax without quotes.
pub(crate) struct Moment(pub(crate) toml::value::Datetime);

/// Marks a value that is a string in the schema, but not in TOML.
pub(crate) const UNQUOTED: &str = "x-toml-datetime";

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let title = "a date, or a date and a time, without quotes";
        json_schema!({ "type": "string", "title": title, "examples": ["2026-12-18"], UNQUOTED: true })
    }
}

/// Permissions of a first key.
pub(crate) enum Permissions {
    All,
    Only(Vec<At<Permission>>),
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Permissions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all` or a list")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Permissions, E> {
                if text == "all" { Ok(Permissions::All) } else { Err(E::custom("expected `all` or a list")) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Permissions, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Permissions::Only(names))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Permissions {
    fn schema_name() -> Cow<'static, str> {
        "Permissions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<At<Permission>>>();
        json_schema!({
            "title": "\"all\" or a list of permissions",
            "examples": [["text_to_speech"]],
            "anyOf": [{ "type": "string", "enum": ["all"] }, list],
        })
    }
}

/// A short form, a string, or the long form, a table.
pub(crate) enum Either<S, T> {
    Short(S),
    Long(T),
}

impl<'de, S: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for Either<S, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms<S, T>(PhantomData<(S, T)>);
        impl<'de, S: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for Forms<S, T> {
            type Value = Either<S, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                S::deserialize(serde::de::value::StrDeserializer::new(text)).map(Either::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Either::Long)
            }
        }
        deserializer.deserialize_any(Forms(PhantomData))
    }
}

impl<S: JsonSchema, T: JsonSchema> JsonSchema for Either<S, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<S>(), generator.subschema_for::<T>());
        json_schema!({ "anyOf": [short, long] })
    }
}
