//! The audit log: who did what. Its records are chained by hashes, so that a changed, missing or added record is detected.
//! Holds no value of a key.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::hold::BREAKER;
use crate::domain::ids::{ConsumerName, CredentialName, KeyId, RotationId, WorkspaceName};

pub mod changes;
pub mod check;
pub mod compare;
pub mod events;
pub mod foreign;

const HASH_DIGITS: usize = 64;

/// Who did it, or on whose behalf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Actor {
    /// The daemon, as its policy says.
    #[default]
    Policy,
    /// An operator at the socket, as the kernel identifies them, or the sender of a signal.
    Operator(String),
    /// A consumer, by its token.
    Consumer(ConsumerName),
    /// The reporter of a leak, authenticated by the leak token; the name is their own.
    Reporter(String),
    /// The breaker, when too much went wrong.
    Breaker,
}

impl Actor {
    /// Who put a hold in force.
    #[must_use]
    pub fn of_hold(by: &str) -> Self {
        if by == BREAKER { Self::Breaker } else { Self::Operator(by.to_owned()) }
    }

    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Operator(_) => "operator",
            Self::Consumer(_) => "consumer",
            Self::Reporter(_) => "reporter",
            Self::Breaker => "breaker",
        }
    }

    /// Which one, where there can be several.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Policy | Self::Breaker => None,
            Self::Operator(by) | Self::Reporter(by) => Some(by),
            Self::Consumer(consumer) => Some(consumer.as_str()),
        }
    }

    /// The actor of this label and name; `None` if there can be none.
    #[must_use]
    pub fn find(label: &str, name: Option<&str>) -> Option<Self> {
        match (label, name) {
            ("policy", None) => Some(Self::Policy),
            ("breaker", None) => Some(Self::Breaker),
            ("operator", Some(by)) => Some(Self::Operator(by.to_owned())),
            ("reporter", Some(by)) => Some(Self::Reporter(by.to_owned())),
            ("consumer", Some(name)) => ConsumerName::new(name).ok().map(Self::Consumer),
            _ => None,
        }
    }
}

/// As text.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.label()),
            None => f.write_str(self.label()),
        }
    }
}

/// One thing that was done or decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    pub actor: Actor,
    /// An event's name, or one of [`changes`]' words.
    pub what: String,
    pub credential: Option<CredentialName>,
    pub workspace: Option<WorkspaceName>,
    pub rotation: Option<RotationId>,
    /// Ids, fingerprints and reasons.
    pub details: Map<String, Value>,
}

impl Act {
    /// Of the daemon as a whole.
    #[must_use]
    pub fn new(at: Timestamp, actor: Actor, what: &str, details: Value) -> Self {
        Self {
            at,
            actor,
            what: what.to_owned(),
            credential: None,
            workspace: None,
            rotation: None,
            details: object(details),
        }
    }

    /// The key that it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.details.get("key").and_then(Value::as_str).and_then(|key| KeyId::new(key).ok())
    }
}

fn object(details: Value) -> Map<String, Value> {
    match details {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// A SHA-256 in lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    /// What stands in the place of a record before the first.
    #[must_use]
    pub fn genesis() -> Self {
        Self("0".repeat(HASH_DIGITS))
    }

    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// `None` if it is not 64 lower-case hex digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == HASH_DIGITS && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a chain ends: what has to be noted elsewhere to find a chain that was cut off, or made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many records there are.
    pub sequence: u64,
    pub hash: Hash,
}

impl Head {
    /// Of a chain without a record.
    #[must_use]
    pub fn genesis() -> Self {
        Self { sequence: 0, hash: Hash::genesis() }
    }

    /// Reads `SEQUENCE:HASH`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (sequence, hash) = text.split_once(':')?;
        Some(Self { sequence: sequence.parse().ok()?, hash: Hash::read(hash)? })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// A record in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedAct {
    /// Counts from 1.
    pub sequence: u64,
    pub act: Act,
    pub previous: Hash,
    pub hash: Hash,
}

impl ChainedAct {
    #[must_use]
    pub fn after(head: &Head, act: Act) -> Self {
        let sequence = head.sequence + 1;
        let hash = chained(&head.hash, sequence, &act);
        Self { sequence, act, previous: head.hash.clone(), hash }
    }

    /// What its hash has to be, by what it says.
    #[must_use]
    pub fn computed(&self) -> Hash {
        chained(&self.previous, self.sequence, &self.act)
    }

    #[must_use]
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash.clone() }
    }

    /// As it is exported: what is hashed, and the two hashes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = contents(self.sequence, &self.act);
        if let Value::Object(fields) = &mut fields {
            fields.insert("previous".to_owned(), Value::from(self.previous.as_str()));
            fields.insert("hash".to_owned(), Value::from(self.hash.as_str()));
        }
        fields
    }
}

