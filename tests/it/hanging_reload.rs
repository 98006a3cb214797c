//! A policy on a file system that hangs: it is not put in force, and nothing else waits for it.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::demo::daemon::Daemon;
use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;

use crate::support::rehearsal::Rehearsal;

/// Longer than a read may take.
const LIMIT: Duration = Duration::from_secs(45);
const PROMPTLY: Duration = Duration::from_secs(5);
const IN_FORCE: &str = "the policy is in force";

struct Scene {
    rehearsal: Rehearsal,
    daemon: Daemon,
    text: String,
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let rehearsal = Rehearsal::set(seed, &Pace::new("2s", "1s", "200ms")).await;
        let text = fs::read_to_string(rehearsal.stage.policy()).unwrap();
        let daemon = rehearsal.launcher.start().await.unwrap();
        Self { rehearsal, daemon, text }
    }

    fn hup(&self) {
        self.daemon.signal(Signal::HUP).unwrap();
    }

    fn told(&self, what: &str) -> usize {
        self.rehearsal.said().matches(what).count()
    }

    /// The policy is a pipe that nobody writes: whoever opens it hangs.
    fn hang(&self) -> PathBuf {
        let path = self.rehearsal.stage.policy();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// The file is there again, and the read of the pipe ends.
    fn mend(&self) {
        let path = self.rehearsal.stage.policy();
        let pipe = path.with_extension("pipe");
        fs::rename(&path, &pipe).unwrap();
        fs::write(&path, &self.text).unwrap();
        drop::<File>(OpenOptions::new().write(true).open(pipe).unwrap());
    }

    async fn answers(&self, path: &str) {
        let address = self.rehearsal.launcher.address.borrow().unwrap();
        let http =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PROMPTLY).build().unwrap();
        let answer = http.get(format!("http://{address}{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < LIMIT, "not in time: {what}\n{}", self.rehearsal.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_on_a_file_system_that_hangs_holds_up_nothing_and_is_loaded_once_it_can_be_read() {
    let scene = Scene::set(81).await;
    let path = scene.hang();
    let hangs = format!("reading the file {} has taken", path.display());
    // More than there are threads that serve.
    (0..4).for_each(|_| scene.hup());
    let replaced = scene.rehearsal.calls(Route::DeleteKey);
    scene.until("keys are replaced", |it| it.rehearsal.calls(Route::DeleteKey) > replaced + 1).await;
    scene.answers("/livez").await;
    scene.answers("/readyz").await;
    assert_eq!(scene.told("the one before stays in force"), 0, "it may still answer");
    scene.until("what hangs is said", |it| it.told(&hangs) > 0).await;
    scene.hup();
    let refused = scene.rehearsal.prompt("rekeyd reload").output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&hangs), "{refused:?}");
    scene.answers("/livez").await;
    assert_eq!(scene.told(IN_FORCE), 0);

    scene.mend();
    scene.until("it is loaded", |it| it.told(IN_FORCE) > 0).await;
    let replaced = scene.rehearsal.calls(Route::DeleteKey);
    scene.until("it goes on", |it| it.rehearsal.calls(Route::DeleteKey) > replaced).await;
    assert_eq!(scene.told(IN_FORCE), 1, "what was asked for meanwhile is one reload");
    scene.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_file_system_that_hangs() {
    let scene = Scene::set(82).await;
    scene.hang();
    scene.hup();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    scene.daemon.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
