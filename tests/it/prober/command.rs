//! What becomes of the programs that are asked, and of what they start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::adapters::prober::NetworkProber;
use rekeyd::domain::gate::command::CommandGate;
use rekeyd::ports::prober::Prober;
use tempfile::TempDir;

fn script(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("may-revoke");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn prober() -> NetworkProber {
    NetworkProber { rekeyd: env!("CARGO_BIN_EXE_rekeyd").into() }
}

async fn run(path: &Path, arguments: &[&str], limit: SignedDuration) -> Result<(), String> {
    // By way of the shell: a file that was written a moment ago may still be open in a child of another test.
    let words = ["/bin/sh", path.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    let gate = CommandGate { command: words.map(str::to_owned).collect(), time_limit: limit };
    let about = BTreeMap::from([("REKEYD_CREDENTIAL".to_owned(), "tts".to_owned())]);
    prober().run(&gate, &about).await
}

const LONG: SignedDuration = SignedDuration::from_secs(20);

#[tokio::test]
async fn exit_code_zero_is_yes_and_everything_else_says_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    for (text, told) in [
        ("exit 0", None),
        ("exit 3", Some("exited with 3")),
        ("kill -9 $$", Some("was ended by signal 9")),
        ("exec 1>&-; head -c 10000000 /dev/zero; exit 0", None),
    ] {
        let outcome = run(&script(&folder, text), &[], LONG).await;
        match told {
            None => assert_eq!(outcome, Ok(()), "{text}"),
            Some(told) => assert!(outcome.clone().unwrap_err().ends_with(told), "{outcome:?}"),
        }
    }
    let absent = CommandGate { command: vec!["/nowhere/may-revoke".to_owned()], time_limit: LONG };
    let absent = prober().run(&absent, &BTreeMap::new()).await.unwrap_err();
    assert!(absent.starts_with("`/nowhere/may-revoke` cannot be started"), "{absent}");
    let nothing = CommandGate { command: vec![], time_limit: LONG };
    assert!(prober().run(&nothing, &BTreeMap::new()).await.is_err());
}

#[tokio::test]
async fn it_gets_its_arguments_the_promised_environment_and_nothing_that_is_open_here() {
    let folder = tempfile::tempdir().unwrap();
    // What the daemon has open: its journal, its listeners.
    let kept = fs::File::create(folder.path().join("journal.db")).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let out = folder.path().join("out");
    let text = format!(
        "cat /proc/$$/environ | tr '\\0' '\\n' | sort >{0}; ls -l /proc/$$/fd >{0}.fds; echo \"$#:$1:$2\" >{0}.args; ! read line",
        out.display()
    );
    assert_eq!(run(&script(&folder, &text), &["a b", "$HOME"], LONG).await, Ok(()), "its input is empty");
    let read = |extension: &str| fs::read_to_string(format!("{}{extension}", out.display())).unwrap();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let environment = read("");
    assert_eq!(environment.lines().collect::<Vec<_>>(), ["LANG=C.UTF-8", path, "REKEYD_CREDENTIAL=tts"]);
    assert_eq!(read(".args"), "2:a b:$HOME\n");
    let open = read(".fds");
    assert!(!open.contains("journal.db"), "{open}");
    let (inode, port) = (open.matches("socket:").count(), listener.local_addr().unwrap().port());
    let before = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open.lines().count() < before, "of {before} (port {port}) it got {inode} sockets: {open}");
    drop(kept);
}

/// A script that starts another process which lives on, and says which.
fn with_child(folder: &TempDir, end: &str) -> (PathBuf, PathBuf) {
    let pids = folder.path().join("pids");
    let text = format!("sleep 300 & echo \"$! $$\" >{0}.part; mv {0}.part {0}; {end}", pids.display());
    (script(folder, &text), pids)
}

async fn all_gone(pids: &Path) {
    let pids = fs::read_to_string(pids).unwrap();
    let alive = || {
        let stat = |pid: &&str| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        // Whoever nobody reaps is dead all the same.
        pids.split_whitespace().filter(|pid| stat(pid).is_some_and(|it| !it.contains(") Z "))).count()
    };
    let begun = Instant::now();
    while alive() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "still alive: {pids}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn when_its_time_is_up_it_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pids) = with_child(&folder, "trap '' TERM INT HUP; while :; do sleep 1; done");
    let begun = Instant::now();
    let outcome = run(&path, &[], SignedDuration::from_secs(1)).await;
    assert!(outcome.clone().unwrap_err().ends_with("did not end within 1s"), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    all_gone(&pids).await;
}

/// A script with children in sessions of their own: one that stays below it, and one whose parent has exited.
fn with_sessions(folder: &TempDir, end: &str) -> (PathBuf, PathBuf) {
    let pids = folder.path().join("pids");
    let child = |name: &str| format!("setsid sh -c 'echo $$ >{}.{name}; exec sleep 300'", pids.display());
    let (a, b, at) = (child("a"), child("b"), pids.display());
    let text = format!(
        "{a} & ({b} &); until [ -s {at}.a ] && [ -s {at}.b ]; do sleep 0.01; done; cat {at}.a {at}.b >{at}.part; mv {at}.part {at}; {end}"
    );
    (script(folder, &text), pids)
}

#[tokio::test]
async fn what_it_started_in_sessions_of_their_own_is_killed_too_however_it_ends() {
    for (end, limit, outcome) in
        [("sleep 300", SignedDuration::from_secs(3), Err("did not end within 3s")), ("exit 0", LONG, Ok(()))]
    {
        let folder = tempfile::tempdir().unwrap();
        let (path, pids) = with_sessions(&folder, end);
        let ended = run(&path, &[], limit).await;
        assert!(ended == outcome.map_err(|it| format!("`/bin/sh` {it}")), "{ended:?}");
        assert_eq!(fs::read_to_string(&pids).unwrap().lines().count(), 2);
        all_gone(&pids).await;
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pids) = with_child(&folder, "wait");
    let begun = Instant::now();
    tokio::select! {
        outcome = run(&path, &[], LONG) => panic!("it ended: {outcome:?}"),
        () = async {
            while !pids.exists() {
                assert!(begun.elapsed() < Duration::from_secs(10));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    all_gone(&pids).await;
}

#[tokio::test]
async fn what_outlives_it_is_ended_and_does_not_keep_anybody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pids) = with_child(&folder, "exit 0");
    let begun = Instant::now();
    assert_eq!(run(&path, &[], LONG).await, Ok(()));
    assert!(begun.elapsed() < Duration::from_secs(5));
    all_gone(&pids).await;
}
