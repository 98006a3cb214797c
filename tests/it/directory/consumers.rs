//! What consumers see of a directory: whole values, under the mode and group of the policy.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rekeyd::adapters::directory::{Directory, Settings};
use rekeyd::domain::failure::Kind;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};
use tempfile::TempDir;

use crate::directory::Local;
use crate::support::store_conformance::{Harness, kind, place, value, version};

#[tokio::test]
async fn a_plain_cat_shows_the_value() {
    let local = Local::new();
    let (to, new) = (place("prod/tts", None, true), version());
    local.store.stage(&to, &new, &value("sk_first")).await.unwrap();
    assert!(!local.path.join("prod/tts").exists(), "nothing is served before the promotion");
    local.store.promote(&to, &new, None).await.unwrap();
    let cat = Command::new("cat").arg(local.path.join("prod/tts")).output().unwrap();
    assert_eq!(cat.stdout, b"sk_first");
    let moved = local.path.with_file_name("elsewhere");
    std::fs::rename(&local.path, &moved).unwrap();
    assert_eq!(std::fs::read(moved.join("prod/tts")).unwrap(), b"sk_first", "it holds in every mount");
}

#[tokio::test]
async fn modes_and_group_are_the_policys_whatever_the_umask() {
    let root = TempDir::new().unwrap();
    let own = root.path().metadata().unwrap();
    // Only root may hand files to any group.
    let group = if own.uid() == 0 { 4242 } else { own.gid() };
    let settings = Settings {
        mode: 0o666,
        directory_mode: 0o777,
        group: Some(group.to_string()),
        ..Settings::new(root.path().join("secrets"))
    };
    let store = Directory::open(&settings).unwrap();
    let (to, new) = (place("prod/tts", None, true), version());
    store.stage(&to, &new, &value("sk_first")).await.unwrap();
    store.promote(&to, &new, None).await.unwrap();
    for (path, mode) in
        [("", 0o777), (".rekeyd", 0o777), ("prod", 0o777), (".rekeyd/prod+tts", 0o777), ("prod/tts", 0o666)]
    {
        let there = settings.path.join(path).metadata().unwrap();
        assert_eq!((there.mode() & 0o7777, there.gid()), (mode, group), "{path}");
    }
    for own in [".rekeyd/.tmp", ".rekeyd/.lock", &format!(".rekeyd/prod+tts/{new}.meta")] {
        assert_eq!(settings.path.join(own).metadata().unwrap().mode() & 0o077, 0, "{own}");
    }
}

#[tokio::test]
async fn an_unknown_group_is_an_error_that_says_so() {
    let root = TempDir::new().unwrap();
    let group = Some("no such group".to_owned());
    let failure = Directory::open(&Settings { group, ..Settings::new(root.path()) }).unwrap_err();
    assert_eq!(failure.kind, Kind::Invalid);
    assert!(failure.message.contains("`no such group`"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_whole_values_only() {
    let local = Local::new();
    let to = place("tts", None, true);
    let path = local.path.join("tts");
    let mut over = None;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let mut reader = None;
    for number in 0..40 {
        let new = version();
        local.store.stage(&to, &new, &value(&format!("sk_{number:064}"))).await.unwrap();
        local.store.promote(&to, &new, over.as_ref()).await.unwrap();
        over = Some(new);
        let (path, stopped) = (path.clone(), Arc::clone(&stopped));
        reader.get_or_insert_with(|| {
            std::thread::spawn(move || {
                let mut reads = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let text = std::fs::read_to_string(&path).expect("there is always a value");
                    assert_eq!(text.len(), 67, "{text}");
                    reads += 1;
                }
                reads
            })
        });
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.unwrap().join().unwrap() > 0);
    let shelf = std::fs::read_dir(local.path.join(".rekeyd/tts")).unwrap().count();
    assert_eq!(shelf, 5, "two versions, their notes, and the link to the previous one are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_one_wins() {
    let local = Local::new();
    let other = Directory::open(&Settings::new(&local.path)).unwrap();
    let to = place("tts", None, true);
    local.write_by_hand("tts", "sk_old\n").await;
    let old = local.store.preflight(&to).await.unwrap();
    assert_eq!(old.fingerprint, Some(value("sk_old").fingerprint()), "a newline at the end is no part of it");
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = if number % 2 == 0 { local.store.clone() } else { other.clone() };
        let (to, old, new) = (to.clone(), old.version.clone(), version());
        attempts.spawn(async move {
            store.stage(&to, &new, &value(&format!("sk_{number}"))).await.unwrap();
            kind(store.promote(&to, &new, old.as_ref()).await)
        });
    }
    let outcomes = attempts.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Kind::Conflict)).count(), 7);
    let kept =
        local.store.read(&to, VersionRef::Version(old.version.as_ref().unwrap())).await.unwrap().unwrap();
    assert_eq!(
        kept.value.unwrap().fingerprint(),
        value("sk_old").fingerprint(),
        "the file made by hand is kept"
    );
}
