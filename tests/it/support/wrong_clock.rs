//! The real program with a wall clock that a test sets while it runs: libfaketime, which reads how far it is off from a file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// How far the clock is off, and the program that goes by it.
pub(crate) struct WrongClock {
    off_by: PathBuf,
}

impl WrongClock {
    /// Writes `program`, which starts rekeyd with a clock that is right until it is set.
    pub(crate) fn of(folder: &Path, program: &Path) -> Self {
        let clock = Self { off_by: folder.join("clock-is-off-by") };
        clock.set("+0");
        let script = format!(
            "#!/bin/sh\nexec env LD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}' FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 '{}' \"$@\"\n",
            library().display(),
            clock.off_by.display(),
            env!("CARGO_BIN_EXE_rekeyd"),
        );
        fs::write(program, script).unwrap();
        fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
        clock
    }

    /// Sets it to be off by so much: `+119` seconds, `-40d`, `+2y`. `+0` sets it right.
    pub(crate) fn set(&self, off_by: &str) {
        let new = self.off_by.with_extension("new");
        fs::write(&new, format!("{off_by}\n")).unwrap();
        fs::rename(new, &self.off_by).unwrap();
    }
}

fn library() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("libfaketime.so.1")).find(|it| it.exists());
    found.expect("libfaketime.so.1 is not on the PATH: run `make test`, which brings it")
}
