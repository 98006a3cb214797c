//! Reads acknowledgements. A row that is damaged is its credential's damage, and nobody else's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::adapters::sqlite::statement_error::StatementError;
use crate::domain::ack::{Ack, Health};
use crate::domain::ids::{ConsumerName, CredentialName};
use crate::domain::secret::Fingerprint;
use crate::ports::journal::{AcksByCredential, Error};

pub(super) fn of(connection: &Connection, credential: &CredentialName) -> Result<Vec<Ack>, StatementError> {
    let mut statement = connection.prepare_cached(
        "SELECT consumer, fingerprint, health, coalesce(since, at), at FROM acks
         WHERE credential = ?1 ORDER BY consumer",
    )?;
    let mut rows = statement.query([credential.as_str()])?;
    let mut acks = Vec::new();
    while let Some(row) = rows.next()? {
        acks.push(ack(row, 0, credential).map_err(StatementError::Port)?);
    }
    Ok(acks)
}

/// Those of every credential. A row without a credential's name is nobody's.
pub(super) fn all(connection: &Connection) -> Result<AcksByCredential, StatementError> {
    let mut statement = connection.prepare_cached(
        "SELECT credential, consumer, fingerprint, health, coalesce(since, at), at FROM acks
         ORDER BY credential, consumer",
    )?;
    let mut rows = statement.query([])?;
    let mut acks: AcksByCredential = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Ok(Ok(credential)) = row.get::<_, String>(0).map(CredentialName::new) else { continue };
        let next = ack(row, 1, &credential);
        let known = acks.entry(credential).or_insert_with(|| Ok(Vec::new()));
        match (known.as_mut(), next) {
            (Ok(known), Ok(next)) => known.push(next),
            (Ok(_), Err(error)) => *known = Err(error),
            (Err(_), _) => {}
        }
    }
    Ok(acks)
}

/// The acknowledgement in five columns, from `first` on.
fn ack(row: &Row<'_>, first: usize, credential: &CredentialName) -> Result<Ack, Error> {
    let corrupt =
        |why: String| Error::Corrupt { place: format!("the acknowledgements of {credential}"), why };
    let text = |column: usize| {
        row.get::<_, String>(first.saturating_add(column)).map_err(|error| corrupt(error.to_string()))
    };
    let at = |column: usize| {
        text(column)?.parse::<Timestamp>().map_err(|_| corrupt("its time is none".to_owned()))
    };
    Ok(Ack {
        consumer: ConsumerName::new(text(0)?).map_err(|error| corrupt(error.to_string()))?,
        fingerprint: Fingerprint::try_from(text(1)?).map_err(|error| corrupt(error.to_string()))?,
        health: match text(2)?.as_str() {
            "using" => Health::Using,
            "failing" => Health::Failing,
            _ => return Err(corrupt("its health is none".to_owned())),
        },
        since: at(3)?,
        at: at(4)?,
    })
}
