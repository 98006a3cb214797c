//! A log that nobody reads: the daemon works, answers and stops all the same, and tells what was dropped.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::sandbox::route::Route;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(40);
const DROPPED: &str = "rekeyd_log_lines_dropped_total ";

/// A stage whose daemon listens on an address that is known without its log.
struct Scene {
    stage: Fixture,
    policy: String,
    address: SocketAddr,
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap(), signal).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let stage = Fixture::build(seed, &Pace::new("2s", "1s", "200ms")).await.unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = fs::read_to_string(stage.policy()).unwrap();
        let policy = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
        assert_ne!(text, policy);
        fs::write(stage.policy(), &policy).unwrap();
        Self { stage, policy, address }
    }

    /// The daemon by way of `through`, words that are put before it.
    fn start(&self, through: &[String], stderr: Stdio, stream: Option<String>) -> Daemon {
        let policy = self.stage.policy();
        let run = [env!("CARGO_BIN_EXE_rekeyd"), "run", "--policy", policy.to_str().unwrap()];
        let mut words = through.iter().cloned().chain(run.map(str::to_owned));
        let mut command = Command::new(words.next().unwrap());
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("REKEYD_LOG", "debug");
        command.envs(stream.map(|stream| ("JOURNAL_STREAM", stream)));
        Daemon(command.spawn().unwrap())
    }

    async fn get(&self, path: &str) -> Option<String> {
        let http =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap();
        let answer = http.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    async fn dropped(&self) -> f64 {
        let metrics = self.get("/metrics").await.unwrap();
        metrics.lines().find_map(|line| line.strip_prefix(DROPPED)?.trim().parse().ok()).unwrap()
    }

    fn replaced(&self) -> u64 {
        self.stage.sandbox.truth().requests.get(&Route::DeleteKey).copied().unwrap_or(0)
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self).await {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// It replaces keys, answers, and drops what does not fit into its queue.
    async fn works_while_nobody_reads(&self, daemon: &Daemon) {
        self.until("it is healthy", async |it| it.get("/healthz").await.is_some()).await;
        self.until("keys are replaced", async |it| it.replaced() >= 3).await;
        // Each refusal is one line that names every problem.
        let mut wrong = self.policy.clone();
        (0..3000).for_each(|number| writeln!(wrong, "[unknown-{number}]").unwrap());
        fs::write(self.stage.policy(), wrong).unwrap();
        self.until("lines are dropped", async |it| {
            daemon.signal(Signal::HUP);
            it.dropped().await > 0.0
        })
        .await;
        let before = self.replaced();
        self.until("it goes on", async |it| it.replaced() > before).await;
        assert!(self.get("/healthz").await.is_some());
    }
}

/// A pipe that takes nothing more.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(b"filler\n").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_reads_its_standard_error_it_works_and_then_one_line_says_what_was_dropped() {
    let scene = Scene::set(51).await;
    let (reader, writer) = full_pipe();
    let mut daemon = scene.start(&["env".to_owned()], writer.into(), None);
    scene.works_while_nobody_reads(&daemon).await;

    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.filter(|line| line.starts_with('{')).collect::<Vec<_>>()
    });
    let mut dropped = 0.0;
    scene
        .until("nothing more is dropped", async |it| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let before = std::mem::replace(&mut dropped, it.dropped().await);
            dropped > 0.0 && before.total_cmp(&dropped).is_eq()
        })
        .await;
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().await.success());
    let lines: Vec<Value> =
        reading.join().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<f64> = lines.iter().filter_map(|line| line["dropped"].as_f64()).collect();
    assert_eq!(told, [dropped]);
    assert_eq!(lines.last().unwrap()["message"], "stopped", "the last line is there");
    scene.stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_reads_its_standard_error_it_stops_when_it_is_told_to() {
    let scene = Scene::set(52).await;
    let (reader, writer) = full_pipe();
    let mut daemon = scene.start(&["env".to_owned()], writer.into(), None);
    scene.until("it is healthy", async |it| it.get("/healthz").await.is_some()).await;
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().await.success());
    drop(reader);
    scene.stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_systemds_journal_takes_nothing_it_works_and_stops_when_it_is_told_to() {
    let scene = Scene::set(53).await;
    // A machine of its own, whose journal is a socket that nobody reads.
    let run = tempfile::tempdir().unwrap();
    fs::create_dir_all(run.path().join("systemd/journal")).unwrap();
    let path = run.path().join("systemd/journal/socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"FILLER=1\n", &path).is_ok() {}
    let log = OpenOptions::new().create(true).append(true).open(scene.stage.log()).unwrap();
    let it = File::metadata(&log).unwrap();
    let mount = format!("mount --bind '{}' /run && exec \"$@\"", run.path().display());
    let through = ["unshare", "--mount", "sh", "-c", &mount, "sh"].map(str::to_owned);
    let mut daemon = scene.start(&through, log.into(), Some(format!("{}:{}", it.dev(), it.ino())));
    scene.works_while_nobody_reads(&daemon).await;
    daemon.signal(Signal::TERM);
    let status = daemon.ended().await;
    assert!(status.success(), "{status}; unshare must be permitted: {}", said(&scene));
    drop(journal);
    scene.stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_systemd_takes_no_notifications_it_works_answers_and_stops_when_it_is_told_to() {
    let scene = Scene::set(54).await;
    let path = scene.stage.root().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"FILLER=1\n", &path).is_ok() {}
    let log = OpenOptions::new().create(true).append(true).open(scene.stage.log()).unwrap();
    // It is notified of readiness, of each reload, and four times in a second for the watchdog.
    let set = [format!("NOTIFY_SOCKET={}", path.display()), "WATCHDOG_USEC=1000000".to_owned()];
    let through: Vec<String> = std::iter::once("env".to_owned()).chain(set).collect();
    let mut daemon = scene.start(&through, log.into(), None);
    scene.until("it is healthy", async |it| it.get("/healthz").await.is_some()).await;
    for _ in 0..100 {
        daemon.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..3 {
        let before = scene.replaced();
        scene.until("keys are replaced", async |it| it.replaced() > before).await;
        assert!(scene.get("/livez").await.is_some() && scene.get("/readyz").await.is_some());
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().await.success(), "{}", said(&scene));
    drop(manager);
    scene.stage.sandbox.shutdown().await;
}

fn said(scene: &Scene) -> String {
    fs::read_to_string(scene.stage.log()).unwrap_or_else(|error| panic!("{error}"))
}
