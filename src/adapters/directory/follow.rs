//! Follows a secret in a file: one of a directory store, or any other. A change shows in its inode, times and link target,
//! on every file system, and also where a mount swaps links above the file.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::json_field;
use crate::domain::failure::{Failure, Kind};
use crate::domain::secret::SecretValue;
use crate::plain_file;
use crate::ports::followed::{ContentMark, Followed, FollowedSource, FollowedState};

pub(super) const EVERY: &str = "1s";

/// A file as the agent's configuration names it.
#[derive(Debug)]
pub(crate) struct FileSettings {
    pub(super) path: PathBuf,
}

#[async_trait]
impl FollowedSource for FileSettings {
    fn default_interval(&self) -> &'static str {
        EVERY
    }

    fn longest_pause(&self, interval: Duration) -> Duration {
        interval
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    async fn follow(&self, json_field: Option<String>) -> Result<Box<dyn Followed>, Failure> {
        Ok(Box::new(FollowedFile::new(self.path.clone(), json_field)))
    }
}

struct FollowedFile {
    path: PathBuf,
    json_field: Option<String>,
    last: Mutex<Option<Snapshot>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Snapshot {
    mark: ContentMark,
    /// Device and inode: the same while the file is written into instead of replaced.
    file: (u64, u64),
}

impl FollowedFile {
    fn new(path: PathBuf, json_field: Option<String>) -> Self {
        Self { path, json_field, last: Mutex::default() }
    }

    fn snapshot(&self) -> io::Result<Snapshot> {
        let target = fs::read_link(&self.path).unwrap_or_default();
        let it = fs::metadata(&self.path)?;
        Ok(Snapshot { mark: mark(&it, &target.to_string_lossy()), file: (it.dev(), it.ino()) })
    }

    fn value(&self, content: &[u8]) -> Result<SecretValue, Failure> {
        let unfit =
            |why: &str| Failure::rejected(Kind::Invalid, format!("cannot use {}: {why}", self.shown()));
        let text = std::str::from_utf8(content).map_err(|_| unfit("it is not text"))?;
        match &self.json_field {
            None => SecretValue::new(text.trim().to_owned()).map_err(|bad| unfit(&bad.to_string())),
            Some(field) => json_field::get(text, field)
                .map_err(|bad| unfit(&bad.to_string()))?
                .ok_or_else(|| unfit(&format!("its field `{field}` is not there, or cannot be a key"))),
        }
    }

    fn shown(&self) -> String {
        format!("the secret in `{}`", self.path.display())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let known =
            [(io::ErrorKind::NotFound, Kind::NotFound), (io::ErrorKind::PermissionDenied, Kind::Forbidden)];
        let kind = known.into_iter().find(|(known, _)| *known == error.kind());
        let kind = kind.map_or(Kind::LocalDisk, |(_, kind)| kind);
        Failure::rejected(kind, format!("cannot read {}: {error}", self.shown()))
    }
}

fn mark(it: &Metadata, target: &str) -> ContentMark {
    let (modified, changed) = ((it.mtime(), it.mtime_nsec()), (it.ctime(), it.ctime_nsec()));
    ContentMark(format!("{}:{}:{modified:?}:{changed:?}:{}:{target}", it.dev(), it.ino(), it.len()))
}

#[async_trait]
impl Followed for FollowedFile {
    /// Reads on the caller's thread: the file is small and local.
    async fn look(&self, since: Option<&ContentMark>) -> Result<FollowedState, Failure> {
        let now = self.snapshot().map_err(|error| self.failed(&error))?;
        if since == Some(&now.mark) {
            return Ok(FollowedState::Same);
        }
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now.clone());
        // Written into, not replaced: the content may be half written until two looks see the same.
        if before.is_some_and(|before| before.file == now.file && before.mark != now.mark) {
            return Ok(FollowedState::Unsettled);
        }
        let content =
            plain_file::read(&self.path, plain_file::BYTES_MAX).map_err(|error| self.failed(&error))?;
        if self.snapshot().map_err(|error| self.failed(&error))? != now {
            return Ok(FollowedState::Unsettled);
        }
        Ok(FollowedState::New { mark: now.mark, value: self.value(&content)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(look: Result<FollowedState, Failure>) -> String {
        match look {
            Ok(FollowedState::Same) => "same".to_owned(),
            Ok(FollowedState::Unsettled) => "unsettled".to_owned(),
            Ok(FollowedState::New { value, .. }) => value.expose().to_owned(),
            Err(failure) => failure.kind.label().to_owned(),
        }
    }

    #[tokio::test]
    async fn a_replaced_file_is_read_at_once_and_one_that_is_written_into_when_it_stands_still() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let followed = FollowedFile::new(path.clone(), None);
        assert_eq!(shown(followed.look(None).await), "not_found");
        fs::write(&path, "one\n").unwrap();
        let Ok(FollowedState::New { mark, value }) = followed.look(None).await else {
            panic!("it is not read")
        };
        assert_eq!(value.expose(), "one");
        assert_eq!(shown(followed.look(Some(&mark)).await), "same");

        fs::write(directory.path().join("fresh"), "two").unwrap();
        fs::rename(directory.path().join("fresh"), &path).unwrap();
        assert_eq!(shown(followed.look(Some(&mark)).await), "two");

        fs::write(&path, "thr").unwrap();
        assert_eq!(shown(followed.look(Some(&mark)).await), "unsettled");
        fs::write(&path, "three").unwrap();
        assert_eq!(shown(followed.look(Some(&mark)).await), "unsettled");
        assert_eq!(shown(followed.look(Some(&mark)).await), "three");
    }

    #[tokio::test]
    async fn what_cannot_be_a_key_is_refused_without_being_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for (content, field, expected) in [
            ("", None, "is empty"),
            (" \n", None, "is empty"),
            ("planted words", None, "printable ASCII"),
            ("planted", Some("key"), "not a JSON object"),
            ("{\"other\":\"planted\"}", Some("key"), "`key` is not there"),
        ] {
            fs::write(&path, content).unwrap();
            let followed = FollowedFile::new(path.clone(), field.map(str::to_owned));
            let Err(failure) = followed.look(None).await else { panic!("{content} is read") };
            let text = format!("{failure} {failure:?}");
            assert!(text.contains(expected) && !text.contains("planted"), "{text}");
        }
        fs::write(&path, "{\"other\":1,\"key\":\"sk_1\"}").unwrap();
        let followed = FollowedFile::new(path, Some("key".to_owned()));
        assert_eq!(shown(followed.look(None).await), "sk_1");
    }
}
