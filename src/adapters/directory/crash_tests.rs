//! The process dies before each effect on the file system, and a new one opens the directory and finishes: consumers only
//! ever read a whole old or a whole new value.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use crate::adapters::directory::{Directory, Settings};
use crate::domain::failure::Failure;
use crate::domain::ids::{StoreName, VersionId};
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::ports::secret_store::{SecretStore, VersionRef};

/// Lets a number of effects succeed. Every later effect fails, as if the process were dead.
#[derive(Debug)]
pub(super) struct CrashPoint(AtomicI64);

impl Default for CrashPoint {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }
}

impl CrashPoint {
    pub(super) fn reach(&self) -> io::Result<()> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err(io::Error::other("dead")) }
    }
}

fn destination(json_field: Option<&str>) -> Destination {
    Destination {
        store: StoreName::new("local").unwrap(),
        secret: "prod/tts".to_owned(),
        json_field: json_field.map(str::to_owned),
        create: true,
        create_field: true,
    }
}

fn version(number: u32) -> VersionId {
    VersionId::new(format!("0198c0de-0000-7000-8000-{number:012}")).unwrap()
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

/// Two rotations, an aborted one and a rollback. Each call can be repeated.
async fn rotate_and_roll_back(
    store: &Directory,
    to: &Destination,
    through: &mut usize,
) -> Result<(), Failure> {
    for (number, text) in [(1, "sk_first"), (2, "sk_second")] {
        if *through < number as usize {
            let staged = store.stage(to, &version(number), &value(text)).await?;
            store.promote(to, &version(number), staged.over.as_ref()).await?;
            *through += 1;
        }
    }
    if *through == 2 {
        store.stage(to, &version(3), &value("sk_third")).await?;
        store.discard(to, &version(3)).await?;
        *through += 1;
    }
    if *through == 3 {
        store.promote(to, &version(1), Some(&version(2))).await?;
        *through += 1;
    }
    store.discard(to, &version(2)).await
}

fn dying_after(root: &Path, effects: i64) -> Directory {
    let store = Directory::open(&Settings::new(root)).unwrap();
    store.disk.crash_point.0.store(effects, Ordering::SeqCst);
    store
}

#[tokio::test]
async fn dying_before_any_effect_hurts_nobody() {
    for (field, foreign, first) in [
        (None, None, None),
        (None, Some("sk_by_hand\n"), Some("sk_by_hand")),
        (Some("key"), Some("{\"a\": 1}\n"), None),
    ] {
        let to = destination(field);
        let allowed = [first, Some("sk_first"), Some("sk_second")];
        let mut deaths = 0;
        loop {
            let root = TempDir::new().unwrap();
            let served = root.path().join(&to.secret);
            if let Some(foreign) = foreign {
                std::fs::create_dir_all(served.parent().unwrap()).unwrap();
                std::fs::write(&served, foreign).unwrap();
            }
            let mut through = 0;
            let alive =
                rotate_and_roll_back(&dying_after(root.path(), deaths), &to, &mut through).await.is_ok();
            let after = Directory::open(&Settings::new(root.path())).unwrap();
            let held = after.read(&to, VersionRef::Current).await.unwrap();
            let text = held.and_then(|held| held.value).map(|value| value.expose().to_owned());
            assert!(
                text.is_none() && through == 0 || allowed.contains(&text.as_deref()),
                "after {deaths} effects {text:?} is served"
            );
            if let (None, Some(text)) = (field, &text) {
                let raw = std::fs::read_to_string(&served).unwrap();
                assert_eq!(raw.trim_end(), text, "what cat shows is the value");
            }
            rotate_and_roll_back(&after, &to, &mut through)
                .await
                .unwrap_or_else(|why| panic!("after {deaths}: {why}"));
            let served = std::fs::read_to_string(&served).unwrap();
            let wanted = if field.is_some() { "{\"a\": 1,\"key\":\"sk_first\"}\n" } else { "sk_first" };
            assert_eq!(served, wanted, "after {deaths} effects");
            let mut left: Vec<_> = std::fs::read_dir(root.path().join(".rekeyd/prod+tts"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != ".previous")
                .collect();
            left.sort();
            assert_eq!(
                left,
                [version(1).to_string(), format!("{}.meta", version(1))],
                "after {deaths} effects"
            );
            assert_eq!(std::fs::read_dir(root.path().join(".rekeyd/.tmp")).unwrap().count(), 0);
            if alive {
                break;
            }
            deaths += 1;
        }
        assert!(deaths > 40, "only {deaths} effects were seen");
    }
}
