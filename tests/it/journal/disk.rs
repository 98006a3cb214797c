//! A disk that is full, a directory and a file that may not be written.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::journal::{Error, Records, RotationLog};

use super::samples::{CHILD_JOURNAL, as_child, begun, child, entry, hindered, name, record, rotation};

/// An id that owns nothing.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn a_disk_that_takes_no_more_refuses_writes_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let mut limited = Command::new("sh");
    limited
        .args(["-c", r#"trap "" XFSZ; ulimit -f 600; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap());
    as_child(&mut limited, "journal::disk::child_appends_until_refused", &path);
    let output = limited.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let written: u64 = text.lines().find_map(|line| line.strip_prefix("written ")).unwrap().parse().unwrap();
    let refusal = text.lines().find_map(|line| line.strip_prefix("refused ")).unwrap();
    assert!(refusal.contains("journal.db") && refusal.contains("df -h"), "{refusal}");

    let journal = SqliteJournal::open(&path).unwrap();
    let known = journal.load_one(&name("tts")).await.unwrap().unwrap();
    assert_eq!((known.rotation.unwrap().length, known.record.revision), (written, written));
    journal.append(&entry("tts", rotation(1), written, hindered()), None).await.unwrap();
}

/// Not a test by itself: the process whose files may not grow.
#[tokio::test]
async fn child_appends_until_refused() {
    let Some(path) = std::env::var_os(CHILD_JOURNAL) else {
        return;
    };
    let journal = SqliteJournal::open(&PathBuf::from(path)).unwrap();
    let id = rotation(1);
    let mut written = 0;
    let refusal = loop {
        let event = if written == 0 { begun("tts", "prod", id) } else { hindered() };
        let outcome = journal
            .append(&entry("tts", id, written, event), Some(&record("tts", written + 1, Some(id))))
            .await;
        match outcome {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000, "the limit does not hold");
    };
    assert!(matches!(refusal, Error::Unavailable(_)), "{refusal:?}");
    assert_eq!(u64::try_from(journal.entries(id).await.unwrap().len()).unwrap(), written);
    println!("\nwritten {written}\nrefused {refusal}");
}

#[test]
fn a_place_that_may_not_be_written_is_named_with_what_to_type() {
    let directory = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(directory.path(), 0o755);

    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    mode(&closed, 0o555);
    let said = refusal_of_a_stranger(&closed.join("journal.db"), directory.path());
    assert!(said.contains("create the journal") && said.contains("Permission denied"), "{said}");
    assert!(said.contains("ls -ld"), "{said}");

    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    mode(&open, 0o777);
    let path = open.join("journal.db");
    drop(SqliteJournal::open(&path).unwrap());
    mode(&path, 0o444);
    fs::remove_file(open.join("journal.db.lock")).unwrap();
    let said = refusal_of_a_stranger(&path, directory.path());
    assert!(said.contains("cannot write to the journal") && said.contains("ls -ld"), "{said}");
    mode(&closed, 0o755);
}

/// What somebody without privileges is told who opens `journal`. Root may write anywhere, so that for root it is
/// tried as nobody.
fn refusal_of_a_stranger(journal: &Path, scratch: &Path) -> String {
    let test = "journal::disk::child_opens";
    let is_root = fs::metadata(scratch).unwrap().uid() == 0;
    let mut command = child(test, journal);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap_or_else(|_| {
        // The build directory is closed to nobody.
        let copy = scratch.join("it");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let mut command = Command::new(copy);
        as_child(&mut command, test, journal);
        command.current_dir(scratch).uid(NOBODY).gid(NOBODY).output().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("refused ")).ok_or(&text).unwrap().to_owned()
}

/// Not a test by itself: the process without privileges.
#[test]
fn child_opens() {
    let Some(path) = std::env::var_os(CHILD_JOURNAL) else {
        return;
    };
    println!("\nrefused {}", SqliteJournal::open(&PathBuf::from(path)).unwrap_err());
}
