//! Every question that the journal answers, over a connection that only reads.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::sqlite::rows;
use crate::adapters::sqlite::statement_error::{StatementError, explain};
use crate::domain::audit::Actor;
use crate::domain::event::EventName;
use crate::domain::gate::Observations;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::{CredentialName, KeyId, RotationId, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::ports::journal::{CredentialState, CredentialStates, Entry, Error, RotationHistory};

/// Every credential with what is known of it.
pub(super) fn load(connection: &Connection) -> Result<CredentialStates, StatementError> {
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached("SELECT credential FROM records ORDER BY credential")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut loaded = Vec::with_capacity(names.len());
    for name in names {
        // A name that cannot be one hides whose record it is: then nobody's can be trusted to be complete.
        let credential = CredentialName::new(name)
            .map_err(|error| StatementError::corrupt("the name of a record", &error))?;
        let known = match load_one(&snapshot, &credential) {
            Ok(Some(known)) => Ok(known),
            Ok(None) => Err(corrupt_record(&credential, "it vanished")),
            Err(StatementError::Port(error)) => Err(error),
            Err(StatementError::Sqlite(error)) => match explain(place(&credential).as_ref(), &error) {
                corrupt @ Error::Corrupt { .. } => Err(corrupt),
                Error::Conflict(_) | Error::Unavailable(_) => return Err(StatementError::Sqlite(error)),
            },
        };
        loaded.push((credential, known));
    }
    Ok(loaded)
}

pub(super) fn load_one(
    connection: &Connection,
    name: &CredentialName,
) -> Result<Option<CredentialState>, StatementError> {
    let row = connection
        .prepare_cached("SELECT revision, open, body FROM records WHERE credential = ?1")?
        .query_row([name.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let Some((revision, open, body)) = row else {
        return Ok(None);
    };
    let record: Record = rows::read(&body).map_err(|why| StatementError::Port(corrupt_record(name, &why)))?;
    let agrees = record.credential == *name
        && i64::try_from(record.revision) == Ok(revision)
        && record.open.map(|rotation| rotation.to_string()) == open;
    if !agrees {
        return Err(StatementError::Port(corrupt_record(name, "its columns and its body disagree")));
    }
    let rotation = match record.open {
        Some(rotation) => Some(fold(connection, rotation, name)?),
        None => None,
    };
    Ok(Some(CredentialState { record, rotation }))
}

pub(super) fn revision(
    connection: &Connection,
    name: &CredentialName,
) -> Result<Option<u64>, StatementError> {
    let stored: Option<i64> = connection
        .prepare_cached("SELECT revision FROM records WHERE credential = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    let read =
        |revision| u64::try_from(revision).map_err(|error| StatementError::corrupt(place(name), &error));
    stored.map(read).transpose()
}

fn fold(connection: &Connection, id: RotationId, name: &CredentialName) -> Result<Rotation, StatementError> {
    let entries = entries(connection, id)?;
    let events = entries.into_iter().map(|entry| (entry.at, entry.event));
    let rotation =
        Rotation::fold(events).map_err(|history| StatementError::Port(Error::from((id, history))))?;
    if rotation.plan.rotation == id && rotation.plan.credential == *name {
        Ok(rotation)
    } else {
        Err(StatementError::corrupt(
            format!("rotation {id}"),
            &"its plan is of another rotation or credential",
        ))
    }
}

pub(super) fn entries(connection: &Connection, rotation: RotationId) -> Result<Vec<Entry>, StatementError> {
    let Some((credential, workspace)) = owner(connection, rotation)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT sequence, at, event, body, actor, by, key FROM entries WHERE rotation = ?1 ORDER BY sequence",
    )?;
    let mut found = statement.query([rotation.to_string()])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        let sequence = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let place = || format!("rotation {rotation}, entry {sequence}");
        let stored: i64 = row.get(0)?;
        if u64::try_from(stored) != Ok(sequence) {
            return Err(StatementError::corrupt(
                place(),
                &format!("it is missing: entry {stored} comes next"),
            ));
        }
        let (at, name, body): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (actor, key) = deed(row, 4).map_err(|why| StatementError::corrupt(place(), &why))?;
        entries.push(Entry {
            rotation,
            sequence,
            at: instant(&at, place)?,
            credential: credential.clone(),
            workspace: workspace.clone(),
            actor,
            key,
            event: rows::event(&name, &body).map_err(|why| StatementError::corrupt(place(), &why))?,
        });
    }
    if entries.is_empty() {
        return Err(StatementError::corrupt(
            format!("rotation {rotation}"),
            &"all of its entries are missing",
        ));
    }
    Ok(entries)
}

/// One entry of a rotation and its event's text, to the letter; `None` if it is not there.
pub(super) fn entry(
    connection: &Connection,
    rotation: RotationId,
    sequence: u64,
) -> Result<Option<(Entry, String)>, StatementError> {
    let Some((credential, workspace)) = owner(connection, rotation)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT at, event, body, actor, by, key FROM entries WHERE rotation = ?1 AND sequence = ?2",
    )?;
    let number = i64::try_from(sequence).unwrap_or(i64::MAX);
    let mut found = statement.query(params![rotation.to_string(), number])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let place = || format!("rotation {rotation}, entry {sequence}");
    let (at, name, body): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (actor, key) = deed(row, 3).map_err(|why| StatementError::corrupt(place(), &why))?;
    let event = rows::event(&name, &body).map_err(|why| StatementError::corrupt(place(), &why))?;
    let written = at;
    let at = instant(&written, place)?;
    if rows::instant(at) != written {
        return Err(StatementError::corrupt(place(), &"its time is not as rekeyd writes it"));
    }
    Ok(Some((Entry { rotation, sequence, at, credential, workspace, actor, key, event }, body)))
}

fn owner(
    connection: &Connection,
    rotation: RotationId,
) -> Result<Option<(CredentialName, WorkspaceName)>, StatementError> {
    let row: Option<(String, String)> = connection
        .prepare_cached("SELECT credential, workspace FROM rotations WHERE rotation = ?1")?
        .query_row([rotation.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((credential, workspace)) = row else {
        return Ok(None);
    };
    let corrupt = |error| StatementError::corrupt(format!("the owner of rotation {rotation}"), &error);
    Ok(Some((
        CredentialName::new(credential).map_err(corrupt)?,
        WorkspaceName::new(workspace).map_err(corrupt)?,
    )))
}

pub(super) fn owner_of(
    connection: &Connection,
    rotation: RotationId,
) -> Result<Option<CredentialName>, StatementError> {
    Ok(owner(connection, rotation)?.map(|(credential, _)| credential))
}

pub(super) fn history(
    connection: &Connection,
    credential: &CredentialName,
    limit: usize,
) -> Result<Vec<RotationHistory>, StatementError> {
    let snapshot = connection.unchecked_transaction()?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = snapshot
        .prepare_cached(
            "SELECT rotation FROM rotations WHERE credential = ?1 ORDER BY rotation DESC LIMIT ?2",
        )?
        .query_map(params![credential.as_str(), limit], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let chapter = |id: String| {
        let rotation = id.parse().map_err(|error| {
            StatementError::corrupt(format!("the id of a rotation of {credential}"), &error)
        })?;
        Ok(RotationHistory { rotation, entries: entries(&snapshot, rotation)? })
    };
    ids.into_iter().map(chapter).collect()
}

pub(super) fn rotations(
    connection: &Connection,
    of: Option<&CredentialName>,
    before: Option<RotationId>,
    limit: usize,
) -> Result<Vec<(RotationId, CredentialName)>, StatementError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // Sorts after every id.
    let before = before.map_or_else(|| "~".to_owned(), |before| before.to_string());
    let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let rows = match of {
        Some(of) => connection
            .prepare_cached(
                "SELECT rotation, credential FROM rotations WHERE credential = ?1 AND rotation < ?2
                 ORDER BY rotation DESC LIMIT ?3",
            )?
            .query_map(params![of.as_str(), before, limit], row)?
            .collect::<Result<Vec<_>, _>>()?,
        None => connection
            .prepare_cached(
                "SELECT rotation, credential FROM rotations WHERE rotation < ?1 ORDER BY rotation DESC LIMIT ?2",
            )?
            .query_map(params![before, limit], row)?
            .collect::<Result<Vec<_>, _>>()?,
    };
    let owned = |(id, credential): (String, String)| {
        let rotation: RotationId =
            id.parse().map_err(|error| StatementError::corrupt("the id of a rotation", &error))?;
        let corrupt = |error| StatementError::corrupt(format!("the owner of rotation {rotation}"), &error);
        Ok((rotation, CredentialName::new(credential).map_err(corrupt)?))
    };
    rows.into_iter().map(owned).collect()
}

pub(super) fn mints_since(
    connection: &Connection,
    workspace: &WorkspaceName,
    since: Timestamp,
) -> Result<Vec<Timestamp>, StatementError> {
    let texts = connection
        .prepare_cached(
            "SELECT e.at FROM entries AS e JOIN rotations AS r USING (rotation)
             WHERE e.event = 'mint_intended' AND e.at >= ?1 AND r.workspace = ?2 ORDER BY e.at",
        )?
        .query_map(params![rows::instant(since), workspace.as_str()], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    texts.iter().map(|at| instant(at, || format!("the mints of workspace {workspace}"))).collect()
}

pub(super) fn events_since(
    connection: &Connection,
    workspace: &WorkspaceName,
    names: &[&'static str],
    since: Timestamp,
) -> Result<Vec<Entry>, StatementError> {
    let mut statement = connection.prepare_cached(
        "SELECT e.rotation, e.sequence, e.at, r.credential, e.event, e.body, e.actor, e.by, e.key
         FROM entries AS e JOIN rotations AS r USING (rotation)
         WHERE e.event IN (SELECT value FROM json_each(?1)) AND e.at >= ?2 AND r.workspace = ?3
         ORDER BY e.at, e.rotation, e.sequence",
    )?;
    let names = serde_json::Value::from(EventName::as_written(names)).to_string();
    let mut found = statement.query(params![names, rows::instant(since), workspace.as_str()])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        let (rotation, sequence): (String, i64) = (row.get(0)?, row.get(1)?);
        let place = || format!("rotation {rotation}, entry {sequence}");
        let (at, credential): (String, String) = (row.get(2)?, row.get(3)?);
        let (name, body): (String, String) = (row.get(4)?, row.get(5)?);
        let (actor, key) = deed(row, 6).map_err(|why| StatementError::corrupt(place(), &why))?;
        entries.push(Entry {
            rotation: rotation.parse().map_err(|error| StatementError::corrupt(place(), &error))?,
            sequence: u64::try_from(sequence).map_err(|error| StatementError::corrupt(place(), &error))?,
            at: instant(&at, place)?,
            credential: CredentialName::new(credential)
                .map_err(|error| StatementError::corrupt(place(), &error))?,
            workspace: workspace.clone(),
            actor,
            key,
            event: rows::event(&name, &body).map_err(|why| StatementError::corrupt(place(), &why))?,
        });
    }
    Ok(entries)
}

/// Who made an entry happen and which key it is about, from three columns on.
fn deed(row: &Row<'_>, first: usize) -> Result<(Actor, Option<KeyId>), String> {
    let text = |column| row.get::<_, Option<String>>(column).map_err(|error| error.to_string());
    let (label, by, key) = (text(first)?, text(first + 1)?, text(first + 2)?);
    let key = key.map(KeyId::new).transpose().map_err(|error| error.to_string())?;
    Ok((rows::actor(label.as_deref(), by.as_deref())?, key))
}

pub(super) fn observed(
    connection: &Connection,
    credential: &CredentialName,
    rotation: RotationId,
) -> Result<Option<Observations>, StatementError> {
    let body: Option<String> = connection
        .prepare_cached("SELECT body FROM observations WHERE credential = ?1 AND rotation = ?2")?
        .query_row([credential.as_str(), &rotation.to_string()], |row| row.get(0))
        .optional()?;
    let place = || format!("the observations of {credential}");
    body.map(|body| rows::read(&body).map_err(|why| StatementError::corrupt(place(), &why))).transpose()
}

pub(super) fn holds(connection: &Connection) -> Result<Vec<Hold>, StatementError> {
    let bodies = connection
        .prepare_cached("SELECT body FROM holds ORDER BY scope, what")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let read =
        |body: &String| rows::read(body).map_err(|why| StatementError::corrupt("the holds".to_owned(), &why));
    bodies.iter().map(read).collect()
}

pub(super) fn lifted(
    connection: &Connection,
    scope: &Scope,
    what: HoldKind,
) -> Result<Option<Timestamp>, StatementError> {
    let at: Option<String> = connection
        .prepare_cached("SELECT at FROM lifts WHERE scope = ?1 AND what = ?2")?
        .query_row([&scope.to_string(), what.label()], |row| row.get(0))
        .optional()?;
    at.map(|at| instant(&at, || format!("when the hold on {scope} was lifted"))).transpose()
}

fn instant(text: &str, place: impl Fn() -> String) -> Result<Timestamp, StatementError> {
    text.parse().map_err(|_| StatementError::corrupt(place(), &"its time is none"))
}

fn place(credential: &CredentialName) -> String {
    format!("the record of {credential}")
}

fn corrupt_record(credential: &CredentialName, why: &str) -> Error {
    Error::Corrupt { place: place(credential), why: why.to_owned() }
}
