//! What a row holds: the port's words as text and numbers.

use jiff::Timestamp;

use crate::domain::event::Event;
use crate::domain::gate::Ack;
use crate::domain::ids::CredentialName;
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
    pub(super) at: String,
}

impl EntryRow {
    pub(super) fn of(entry: &Entry) -> Result<Self, Error> {
        let Entry { rotation, sequence, at, credential, workspace, event } = entry;
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
            at: instant(ack.at),
        }
    }
}

/// RFC 3339 in UTC, of one width, so that instants compare as text.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// Reads a body back; says where the text is wrong, not what it says.
pub(super) fn event(name: &str, body: &str) -> Result<Event, String> {
    let event: Event = serde_json::from_str(body).map_err(|error| json_error(&error))?;
    if event.name() == name {
        Ok(event)
    } else {
        Err(format!("the row says `{name}` and its body says `{}`", event.name()))
    }
}

pub(super) fn record(body: &str) -> Result<Record, String> {
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
