//! The outbox port in the tables `incidents`, `occurrences`, `notifications` and `failing_channels`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::adapters::sqlite::SqliteJournal;
use crate::adapters::sqlite::rows;
use crate::adapters::sqlite::statement_error::StatementError;
use crate::adapters::sqlite::write::Write;
use crate::domain::ids::ChannelName;
use crate::domain::notification::incidents::Change;
use crate::domain::notification::{ChannelFailure, Notification};
use crate::ports::journal::Error;
use crate::ports::outbox::{DeliveryOutcome, Outbox, OutboxState, PendingNotifications};

/// A change of the tables, in the writer's transaction.
#[derive(Clone)]
pub(super) enum OutboxWrite {
    Change(Box<Change>),
    DeliveryOutcome(DeliveryOutcome),
    KeepOnly(BTreeSet<ChannelName>),
}

#[async_trait]
impl Outbox for SqliteJournal {
    async fn recall(&self) -> Result<OutboxState, Error> {
        self.read(recall).await
    }

    async fn post(&self, change: &Change) -> Result<(), Error> {
        self.write(Write::Outbox(OutboxWrite::Change(Box::new(change.clone())))).await
    }

    async fn waiting(&self, channel: &ChannelName, limit: usize) -> Result<PendingNotifications, Error> {
        let channel = channel.clone();
        self.read(move |connection| waiting(connection, &channel, limit)).await
    }

    async fn settle(&self, outcome: &DeliveryOutcome) -> Result<(), Error> {
        self.write(Write::Outbox(OutboxWrite::DeliveryOutcome(outcome.clone()))).await
    }

    async fn keep_only(&self, channels: &BTreeSet<ChannelName>) -> Result<(), Error> {
        self.write(Write::Outbox(OutboxWrite::KeepOnly(channels.clone()))).await
    }
}

pub(super) fn apply(connection: &Connection, write: &OutboxWrite) -> Result<(), StatementError> {
    match write {
        OutboxWrite::Change(change) => post(connection, change),
        OutboxWrite::DeliveryOutcome(outcome) => settle(connection, outcome),
        OutboxWrite::KeepOnly(channels) => keep_only(connection, channels),
    }
}

fn post(connection: &Connection, change: &Change) -> Result<(), StatementError> {
    let Change { incidents, resolved, notifications, occurrences } = change;
    for incident in incidents {
        connection
            .prepare_cached(
                "INSERT INTO incidents (key, body) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET body = excluded.body",
            )?
            .execute(params![incident.alert.key, body(incident)?])?;
    }
    for key in resolved {
        connection.prepare_cached("DELETE FROM incidents WHERE key = ?1")?.execute([key])?;
    }
    for (key, rotation) in occurrences {
        connection
            .prepare_cached(
                "INSERT INTO occurrences (key, rotation) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET rotation = excluded.rotation",
            )?
            .execute([key, rotation])?;
    }
    for notification in notifications {
        connection
            .prepare_cached(
                "INSERT INTO notifications (id, channel, failures, due, body) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                notification.id,
                notification.channel.as_str(),
                notification.failures,
                rows::instant(notification.due),
                body(notification)?
            ])?;
    }
    Ok(())
}

fn settle(connection: &Connection, outcome: &DeliveryOutcome) -> Result<(), StatementError> {
    let DeliveryOutcome { channel, done, again, failing } = outcome;
    for number in done {
        connection
            .prepare_cached("DELETE FROM notifications WHERE number = ?1")?
            .execute([key_of(*number)])?;
    }
    for (number, due) in again {
        connection
            .prepare_cached("UPDATE notifications SET failures = failures + 1, due = ?2 WHERE number = ?1")?
            .execute(params![key_of(*number), rows::instant(*due)])?;
    }
    match failing {
        Some(failing) => connection
            .prepare_cached(
                "INSERT INTO failing_channels (channel, body) VALUES (?1, ?2)
                 ON CONFLICT (channel) DO UPDATE SET body = excluded.body",
            )?
            .execute(params![channel.as_str(), body(failing)?])?,
        None => connection
            .prepare_cached("DELETE FROM failing_channels WHERE channel = ?1")?
            .execute([channel.as_str()])?,
    };
    Ok(())
}

fn keep_only(connection: &Connection, channels: &BTreeSet<ChannelName>) -> Result<(), StatementError> {
    let kept = body(channels)?;
    for sql in [
        "DELETE FROM notifications WHERE channel NOT IN (SELECT value FROM json_each(?1))",
        "DELETE FROM failing_channels WHERE channel NOT IN (SELECT value FROM json_each(?1))",
    ] {
        connection.execute(sql, [&kept])?;
    }
    Ok(())
}

fn recall(connection: &Connection) -> Result<OutboxState, StatementError> {
    let snapshot = connection.unchecked_transaction()?;
    let occurrences = snapshot
        .prepare_cached("SELECT key, rotation FROM occurrences")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let incidents = bodies(&snapshot, "SELECT body FROM incidents ORDER BY key")?;
    Ok(OutboxState { incidents, occurrences, failing: failing(&snapshot)? })
}

pub(super) fn failing(connection: &Connection) -> Result<Vec<ChannelFailure>, StatementError> {
    bodies(connection, "SELECT body FROM failing_channels ORDER BY channel")
}

fn bodies<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    sql: &str,
) -> Result<Vec<T>, StatementError> {
    let bodies = connection
        .prepare_cached(sql)?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let read =
        |body: &String| rows::read(body).map_err(|why| StatementError::corrupt("the notifications", &why));
    bodies.iter().map(read).collect()
}

fn waiting(
    connection: &Connection,
    channel: &ChannelName,
    limit: usize,
) -> Result<PendingNotifications, StatementError> {
    let snapshot = connection.unchecked_transaction()?;
    let count: i64 = snapshot
        .prepare_cached("SELECT count(*) FROM notifications WHERE channel = ?1")?
        .query_row([channel.as_str()], |row| row.get(0))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = snapshot
        .prepare_cached(
            "SELECT number, failures, due, body FROM notifications WHERE channel = ?1 ORDER BY number LIMIT ?2",
        )?
        .query_map(params![channel.as_str(), limit], |row| {
            let (number, failures): (i64, u32) = (row.get(0)?, row.get(1)?);
            let (due, body): (String, String) = (row.get(2)?, row.get(3)?);
            Ok((number, failures, due, body))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let read = |(number, failures, due, body): (i64, u32, String, String)| {
        let place = || format!("notification {number}");
        let notification: Notification =
            rows::read(&body).map_err(|why| StatementError::corrupt(place(), &why))?;
        let due: Timestamp =
            due.parse().map_err(|_| StatementError::corrupt(place(), &"its time is none"))?;
        Ok(Notification { number: u64::try_from(number).unwrap_or(0), failures, due, ..notification })
    };
    let notifications = found.into_iter().map(read).collect::<Result<Vec<_>, StatementError>>()?;
    Ok(PendingNotifications { notifications, count: u64::try_from(count).unwrap_or(0) })
}

fn key_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn body(of: &impl Serialize) -> Result<String, StatementError> {
    serde_json::to_string(of).map_err(|error| StatementError::corrupt("a notification to write", &error))
}
