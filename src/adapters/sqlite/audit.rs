//! The audit log's rows: sealed in the transaction of what they record, read back exactly as they were written, and held
//! against the journal's own entries.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use crate::adapters::sqlite::read;
use crate::adapters::sqlite::statement_error::StatementError;
use crate::domain::audit::check::{Checker, Fault, FaultKind};
use crate::domain::audit::{Act, Actor, ChainedAct, Hash, Head, canonical, instant};
use crate::domain::ids::{CredentialName, RotationId, WorkspaceName};
use crate::ports::journal::Verification;

const COLUMNS: &str =
    "sequence, at, actor, by, what, credential, workspace, rotation, details, previous, hash";

/// Appends a record, in the transaction that is open.
pub(super) fn seal(connection: &Connection, act: &Act) -> Result<(), StatementError> {
    let ChainedAct { sequence, act, previous, hash } = ChainedAct::after(&head(connection)?, act.clone());
    connection
        .prepare_cached(
            "INSERT INTO audit (sequence, at, actor, by, what, credential, workspace, rotation, details, previous, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            i64::try_from(sequence).unwrap_or(i64::MAX),
            instant(act.at),
            act.actor.label(),
            act.actor.name(),
            act.what,
            act.credential.as_ref().map(CredentialName::as_str),
            act.workspace.as_ref().map(WorkspaceName::as_str),
            act.rotation.map(|rotation| rotation.to_string()),
            canonical(&Value::Object(act.details)),
            previous.as_str(),
            hash.as_str(),
        ])?;
    Ok(())
}

pub(super) fn head(connection: &Connection) -> Result<Head, StatementError> {
    let last: Option<(i64, String)> = connection
        .prepare_cached("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((sequence, hash)) = last else { return Ok(Head::genesis()) };
    let head = u64::try_from(sequence).ok().zip(Hash::read(&hash));
    let (sequence, hash) = head.ok_or_else(|| unreadable(sequence))?;
    Ok(Head { sequence, hash })
}

pub(super) fn records(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<ChainedAct>, StatementError> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let bounds = [i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)];
    let mut found = statement.query(bounds)?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        records.push(sealed(row)?.map_err(unreadable)?);
    }
    Ok(records)
}

fn unreadable(sequence: i64) -> StatementError {
    let why = "it cannot be what was written: `rekeyd audit verify` says more";
    StatementError::corrupt(format!("record {sequence} of the audit log"), &why)
}

/// Holds every record against its hash and the one before, and every event of the journal against its record.
pub(super) fn verify(
    connection: &Connection,
    expected: Option<&Head>,
) -> Result<Verification, StatementError> {
    let snapshot = connection.unchecked_transaction()?;
    let mut checker = Checker::new(expected.cloned());
    let mut events = BTreeSet::new();
    let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY sequence");
    let mut statement = snapshot.prepare(&sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let fault = match sealed(row)? {
            Ok(record) => match checker.check(&record) {
                Ok(()) => of_event(&snapshot, &record, &mut events)?,
                Err(fault) => Some(fault),
            },
            Err(sequence) => {
                let next = checker.head().sequence + 1;
                let is_next = u64::try_from(sequence) == Ok(next);
                let kind = if is_next { FaultKind::Altered } else { FaultKind::Missing };
                Some(Fault { sequence: next, kind })
            }
        };
        if fault.is_some() {
            return Ok(Verification { head: checker.head().clone(), events: events.len(), fault });
        }
    }
    let head = checker.head().clone();
    let fault = match checker.end() {
        Err(fault) => Some(fault),
        Ok(_) => without_record(&snapshot, &events)?
            .then_some(Fault { sequence: head.sequence + 1, kind: FaultKind::Unrecorded }),
    };
    Ok(Verification { head, events: events.len(), fault })
}

type Events = BTreeSet<(RotationId, u64)>;

/// If the record tells of an event: whether the journal has just that.
fn of_event(
    connection: &Connection,
    record: &ChainedAct,
    events: &mut Events,
) -> Result<Option<Fault>, StatementError> {
    let entry = record.act.details.get("entry").and_then(Value::as_u64);
    let Some((rotation, number)) = record.act.rotation.zip(entry) else { return Ok(None) };
    let fault = |kind| Ok(Some(Fault { sequence: record.sequence, kind }));
    let entries = match read::entry(connection, rotation, number) {
        Ok(entry) => entry,
        Err(StatementError::Port(_)) => return fault(FaultKind::Unrecorded),
        Err(failed @ StatementError::Sqlite(_)) => return Err(failed),
    };
    match entries {
        None => fault(FaultKind::Eventless),
        Some((entry, body)) if entry.act_as_written(&body) != record.act => fault(FaultKind::Unrecorded),
        Some(_) if !events.insert((rotation, number)) => fault(FaultKind::Eventless),
        Some(_) => Ok(None),
    }
}

/// Whether the journal has an event, from the time since it has an audit log, of which no record tells.
fn without_record(connection: &Connection, events: &Events) -> Result<bool, StatementError> {
    let mut statement =
        connection.prepare("SELECT rotation, sequence FROM entries WHERE actor IS NOT NULL")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (rotation, number): (String, i64) = (row.get(0)?, row.get(1)?);
        let place = rotation.parse().ok().zip(u64::try_from(number).ok());
        if place.is_none_or(|place: (RotationId, u64)| !events.contains(&place)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A record as it was written; its number if a column holds what cannot have been written.
fn sealed(row: &Row<'_>) -> rusqlite::Result<Result<ChainedAct, i64>> {
    let number: i64 = row.get(0)?;
    Ok(reading(row, number).ok_or(number))
}

/// Read strictly: each text has to be the one that its meaning is written as.
fn reading(row: &Row<'_>, number: i64) -> Option<ChainedAct> {
    let text = |column: usize| row.get::<_, String>(column).ok();
    let optional = |column: usize| row.get::<_, Option<String>>(column).ok();
    let at = text(1)?.parse().ok().filter(|at| Some(instant(*at)) == text(1))?;
    let details: Value = serde_json::from_str(&text(8)?).ok()?;
    if Some(canonical(&details)) != text(8) {
        return None;
    }
    let Value::Object(details) = details else { return None };
    let rotation: Option<RotationId> = optional(7)?.map(|text| text.parse()).transpose().ok()?;
    if rotation.map(|rotation| rotation.to_string()) != optional(7)? {
        return None;
    }
    let act = Act {
        at,
        actor: Actor::find(&text(2)?, optional(3)?.as_deref())?,
        what: text(4)?,
        credential: optional(5)?.map(CredentialName::new).transpose().ok()?,
        workspace: optional(6)?.map(WorkspaceName::new).transpose().ok()?,
        rotation,
        details,
    };
    let sequence = u64::try_from(number).ok()?;
    Some(ChainedAct { sequence, act, previous: Hash::read(&text(9)?)?, hash: Hash::read(&text(10)?)? })
}
