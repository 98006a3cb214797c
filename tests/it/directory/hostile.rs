//! Names that lead elsewhere, links and edits by others, and a directory that goes away.

use std::os::unix::fs::symlink;

use rekeyd::adapters::directory::{Directory, Settings};
use rekeyd::domain::failure::Kind;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};
use tempfile::TempDir;

use crate::directory::Local;
use crate::support::store_conformance::{kind, place, value, version};

#[tokio::test]
async fn names_cannot_lead_out_of_the_directory() {
    let local = Local::new();
    for name in ["../out", "/etc/passwd", "a/../../b", ".rekeyd/x", "a//b", "a\0b"] {
        let to = place(name, None, true);
        assert_eq!(kind(local.store.preflight(&to).await), Err(Kind::Invalid), "{name:?}");
        assert_eq!(
            kind(local.store.stage(&to, &version(), &value("sk_x")).await),
            Err(Kind::Invalid),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn links_of_others_are_not_followed() {
    let local = Local::new();
    let outside = local.path.with_file_name("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "sk_planted").unwrap();
    symlink(outside.join("file"), local.path.join("file")).unwrap();
    symlink(&outside, local.path.join("folder")).unwrap();
    let to = place("file", None, true);
    assert_eq!(kind(local.store.preflight(&to).await), Err(Kind::Invalid));
    assert_eq!(kind(local.store.read(&to, VersionRef::Current).await.map(drop)), Err(Kind::Invalid));
    let to = place("folder/new", None, true);
    assert_eq!(kind(local.store.stage(&to, &version(), &value("sk_new")).await), Err(Kind::Invalid));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "nothing was written outside");
    std::fs::create_dir(local.path.join("taken")).unwrap();
    assert_eq!(kind(local.store.preflight(&place("taken", None, true)).await), Err(Kind::Invalid));
}

#[tokio::test]
async fn an_edit_through_the_link_is_a_foreign_version() {
    let local = Local::new();
    let (to, first, second) = (place("tts", Some("key"), true), version(), version());
    local.store.stage(&to, &first, &value("sk_first")).await.unwrap();
    local.store.promote(&to, &first, None).await.unwrap();
    local.store.stage(&to, &second, &value("sk_second")).await.unwrap();
    let path = local.path.join("tts");
    let target = std::fs::canonicalize(&path).unwrap();
    std::fs::remove_file(&target).unwrap();
    std::fs::write(&target, r#"{"key":"sk_first","more":1}"#).unwrap();
    assert_eq!(kind(local.store.promote(&to, &second, Some(&first)).await), Err(Kind::Conflict));
    let edited = local.store.preflight(&to).await.unwrap().version.unwrap();
    assert_ne!(edited, first);
    let third = version();
    let over = local.store.stage(&to, &third, &value("sk_second")).await.unwrap().over;
    assert_eq!(over.as_ref(), Some(&edited));
    local.store.promote(&to, &third, over.as_ref()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"key":"sk_second","more":1}"#);
    local.store.promote(&to, &edited, Some(&third)).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        r#"{"key":"sk_first","more":1}"#,
        "the edit was kept"
    );
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_an_error_with_advice() {
    let root = TempDir::new().unwrap();
    let failure = Directory::open(&Settings::new(root.path().join("a/b"))).unwrap_err();
    assert_eq!(failure.kind, Kind::LocalDisk);
    assert!(failure.message.contains("is it mounted"), "{failure}");
    std::fs::write(root.path().join("file"), "").unwrap();
    assert_eq!(
        kind(Directory::open(&Settings::new(root.path().join("file")))).map(drop),
        Err(Kind::LocalDisk)
    );
}

#[tokio::test]
async fn a_directory_that_goes_away_is_noticed_and_one_that_comes_back_empty_is_filled() {
    let local = Local::new();
    let (to, new) = (place("tts", None, true), version());
    std::fs::remove_dir_all(&local.path).unwrap();
    assert_eq!(kind(local.store.preflight(&to).await), Err(Kind::LocalDisk));
    assert_eq!(kind(local.store.stage(&to, &new, &value("sk_new")).await), Err(Kind::LocalDisk));
    std::fs::create_dir(&local.path).unwrap();
    assert!(kind(local.store.read(&to, VersionRef::Current).await).unwrap().is_none());
    local.store.stage(&to, &new, &value("sk_new")).await.unwrap();
    local.store.promote(&to, &new, None).await.unwrap();
    assert_eq!(std::fs::read_to_string(local.path.join("tts")).unwrap(), "sk_new");
}

#[tokio::test]
async fn a_version_that_vanished_is_replaced_without_a_value_of_its_own() {
    let local = Local::new();
    let (to, first, second) = (place("tts", None, true), version(), version());
    local.store.stage(&to, &first, &value("sk_first")).await.unwrap();
    local.store.promote(&to, &first, None).await.unwrap();
    std::fs::remove_file(std::fs::canonicalize(local.path.join("tts")).unwrap()).unwrap();
    let standing = local.store.preflight(&to).await.unwrap();
    assert_eq!((standing.version.as_ref(), standing.fingerprint), (Some(&first), None));
    let over = local.store.stage(&to, &second, &value("sk_second")).await.unwrap().over;
    local.store.promote(&to, &second, over.as_ref()).await.unwrap();
    assert_eq!(std::fs::read_to_string(local.path.join("tts")).unwrap(), "sk_second");
}

#[tokio::test]
async fn what_an_earlier_life_did_not_finish_is_swept() {
    let local = Local::new();
    let unfinished = local.path.join(".rekeyd/.tmp");
    std::fs::write(unfinished.join("half"), "sk_ha").unwrap();
    std::fs::create_dir(unfinished.join("folder")).unwrap();
    Directory::open(&Settings::new(&local.path)).unwrap();
    assert_eq!(std::fs::read_dir(unfinished).unwrap().count(), 0);
}
