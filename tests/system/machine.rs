//! A booted Debian: systemd as process 1 in a container with its own network. Changes are in memory and lost at the end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const BOOT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);
/// Gives each machine its own control group in each hierarchy: machines in one group would stop each other's services.
const ALONE: &str = "for hierarchy in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do \
                     if [ -e $hierarchy/cgroup.procs ]; then mkdir -p $hierarchy/$0 && echo $$ > $hierarchy/$0/cgroup.procs; fi; \
                     done; exec systemd-nspawn \"$@\"";
/// Time limit of one command in seconds, longer than a stop may take.
const COMMAND: &str = "150";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// systemd 252
    Bookworm,
    /// systemd 257
    Trixie,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// `Type=notify-reload` needs systemd 253.
    pub(crate) fn has_notify_reload(self) -> bool {
        self == Self::Trixie
    }
}

pub(crate) struct Machine {
    pub(crate) release: Release,
    container: Child,
    leader: String,
}

/// Where `tests/system/prepare` puts its results.
fn prepared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/system").join(name);
    assert!(path.exists(), "{} is missing: `make system-test` brings it", path.display());
    path
}

impl Machine {
    pub(crate) fn boot(release: Release) -> Self {
        let root = prepared(release.name());
        let console = File::create(root.with_extension("console")).unwrap();
        let mut nspawn = Command::new("sh");
        nspawn.args(["-euc", ALONE, &format!("rekeyd-{}", release.name())]);
        nspawn.arg("--directory").arg(&root);
        nspawn.args(["--volatile=overlay", "--register=no", "--keep-unit", "--boot", "--console=pipe"]);
        nspawn.arg("--private-network");
        nspawn.arg(format!("--bind-ro={}:/opt/build/target/debian", prepared("packages").display()));
        nspawn.arg(format!("--bind-ro={}:/opt/rekeyd-sandbox", env!("CARGO_BIN_EXE_rekeyd")));
        if release == Release::Trixie {
            nspawn.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        }
        nspawn.stdin(Stdio::null()).stdout(console.try_clone().unwrap()).stderr(console);
        let container = nspawn.spawn().unwrap_or_else(|error| panic!("systemd-nspawn: {error}"));
        let mut machine = Self { release, container, leader: String::new() };
        let begun = Instant::now();
        while !machine.is_up() {
            let console = || fs::read_to_string(root.with_extension("console")).unwrap_or_default();
            assert!(begun.elapsed() < BOOT, "it does not boot (are you root?)\n{}", console());
            sleep(AGAIN);
        }
        machine
    }

    fn is_up(&mut self) -> bool {
        let container = self.container.id();
        let children = fs::read_to_string(format!("/proc/{container}/task/{container}/children"));
        let Some(leader) = children.unwrap_or_default().split_whitespace().next().map(str::to_owned) else {
            return false;
        };
        self.leader = leader;
        let state = self.run("systemctl is-system-running", "");
        ["running\n", "degraded\n"].iter().any(|up| state.stdout == up.as_bytes())
    }

    /// Runs a script as root, with this on its standard input.
    pub(crate) fn run(&self, script: &str, input: &str) -> Output {
        let mut command = Command::new("timeout");
        command.args([COMMAND, "nsenter", "--all", "--target", &self.leader, "--wdns=/opt/build"]);
        command.args(["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin", "/bin/bash", "-uc", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have exited.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// The output of a script that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        self.fed(script, "")
    }

    /// The same, with this on its standard input.
    #[track_caller]
    pub(crate) fn fed(&self, script: &str, input: &str) -> String {
        let output = self.run(script, input);
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: `{script}`\n{said}\n{complaint}{}", output.status, self.log());
        said
    }

    /// The exit code of a script and its output.
    pub(crate) fn tried(&self, script: &str) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.run(script, "");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.fed(&format!("install -D -m 0644 /dev/stdin '{path}'"), text);
    }

    /// Waits until a script succeeds and returns its output.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, script: &str) -> String {
        let begun = Instant::now();
        loop {
            let (code, said) = self.tried(script);
            if code == Some(0) {
                return said.trim_end().to_owned();
            }
            assert!(begun.elapsed() < BOOT, "not in time: {what}\n{said}{}", self.log());
            sleep(AGAIN);
        }
    }

    /// A property of rekeyd's unit.
    #[track_caller]
    pub(crate) fn property(&self, name: &str) -> String {
        self.ok(&format!("systemctl show rekeyd --value --property {name}"))
    }

    /// The newest lines of the journal, for failure messages.
    fn log(&self) -> String {
        let script = "journalctl --no-pager --quiet --output short -n 60 --unit rekeyd --unit 'rekeyd-agent@*' --unit sandbox";
        let output = self.run(script, "");
        format!("\n--- {}\n{}", self.release.name(), String::from_utf8_lossy(&output.stdout))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Ends every process in it: the leader is the container's process 1.
        let killed = Command::new("kill").args(["-KILL", &self.leader]).status();
        if self.leader.is_empty() || !killed.is_ok_and(|status| status.success()) {
            drop(self.container.kill());
        }
        drop(self.container.wait());
    }
}
