//! The journal for a command that only looks: while the daemon runs, when it does not, and after it was killed. It
//! takes no lock, creates no file and changes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use crate::adapters::sqlite::lock::holder_of;
use crate::adapters::sqlite::open::{beside, prepare, recovery, version};
use crate::adapters::sqlite::statement_error::StatementError;
use crate::adapters::sqlite::{acks, audit, migrations, outbox, read};
use crate::domain::ack::Ack;
use crate::domain::audit::{ChainedAct, Head};
use crate::domain::gate::Observations;
use crate::domain::hold::Hold;
use crate::domain::ids::{CredentialName, RotationId, WorkspaceName};
use crate::domain::notification::ChannelFailure;
use crate::ports::journal::{AuditReader, Diagnosis, JournalReader, OpenError, ReadError, Verification};
use crate::ports::journal::{CredentialStates, Error, RotationHistory};

/// How often to look again when the daemon starts or stops while we read.
const ATTEMPTS_MAX: u32 = 5;

/// The reading half of the journal. Each question opens the file anew, so that nothing of the daemon's is held up
/// between two of them. Its methods block.
#[derive(Debug)]
pub struct ReadOnlyJournal {
    path: PathBuf,
}

impl ReadOnlyJournal {
    /// Checks that there is a journal at `path` that this rekeyd can read.
    ///
    /// # Errors
    /// Each error says what to do. Nothing was created.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let resolved = match path.canonicalize() {
            Ok(resolved) => resolved,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(OpenError::Missing { journal: path.display().to_string() });
            }
            Err(error) => return Err(OpenError::io("read the journal", path, &error)),
        };
        let journal = Self { path: resolved };
        match journal.answer(|_| Ok(())) {
            Ok(()) => Ok(journal),
            Err(ReadError::Open(error)) => Err(error),
            Err(ReadError::Read(error)) => Err(OpenError::Unusable {
                attempt: "read the journal",
                journal: journal.path.display().to_string(),
                why: error.to_string(),
                advice: "try again".to_owned(),
            }),
        }
    }

    fn answer<T>(&self, question: impl Fn(&Connection) -> Result<T, StatementError>) -> Result<T, ReadError> {
        let mut attempt = 1;
        loop {
            let before = Standing::of(&self.path)?;
            let answer = self.ask(before.at_rest, &question);
            // A file at rest is read without any lock, which is sound only if it was at rest all the time; and what
            // went wrong while the daemon started or stopped may go right now.
            if Standing::of(&self.path)? == before || (answer.is_ok() && !before.at_rest) {
                return answer;
            }
            if attempt == ATTEMPTS_MAX {
                let why = format!("{} keeps changing; try again", self.path.display());
                return Err(Error::Unavailable(why).into());
            }
            attempt += 1;
        }
    }

    fn ask<T>(
        &self,
        at_rest: bool,
        question: impl Fn(&Connection) -> Result<T, StatementError>,
    ) -> Result<T, ReadError> {
        let connection = connect(&self.path, at_rest)?;
        let journal = || self.path.display().to_string();
        let found = version(&connection, &self.path)?;
        let known = migrations::LATEST;
        if found > known {
            return Err(OpenError::Newer { journal: journal(), found, known }.into());
        }
        if found < known {
            return Err(OpenError::Older { journal: journal(), found, known }.into());
        }
        question(&connection).map_err(|failed| failed.into_error(&self.path).into())
    }
}

impl JournalReader for ReadOnlyJournal {
    fn load(&self) -> Result<CredentialStates, ReadError> {
        self.answer(read::load)
    }

    fn history(&self, credential: &CredentialName, limit: usize) -> Result<Vec<RotationHistory>, ReadError> {
        self.answer(|connection| read::history(connection, credential, limit))
    }

    fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, ReadError> {
        self.answer(|connection| acks::of(connection, credential))
    }

    fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, ReadError> {
        self.answer(|connection| read::observed(connection, credential, rotation))
    }

    fn holds(&self) -> Result<Vec<Hold>, ReadError> {
        self.answer(read::holds)
    }

    fn failing_channels(&self) -> Result<Vec<ChannelFailure>, ReadError> {
        self.answer(outbox::failing)
    }
}

impl AuditReader for ReadOnlyJournal {
    fn audit_head(&self) -> Result<Head, ReadError> {
        self.answer(audit::head)
    }

    fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, ReadError> {
        self.answer(|connection| audit::records(connection, after, limit))
    }

    fn verify_audit(&self, expected: Option<&Head>) -> Result<Verification, ReadError> {
        self.answer(|connection| audit::verify(connection, expected))
    }
}

impl Diagnosis for ReadOnlyJournal {
    fn damage(&self) -> Result<Vec<String>, ReadError> {
        self.answer(|connection| {
            let mut statement = connection.prepare("PRAGMA quick_check(20)")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }

    fn recovery(&self) -> String {
        recovery(&self.path)
    }

    fn last_written(&self) -> Option<Timestamp> {
        let files = [self.path.clone(), beside(&self.path, "-wal")];
        let modified = files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok());
        modified.max().and_then(|at| Timestamp::try_from(at).ok())
    }

    fn mints_since(&self, workspace: &WorkspaceName, since: Timestamp) -> Result<Vec<Timestamp>, ReadError> {
        self.answer(|connection| read::mints_since(connection, workspace, since))
    }

    fn holder(&self) -> Option<u32> {
        holder_of(&self.path)
    }
}

/// How the files lie: whether any process may be writing, and what the database file looks like.
#[derive(PartialEq, Eq)]
struct Standing {
    /// No write-ahead log: it was closed in order, and the database file holds everything.
    at_rest: bool,
    modified: Option<SystemTime>,
    length: u64,
}

impl Standing {
    fn of(path: &Path) -> Result<Self, OpenError> {
        let file = match fs::metadata(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(OpenError::Missing { journal: path.display().to_string() });
            }
            Err(error) => return Err(OpenError::io("read the journal", path, &error)),
        };
        let log = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
        let at_rest = log == 0;
        // While a daemon writes, the file changes with each checkpoint, and the log guards the reader.
        let (modified, length) = if at_rest { (file.modified().ok(), file.len()) } else { (None, 0) };
        Ok(Self { at_rest, modified, length })
    }
}

/// `readonly_shm` and `immutable` keep SQLite from creating the files that it would otherwise read through.
fn connect(path: &Path, at_rest: bool) -> Result<Connection, OpenError> {
    let Some(text) = path.to_str() else {
        return Err(OpenError::Unusable {
            attempt: "read the journal",
            journal: path.display().to_string(),
            why: "its path is not UTF-8".to_owned(),
            advice: "give it another name".to_owned(),
        });
    };
    let text = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let how = if at_rest { "immutable=1" } else { "readonly_shm=1" };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let sqlite = |error: rusqlite::Error| OpenError::sqlite("read the journal", path, &error);
    let connection =
        Connection::open_with_flags(format!("file:{text}?mode=ro&{how}"), flags).map_err(sqlite)?;
    prepare(&connection).map_err(sqlite)?;
    Ok(connection)
}
