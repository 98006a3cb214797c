//! The one thread that writes. Requests that wait together share a transaction, and so one sync of the disk; each
//! has its own outcome.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Savepoint, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::adapters::sqlite::audit;
use crate::adapters::sqlite::lock::Lock;
use crate::adapters::sqlite::outbox::{self, OutboxWrite};
use crate::adapters::sqlite::rows::{AckRow, EntryRow, HoldRow, LiftRow, ObservationRow, RecordRow};
use crate::adapters::sqlite::statement_error::{StatementError, explain, is_of_one_request, is_sync_failure};
use crate::domain::audit::Act;
use crate::ports::journal::Error;

/// Requests in one transaction: bounds how long the first of them waits for the last.
const REQUESTS_PER_TRANSACTION_MAX: usize = 64;

pub(super) enum Write {
    Append {
        entry: EntryRow,
        record: Option<RecordRow>,
        act: Act,
    },
    Save(RecordRow, Vec<Act>),
    /// What is recorded if it changes something.
    Acknowledge(AckRow, Act),
    Observe(ObservationRow),
    Hold(HoldRow, Act),
    Lift(LiftRow, Act),
    Record(Act),
    Probe,
    Outbox(OutboxWrite),
}

pub(super) struct Request {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Given back only when the connection is closed: fields are dropped in this order.
    pub(super) lock: Lock,
}

impl Writer {
    /// Serves requests until nobody can send any more; those already sent are served first.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut sync_failed = false;
        while let Some(first) = inbox.blocking_recv() {
            let mut requests = vec![first];
            while requests.len() < REQUESTS_PER_TRANSACTION_MAX {
                match inbox.try_recv() {
                    Ok(request) => requests.push(request),
                    Err(_) => break,
                }
            }
            let (writes, replies): (Vec<_>, Vec<_>) =
                requests.into_iter().map(|request| (request.write, request.reply)).unzip();
            let outcomes =
                if sync_failed { Err(None) } else { commit(&mut self.connection, &writes).map_err(Some) };
            sync_failed |= matches!(&outcomes, Err(Some(error)) if is_sync_failure(error));
            self.answer(outcomes, replies);
        }
        let Self { connection, path: _, lock } = self;
        drop(connection);
        drop(lock);
    }

    fn answer(
        &self,
        outcomes: Result<Vec<Result<(), StatementError>>, Option<rusqlite::Error>>,
        replies: Vec<oneshot::Sender<Result<(), Error>>>,
    ) {
        let path = &self.path;
        let answers: Vec<Result<(), Error>> = match outcomes {
            Ok(outcomes) => {
                outcomes.into_iter().map(|it| it.map_err(|failed| failed.into_error(path))).collect()
            }
            Err(Some(error)) => replies.iter().map(|_| Err(explain(path, &error))).collect(),
            Err(None) => replies.iter().map(|_| Err(Error::Unavailable(distrusted(path)))).collect(),
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Whoever stopped waiting will see in the journal what became of it.
            drop(reply.send(answer));
        }
    }
}

fn distrusted(path: &std::path::Path) -> String {
    format!(
        "{}: the disk failed to make an earlier write durable, so that nothing more is written; \
         check the disk, then restart rekeyd",
        path.display()
    )
}

/// Does all writes in one transaction. After `Ok` those whose outcome is `Ok` are durable, and of the others nothing
/// is there. After an error nothing of any is there.
pub(super) fn commit(
    connection: &mut Connection,
    writes: &[Write],
) -> rusqlite::Result<Vec<Result<(), StatementError>>> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let savepoint = transaction.savepoint()?;
        outcomes.push(match apply(&savepoint, write) {
            Ok(()) => savepoint.commit().map(Ok)?,
            // A disk that is full for one is full for all: SQLite may have undone the whole transaction already.
            Err(StatementError::Sqlite(error)) if !is_of_one_request(&error) => return Err(error),
            Err(failed) => savepoint.finish().map(|()| Err(failed))?,
        });
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// The page that holds the schema's version is written again as it is.
fn probe(savepoint: &Savepoint<'_>) -> Result<(), StatementError> {
    let version: i64 = savepoint.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(savepoint.pragma_update(None, "user_version", version)?)
}

