//! How far a command is, on the standard error: only on a terminal, and only if it takes more than a second.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
/// Takes a line of the terminal's back.
const ERASE: &str = "\r\u{1b}[K";

pub(super) struct Progress {
    doing: &'static str,
    of: usize,
    begun: Instant,
    told: Cell<Option<Instant>>,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn of(doing: &'static str, of: usize) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { doing, of, begun: Instant::now(), told: Cell::new(None), is_terminal }
    }

    pub(super) fn at(&self, done: usize) {
        let long_ago = self.told.get().is_none_or(|told| told.elapsed() >= EVERY);
        if self.is_terminal && self.begun.elapsed() >= PATIENCE && long_ago {
            self.told.set(Some(Instant::now()));
            self.say(&format!("{ERASE}{}: {done} of {}", self.doing, self.of));
        }
    }

    fn say(&self, text: &str) {
        let mut out = io::stderr().lock();
        // Who cannot be told waits all the same.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.get().is_some() {
            self.say(ERASE);
        }
    }
}