/// An instant as records have it: RFC 3339 in UTC, with nine decimals.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// `SHA-256(previous hash, as bytes || canonical JSON of the record without its hashes)`.
fn chained(previous: &Hash, sequence: u64, act: &Act) -> Hash {
    let mut bytes: Vec<u8> = previous.0.as_bytes().chunks(2).map(byte).collect();
    bytes.extend_from_slice(canonical(&contents(sequence, act)).as_bytes());
    Hash::of(&bytes)
}

/// The byte that two hex digits are.
fn byte(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |byte, digit| {
        let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        byte << 4 | value.unwrap_or(0)
    })
}

fn contents(sequence: u64, act: &Act) -> Value {
    let Act { at, actor, what, credential, workspace, rotation, details } = act;
    json!({
        "sequence": sequence,
        "at": instant(*at),
        "actor": actor.label(),
        "by": actor.name(),
        "what": what,
        "credential": credential.as_ref().map(CredentialName::as_str),
        "workspace": workspace.as_ref().map(WorkspaceName::as_str),
        "rotation": rotation.map(|rotation| rotation.to_string()),
        "details": details,
    })
}

/// JSON in its one form: names sorted, nothing between the parts, only what has to be escaped escaped.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let parts = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", parts(items.iter().map(canonical).collect())),
        Value::Object(fields) => {
            let mut named: Vec<(&String, &Value)> = fields.iter().collect();
            named.sort_by_key(|(name, _)| *name);
            let told = named
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)));
            format!("{{{}}}", parts(told.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(what: &str) -> Act {
        Act::new(
            Timestamp::UNIX_EPOCH,
            Actor::Operator("uid 0 (root)".to_owned()),
            what,
            json!({"a": null, "b": "ü\n\"\u{1}"}),
        )
    }

    #[test]
    fn a_record_has_one_canonical_form_and_its_hash_binds_it_to_the_one_before() {
        let first = ChainedAct::after(&Head::genesis(), act("held"));
        let text = canonical(&contents(1, &first.act));
        assert_eq!(
            text,
            r#"{"actor":"operator","at":"1970-01-01T00:00:00.000000000Z","by":"uid 0 (root)","credential":null,"details":{"b":"ü\n\"\u0001"},"rotation":null,"sequence":1,"what":"held","workspace":null}"#
        );
        let bytes = [&[0u8; 32][..], text.as_bytes()].concat();
        assert_eq!(first.hash, Hash::of(&bytes));
        let second = ChainedAct::after(&first.head(), act("held"));
        assert_eq!((second.sequence, &second.previous), (2, &first.hash));
        assert_ne!(second.hash, first.hash);
        assert_eq!(byte(b"a7"), 0xa7);
    }

    #[test]
    fn heads_and_actors_are_read_back() {
        let head = ChainedAct::after(&Head::genesis(), act("held")).head();
        assert_eq!(Head::read(&head.to_string()), Some(head.clone()));
        for wrong in ["", "1", "1:", ":", "x:00", &head.to_string().to_uppercase(), &format!("{head}0")] {
            assert_eq!(Head::read(wrong), None, "{wrong}");
        }
        for actor in [
            Actor::Policy,
            Actor::Breaker,
            Actor::Operator("uid 7".to_owned()),
            Actor::Reporter("`github`".to_owned()),
            Actor::Consumer(ConsumerName::new("api").unwrap()),
        ] {
            assert_eq!(Actor::find(actor.label(), actor.name()), Some(actor));
        }
        assert_eq!(Actor::find("policy", Some("x")), None);
        assert_eq!(Actor::find("operator", None), None);
    }
}
