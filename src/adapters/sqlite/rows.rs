//! What a row holds: the port's words as text and numbers.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::domain::ack::Ack;
use crate::domain::audit::Actor;
use crate::domain::event::Event;
use crate::domain::gate::Observations;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::record::Record;
use crate::ports::journal::{Entry, Error};

pub(super) struct EntryRow {
    pub(super) rotation: String,
    pub(super) sequence: i64,
    pub(super) at: String,
    pub(super) credential: String,
    pub(super) workspace: String,
    pub(super) event: &'static str,
    pub(super) body: String,
    pub(super) actor: &'static str,
    pub(super) by: Option<String>,
    pub(super) key: Option<String>,
}

pub(super) struct RecordRow {
    pub(super) credential: String,
    pub(super) revision: i64,
    pub(super) open: Option<String>,
    pub(super) body: String,
}

pub(super) struct AckRow {
    pub(super) credential: String,
    pub(super) consumer: String,
    pub(super) fingerprint: String,
    pub(super) health: &'static str,
    pub(super) since: String,
    pub(super) at: String,
    pub(super) believes_until: String,
}

pub(super) struct ObservationRow {
    pub(super) credential: String,
    pub(super) rotation: String,
    pub(super) at: String,
    pub(super) body: String,
}

pub(super) struct HoldRow {
    pub(super) scope: String,
    pub(super) what: &'static str,
    pub(super) by: String,
    pub(super) body: String,
}

pub(super) struct LiftRow {
    pub(super) scope: String,
    pub(super) what: &'static str,
    pub(super) at: String,
}

impl EntryRow {
    pub(super) fn of(entry: &Entry) -> Result<Self, Error> {
        let Entry { rotation, sequence, at, credential, workspace, actor, key, event } = entry;
        let unwritable =
            |why| Error::Corrupt { place: format!("rotation {rotation}, entry {sequence}"), why };
        Ok(Self {
            rotation: rotation.to_string(),
            sequence: i64::try_from(*sequence).map_err(|error| unwritable(error.to_string()))?,
            at: instant(*at),
            credential: credential.to_string(),
            workspace: workspace.to_string(),
            event: event.name(),
            body: serde_json::to_string(event).map_err(|error| unwritable(error.to_string()))?,
            actor: actor.label(),
            by: actor.name().map(str::to_owned),
            key: key.as_ref().map(ToString::to_string),
        })
    }
}

impl RecordRow {
    pub(super) fn of(record: &Record) -> Result<Self, Error> {
        let unwritable = |why| Error::Corrupt { place: format!("the record of {}", record.credential), why };
        Ok(Self {
            credential: record.credential.to_string(),
            revision: i64::try_from(record.revision).map_err(|error| unwritable(error.to_string()))?,
            open: record.open.map(|rotation| rotation.to_string()),
            body: serde_json::to_string(record).map_err(|error| unwritable(error.to_string()))?,
        })
    }
}

impl AckRow {
    pub(super) fn of(credential: &CredentialName, ack: &Ack) -> Self {
        Self {
            credential: credential.to_string(),
            consumer: ack.consumer.to_string(),
            fingerprint: ack.fingerprint.to_string(),
            health: ack.health.label(),
            since: instant(ack.since),
            at: instant(ack.at),
            believes_until: instant(ack.believes_until()),
        }
    }
}

impl ObservationRow {
    pub(super) fn of(
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        at: Timestamp,
    ) -> Result<Self, Error> {
        let place = format!("the observations of {credential}");
        let body = serde_json::to_string(observed);
        Ok(Self {
            credential: credential.to_string(),
            rotation: rotation.to_string(),
            at: instant(at),
            body: body.map_err(|error| Error::Corrupt { place, why: error.to_string() })?,
        })
    }
}

impl HoldRow {
    pub(super) fn of(hold: &Hold) -> Result<Self, Error> {
        let place = format!("the hold on {}", hold.scope);
        let body = serde_json::to_string(hold);
        Ok(Self {
            scope: hold.scope.to_string(),
            what: hold.what.label(),
            by: hold.by.clone(),
            body: body.map_err(|error| Error::Corrupt { place, why: error.to_string() })?,
        })
    }
}

impl LiftRow {
    pub(super) fn of(scope: &Scope, what: HoldKind, at: Timestamp) -> Self {
        Self { scope: scope.to_string(), what: what.label(), at: instant(at) }
    }
}

/// Who made an entry happen; rows of before the audit log do not say.
pub(super) fn actor(label: Option<&str>, by: Option<&str>) -> Result<Actor, String> {
    let Some(label) = label else { return Ok(Actor::Policy) };
    Actor::find(label, by).ok_or_else(|| "it does not say who made it happen".to_owned())
}

/// RFC 3339 in UTC, of one width, so that instants compare as text.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// Reads a body back; says where the text is wrong, not what it says.
pub(super) fn event(name: &str, body: &str) -> Result<Event, String> {
    let event: Event = serde_json::from_str(body).map_err(|error| json_error(&error))?;
    if event.kind().is_written_as(name) {
        Ok(event)
    } else {
        Err(format!("the row says `{name}` and its body says `{}`", event.name()))
    }
}

/// Reads a body back; says where the text is wrong, not what it says.
pub(super) fn read<T: DeserializeOwned>(body: &str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| json_error(&error))
}

/// serde's own text may quote what it read.
fn json_error(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "JSON of another shape than rekeyd writes",
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => "broken JSON",
    };
    format!("{what} at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_sort_as_text() {
        let texts: Vec<String> = [
            "-0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.5Z",
        ]
        .iter()
        .filter_map(|text| text.parse().ok())
        .map(instant)
        .collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts.last().map(String::as_str), Some("2026-01-01T00:00:00.500000000Z"));
    }
}
