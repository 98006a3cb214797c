//! What is found of directories, by a user who may not do everything: root would be shown no permission at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rekeyd::sandbox::rules::Rules;

use super::harness::{Harness, Told, command};

/// A user that is nobody else's, if the tests are root.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A harness whose policy and secrets belong to whom the program is run as, and a program that this user can reach.
async fn build() -> (Harness, PathBuf) {
    let harness = Harness::build(Rules::default()).await;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_rekeyd"));
    if !is_root() {
        return (harness, program);
    }
    let copied = harness.path("rekeyd");
    fs::copy(program, &copied).unwrap();
    for name in ["admin", "state"] {
        chown(harness.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    (harness, copied)
}

fn examined(harness: &Harness, program: &Path, policy: &str, more: &[&str]) -> Told {
    let mut command = command(program);
    command.args(["doctor", "--output", "json", "--policy"]).arg(harness.write(policy)).args(more);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    Told::from(&command.output().unwrap())
}

fn owned(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_cannot_be_written_or_made_is_found_and_nothing_is_changed() {
    let (harness, program) = build().await;
    let (policy, secrets) = (harness.policy(), harness.path("secrets"));
    let told = examined(&harness, &program, &policy, &[]);
    told.says("user", "ok", &["running as user"]);
    if is_root() {
        told.says("directory", "error", &["cannot be created in", "[`install -d -m 0750"]);
    }
    owned(&secrets, 0o550);
    let told = examined(&harness, &program, &policy, &[]);
    told.says("directory", "error", &["(mode 0550", "[make rekeyd's user its owner: `chown USER"]);
    assert_eq!(fs::read_dir(&secrets).unwrap().count(), 0);

    owned(&secrets, 0o750);
    let told = examined(&harness, &program, &policy, &[]);
    assert!(told.of("directory").iter().all(|found| !found.starts_with("error")), "{}", told.text);
    assert_eq!(fs::read_dir(&secrets).unwrap().count(), 0, "it has written");
    let told = examined(&harness, &program, &policy, &["--write-probe"]);
    told.says("directory", "ok", &["a test file was written and removed"]);

    fs::remove_dir_all(&secrets).unwrap();
    fs::write(&secrets, "in the way").unwrap();
    let told = examined(&harness, &program, &policy, &[]);
    told.says("directory", "error", &["is not a directory", "[move it away"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_for_everybody_a_group_that_is_not_there_and_a_disk_are_doubted() {
    let (harness, program) = build().await;
    let secrets = harness.path("secrets");
    owned(&secrets, 0o755);
    let with =
        |more: &str| harness.policy().replace("[credentials.tts]", &format!("{more}\n[credentials.tts]"));
    let told = examined(&harness, &program, &with("mode = \"0444\""), &[]);
    told.says(
        "directory",
        "warning",
        &["every user of this machine can read the keys", "[set `mode = \"0440\"`"],
    );
    let told = examined(&harness, &program, &with("group = \"no-such-group\""), &[]);
    told.says(
        "directory",
        "error",
        &["there is no group `no-such-group`", "[`groupadd --system no-such-group`"],
    );
    owned(&secrets, 0o750);
    let told = examined(&harness, &program, &with("group = \"0\""), &[]);
    if is_root() {
        told.says("directory", "error", &["not in the group `0`", "SupplementaryGroups=0"]);
        told.says("directory", "warning", &["group `0` cannot enter", "[`chgrp 0 "]);
    }
    let in_memory = Path::new("/dev/shm");
    let shared = rustix::fs::statfs(in_memory).is_ok_and(|kind| kind.f_type == 0x0102_1994);
    let told = examined(&harness, &program, &harness.policy(), &[]);
    let on_tmpfs = rustix::fs::statfs(&secrets).is_ok_and(|kind| kind.f_type == 0x0102_1994);
    if !on_tmpfs {
        told.says("directory", "warning", &["is not a tmpfs", "[`mount -t tmpfs"]);
    }
    if shared {
        let folder = tempfile::tempdir_in(in_memory).unwrap();
        owned(folder.path(), 0o750);
        let policy =
            harness.policy().replace(&secrets.display().to_string(), &folder.path().display().to_string());
        examined(&harness, &program, &policy, &[]).says("directory", "ok", &["is a writable tmpfs"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_that_is_missing_shut_or_open_to_others_is_found() {
    let (harness, program) = build().await;
    let (policy, state) = (harness.policy(), harness.path("state"));
    owned(&state, 0o755);
    let told = examined(&harness, &program, &policy, &[]);
    told.says("state_directory", "warning", &["accessible to other users (mode 0755)", "[`chmod 0700 "]);
    owned(&state, 0o500);
    let told = examined(&harness, &program, &policy, &[]);
    told.says("state_directory", "error", &["not writable (mode 0500", "`chown USER: "]);
    let told = examined(&harness, &program, &policy.replace("/state/journal.db", "/nowhere/journal.db"), &[]);
    told.says("state_directory", "error", &["does not exist", "`install -d -m 0700 "]);
    let told = examined(&harness, &program, &policy.replace("/rekeyd.sock", "/nowhere/rekeyd.sock"), &[]);
    told.says("socket", "error", &["its directory does not exist", "`install -d -m 0750 "]);
}
