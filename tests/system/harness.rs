//! Runs containers: podman in a network and mount namespace of its own, so that the machine stays untouched and ports are
//! free.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(200);

/// Hides the unified cgroup hierarchy where both exist, because podman cannot use it then.
const LEADER: &str =
    "ip link set lo up && { umount /sys/fs/cgroup/unified 2>/dev/null || true; } && exec sleep 1800";

/// The arguments of every container: only what the image needs.
const CONFINED: &str = "--network=host --read-only --read-only-tmpfs=false --cap-drop=ALL \
                        --security-opt=no-new-privileges --log-driver=none --ulimit=nofile=1024:1024 \
                        --ulimit=nproc=1024:1024 --memory=256m --pids-limit=64";

pub(crate) struct Harness {
    leader: Child,
    /// Contains `memory`, a tmpfs that only this harness sees.
    directory: tempfile::TempDir,
    running: Vec<Child>,
}

impl Harness {
    pub(crate) fn open() -> Self {
        let mut leader = Command::new("unshare");
        leader.args(["--mount", "--net", "sh", "-c", LEADER]).stdin(Stdio::null());
        let leader = leader.spawn().unwrap_or_else(|error| panic!("unshare: {error}"));
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/system");
        let harness = Self { leader, directory: tempfile::tempdir_in(&kept).unwrap(), running: vec![] };
        harness.until("there is a network", || {
            harness.run("ip address show lo | grep -q 127.0.0.1").status.success()
        });
        let memory = harness.directory.path().join("memory");
        harness.ok(&format!("mkdir {0} && mount -t tmpfs -o size=2m tmpfs {0}", memory.display()));
        let image = kept.join("rekeyd-image.tar");
        assert!(image.exists(), "{} is missing: `make system-test` brings it", image.display());
        harness.ok(&harness.podman(&format!("load --quiet --input {}", image.display())));
        harness
    }

    /// The output of a script that runs in the containers' namespaces.
    pub(crate) fn run(&self, script: &str) -> Output {
        let mut command = Command::new("timeout");
        command.args(["120", "nsenter", "--mount", "--net", "--target", &self.leader.id().to_string()]);
        command.args(["/bin/bash", "-uc", script]).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        let Output { status, stdout, stderr } = self.run(script);
        let (said, complaint) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{status}: `{script}`\n{said}\n{complaint}");
        said.trim_end().to_owned()
    }

    pub(crate) fn podman(&self, arguments: &str) -> String {
        let root = self.directory.path().display();
        let own = "--storage-driver=vfs --cgroup-manager=cgroupfs --events-backend=none --runtime=crun";
        format!("podman --root={root}/root --runroot={root}/run {own} {arguments}")
    }

    /// Starts a program, or a container in the foreground.
    pub(crate) fn start(&mut self, script: &str, log: &str) {
        let log = fs::File::create(self.path(log)).unwrap();
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--net", "--target", &self.leader.id().to_string()]);
        command.args(["/bin/bash", "-uc", &format!("exec {script}")]).stdin(Stdio::null());
        self.running.push(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// A container of the image, confined, under its name.
    pub(crate) fn container(&self, name: &str, mounts: &[(&str, &str)], arguments: &str) -> String {
        let root = self.directory.path().display();
        let volumes: String =
            mounts.iter().map(|(from, to)| format!("--volume={root}/{from}:{to} ")).collect();
        self.podman(&format!("run --name={name} {CONFINED} {volumes} localhost/rekeyd:tried {arguments}"))
    }

    /// The path of a harness file on the host.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.leader.id()));
        root.join(self.directory.path().strip_prefix("/").unwrap()).join(name)
    }

    /// A directory or a file that the image's user owns.
    pub(crate) fn give(&self, name: &str, text: Option<&str>) {
        let path = self.path(name);
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::create_dir_all(&path).unwrap(),
        }
        let mode = if text.is_some() { 0o400 } else { 0o750 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(65532), Some(65532)).unwrap();
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            let logs =
                ["daemon.log", "agent.log"].map(|log| fs::read_to_string(self.path(log)).unwrap_or_default());
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}\n{}", logs.join("\n---\n"));
            sleep(AGAIN);
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        drop(self.run(&self.podman("rm --all --force --time=0")));
        for child in self.running.iter_mut().chain([&mut self.leader]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