fn apply(savepoint: &Savepoint<'_>, write: &Write) -> Result<(), StatementError> {
    match write {
        Write::Append { entry, record, act } => {
            append(savepoint, entry)?;
            audit::seal(savepoint, act)?;
            record.as_ref().map_or(Ok(()), |record| save(savepoint, record))
        }
        Write::Save(record, acts) => {
            save(savepoint, record)?;
            acts.iter().try_for_each(|act| audit::seal(savepoint, act))
        }
        Write::Acknowledge(ack, act) => sealed_if(acknowledge(savepoint, ack)?, savepoint, act),
        Write::Observe(observation) => observe(savepoint, observation),
        Write::Hold(hold, act) => sealed_if(put_hold(savepoint, hold)?, savepoint, act),
        Write::Lift(row, act) => sealed_if(lift(savepoint, row)?, savepoint, act),
        Write::Record(act) => audit::seal(savepoint, act),
        Write::Probe => probe(savepoint),
        Write::Outbox(write) => outbox::apply(savepoint, write),
    }
}

fn sealed_if(changed: bool, connection: &Connection, act: &Act) -> Result<(), StatementError> {
    if changed { audit::seal(connection, act) } else { Ok(()) }
}

fn append(connection: &Connection, entry: &EntryRow) -> Result<(), StatementError> {
    let EntryRow { rotation, sequence, at, credential, workspace, event, body, actor, by, key } = entry;
    let length: i64 = connection
        .prepare_cached("SELECT coalesce(max(sequence) + 1, 0) FROM entries WHERE rotation = ?1")?
        .query_row([rotation], |row| row.get(0))?;
    if length != *sequence {
        return Err(StatementError::conflict(format!(
            "rotation {rotation} has {length} entries, and `{event}` was to be number {sequence}"
        )));
    }
    if length == 0 {
        connection
            .prepare_cached("INSERT INTO rotations (rotation, credential, workspace) VALUES (?1, ?2, ?3)")?
            .execute(params![rotation, credential, workspace])?;
    } else {
        let owner: (String, String) = connection
            .prepare_cached("SELECT credential, workspace FROM rotations WHERE rotation = ?1")?
            .query_row([rotation], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if (&owner.0, &owner.1) != (credential, workspace) {
            return Err(StatementError::corrupt(
                format!("rotation {rotation}"),
                &format!("it is of {} in {}, not of {credential} in {workspace}", owner.0, owner.1),
            ));
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO entries (rotation, sequence, at, event, body, actor, by, key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![rotation, sequence, at, event, body, actor, by, key])?;
    Ok(())
}

fn save(connection: &Connection, record: &RecordRow) -> Result<(), StatementError> {
    let RecordRow { credential, revision, open, body } = record;
    let stored: Option<i64> = connection
        .prepare_cached("SELECT revision FROM records WHERE credential = ?1")?
        .query_row([credential], |row| row.get(0))
        .optional()?;
    if stored.unwrap_or(0) + 1 != *revision {
        return Err(StatementError::conflict(format!(
            "the record of {credential} has revision {}, and revision {revision} was to follow it",
            stored.unwrap_or(0)
        )));
    }
    let sql = match stored {
        None => "INSERT INTO records (credential, revision, open, body) VALUES (?1, ?2, ?3, ?4)",
        Some(_) => "UPDATE records SET revision = ?2, open = ?3, body = ?4 WHERE credential = ?1",
    };
    connection.prepare_cached(sql)?.execute(params![credential, revision, open, body])?;
    Ok(())
}

/// Says whether the consumer says something else than before.
fn acknowledge(connection: &Connection, ack: &AckRow) -> Result<bool, StatementError> {
    let same: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM acks
             WHERE credential = ?1 AND consumer = ?2 AND fingerprint = ?3 AND health = ?4)",
        )?
        .query_row(params![ack.credential, ack.consumer, ack.fingerprint, ack.health], |row| row.get(0))?;
    let kept = connection
        .prepare_cached(
            "INSERT INTO acks (credential, consumer, fingerprint, health, since, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (credential, consumer) DO UPDATE SET fingerprint = excluded.fingerprint,
                 health = excluded.health, since = excluded.since, at = excluded.at
             WHERE excluded.at >= acks.at OR acks.at > ?7",
        )?
        .execute(params![
            ack.credential,
            ack.consumer,
            ack.fingerprint,
            ack.health,
            ack.since,
            ack.at,
            ack.believes_until
        ])?;
    Ok(kept > 0 && !same)
}

fn observe(connection: &Connection, observation: &ObservationRow) -> Result<(), StatementError> {
    let ObservationRow { credential, rotation, at, body } = observation;
    connection
        .prepare_cached(
            "INSERT INTO observations (credential, rotation, at, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (credential) DO UPDATE SET rotation = excluded.rotation, at = excluded.at,
                 body = excluded.body",
        )?
        .execute(params![credential, rotation, at, body])?;
    Ok(())
}

/// A person's takes the place of a breaker's; any other stays. Says whether anything changed.
fn put_hold(connection: &Connection, hold: &HoldRow) -> Result<bool, StatementError> {
    let put = connection
        .prepare_cached(
            "INSERT INTO holds (scope, what, by, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (scope, what) DO UPDATE SET by = excluded.by, body = excluded.body
             WHERE holds.by = 'breaker' AND excluded.by <> 'breaker'",
        )?
        .execute(params![hold.scope, hold.what, hold.by, hold.body])?;
    Ok(put > 0)
}

/// Says whether there was one.
fn lift(connection: &Connection, row: &LiftRow) -> Result<bool, StatementError> {
    let LiftRow { scope, what, at } = row;
    let gone = connection
        .prepare_cached("DELETE FROM holds WHERE scope = ?1 AND what = ?2")?
        .execute(params![scope, what])?;
    connection
        .prepare_cached(
            "INSERT INTO lifts (scope, what, at) VALUES (?1, ?2, ?3)
             ON CONFLICT (scope, what) DO UPDATE SET at = excluded.at",
        )?
        .execute(params![scope, what, at])?;
    Ok(gone > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::{migrations, open};
    use crate::domain::audit::Actor;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        open::prepare(&connection).unwrap();
        migrations::apply(&mut connection, std::path::Path::new("journal.db"), migrations::ALL).unwrap();
        connection
    }

    fn record(credential: &str, revision: i64, padding: usize) -> Write {
        let body = serde_json::json!({
            "credential": credential, "revision": revision, "padding": "x".repeat(padding)
        });
        Write::Save(
            RecordRow { credential: credential.to_owned(), revision, open: None, body: body.to_string() },
            Vec::new(),
        )
    }

    /// Commits and says of each write whether it was done.
    fn done(connection: &mut Connection, writes: &[Write]) -> Vec<bool> {
        commit(connection, writes).unwrap().iter().map(Result::is_ok).collect()
    }

    fn records(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT credential FROM records").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn one_writes_conflict_does_not_hurt_the_others_of_its_transaction() {
        let mut connection = database();
        let writes =
            [record("a", 1, 0), record("a", 1, 0), record("b", 7, 0), record("a", 2, 0), record("c", 1, 0)];
        assert_eq!(done(&mut connection, &writes), [true, false, false, true, true]);
        assert_eq!(records(&connection), ["a", "c"]);
    }

    #[test]
    fn what_breaks_a_rule_of_the_schema_is_undone_alone() {
        let mut connection = database();
        let Write::Save(mut lying, _) = record("b", 1, 0) else { unreachable!() };
        lying.body = "{}".to_owned();
        assert_eq!(
            done(&mut connection, &[record("a", 1, 0), Write::Save(lying, Vec::new())]),
            [true, false]
        );
        assert_eq!(records(&connection), ["a"]);
    }

    #[test]
    fn a_full_disk_undoes_all_of_a_transaction_and_hurts_nothing_before_or_after() {
        let mut connection = database();
        assert_eq!(done(&mut connection, &[record("a", 1, 0)]), [true]);
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = |connection: &Connection, pages: i64| {
            let set = format!("PRAGMA max_page_count = {pages}");
            connection.query_row(&set, [], |row| row.get::<_, i64>(0)).unwrap();
        };
        limit(&connection, pages + 2);
        let writes = [record("b", 1, 0), record("c", 1, 100_000), record("d", 1, 0)];
        let error = commit(&mut connection, &writes).unwrap_err();
        let told = explain(std::path::Path::new("/var/lib/rekeyd/journal.db"), &error).to_string();
        assert_eq!(
            told,
            "the journal cannot be used: /var/lib/rekeyd/journal.db: database or disk is full; \
             free some space: df -h /var/lib/rekeyd"
        );
        assert_eq!(records(&connection), ["a"]);
        limit(&connection, pages + 1000);
        assert_eq!(done(&mut connection, &writes), [true, true, true]);
    }

    #[test]
    fn the_schema_itself_refuses_gaps_changes_and_deletions() {
        let mut connection = database();
        let begun = EntryRow {
            rotation: "0190b8a0-0000-7000-8000-000000000001".to_owned(),
            sequence: 0,
            at: "2026-01-01T00:00:00.000000000Z".to_owned(),
            credential: "a".to_owned(),
            workspace: "prod".to_owned(),
            event: "begun",
            body: r#"{"event":"begun"}"#.to_owned(),
            actor: "policy",
            by: None,
            key: None,
        };
        let act = Act::new(jiff::Timestamp::UNIX_EPOCH, Actor::Policy, "begun", serde_json::Value::Null);
        assert_eq!(
            done(&mut connection, &[record("a", 1, 0), Write::Append { entry: begun, record: None, act }]),
            [true, true]
        );
        for forbidden in [
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT rotation, 2, at, 'minted', '{\"event\":\"minted\"}' FROM entries",
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT rotation, 1, at, 'minted', '{\"event\":\"staged\"}' FROM entries",
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT rotation, 1, at, 'begun', body FROM entries",
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT rotation, 1, at, 'minted', 'no json' FROM entries",
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT rotation, 1, 'yesterday', 'minted', '{\"event\":\"minted\"}' FROM entries",
            "INSERT INTO entries (rotation, sequence, at, event, body) SELECT hex(randomblob(18)), 0, at, event, body FROM entries",
            "UPDATE entries SET at = at",
            "DELETE FROM entries",
            "UPDATE rotations SET workspace = 'dev'",
            "DELETE FROM rotations",
            "UPDATE records SET revision = 3, body = json_set(body, '$.revision', 3)",
            "UPDATE records SET revision = 2",
            "UPDATE records SET revision = 2, open = 'x', body = json_set(body, '$.revision', 2, '$.open', 'x')",
            "DELETE FROM records",
            "UPDATE audit SET what = what",
            "DELETE FROM audit",
            "INSERT INTO audit SELECT 3, at, actor, by, what, credential, workspace, rotation, details, hash, hash FROM audit",
            "INSERT INTO audit SELECT 2, at, actor, by, what, credential, workspace, rotation, details, previous, hash FROM audit",
        ] {
            let error = connection.execute(forbidden, []).expect_err(forbidden);
            assert_eq!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::ConstraintViolation),
                "{forbidden}: {error}"
            );
        }
    }
}
