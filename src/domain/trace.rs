//! What traces tell: spans, and which of them the journalled entries of a rotation amount to.
//!
//! A rotation lasts for days and outlives restarts, so no span of it is kept open anywhere. Its id is the trace's id, and
//! the id of each span follows from the number of the entry that its phase began with: the same entries are the same
//! spans, whenever and by whichever process they are told. Never holds a value, an address or a body.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::ids::RotationId;

mod spans;
#[cfg(test)]
mod tests;

pub use spans::{FinishedSpan, Step, finished};

/// The notes of one span: what was noted between the first and the last of them is left out.
pub const NOTES_MAX: usize = 128;

/// Which spans belong together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// One span of a trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The trace of a rotation: the same 128 bits.
    #[must_use]
    pub fn of(rotation: RotationId) -> Self {
        Self(rotation.to_bytes())
    }

    /// Any other trace. `chance` must not be all zeros.
    #[must_use]
    pub fn by_chance(chance: [u8; 16]) -> Self {
        Self(chance)
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// The span of a rotation as a whole.
    #[must_use]
    pub fn of(rotation: RotationId) -> Self {
        Self::derived(rotation, b"rotation", 0)
    }

    /// The span of the phase that the entry of this number led to.
    #[must_use]
    pub fn of_phase(rotation: RotationId, entered: u64) -> Self {
        Self::derived(rotation, b"phase", entered)
    }

    /// Of a span that is told once only. `chance` must not be all zeros.
    #[must_use]
    pub fn by_chance(chance: [u8; 8]) -> Self {
        Self(chance)
    }

    fn derived(rotation: RotationId, what: &[u8], number: u64) -> Self {
        let digest = Sha256::new()
            .chain_update(rotation.to_bytes())
            .chain_update(what)
            .chain_update(number.to_be_bytes())
            .finalize();
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&digest[..8]);
        // All zeros would be no id at all.
        Self(if bytes == [0; 8] { [1; 8] } else { bytes })
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// What the value of an attribute can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
}

pub type Attributes = Vec<(&'static str, Value)>;

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub at: Timestamp,
    pub name: &'static str,
    pub attributes: Attributes,
}

/// Who did what a span tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// rekeyd itself.
    Inside,
    /// Another system, asked by rekeyd.
    Outside,
}

/// What was done from one moment to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    /// The span that it is a part of; `None` for one that has its trace begin.
    pub parent: Option<SpanId>,
    pub name: &'static str,
    pub side: Side,
    pub start: Timestamp,
    pub end: Timestamp,
    pub attributes: Attributes,
    pub notes: Vec<Note>,
    /// Notes that were left out.
    pub unnoted: u32,
    /// Why it did not come to the end that it should have; `None` if it did.
    pub fault: Option<String>,
}

impl Span {
    /// Keeps the first and the last of too many notes.
    fn with_notes(mut self, mut notes: Vec<Note>) -> Self {
        let excess = notes.len().saturating_sub(NOTES_MAX);
        if excess > 0 {
            notes.drain(NOTES_MAX / 2..NOTES_MAX / 2 + excess);
        }
        self.unnoted = u32::try_from(excess).unwrap_or(u32::MAX);
        self.notes = notes;
        self
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// In lower-case hex digits, as everybody shows it.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
