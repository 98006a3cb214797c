//! How far a command is, on the standard error: only on a terminal, and only if it takes more than a second.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
/// Takes a line of the terminal's back.
const ERASE: &str = "\r\u{1b}[K";

/// Tells until it is dropped; then nothing is left of it on the terminal.
pub(super) struct Progress {
    far: Arc<Far>,
    teller: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Far {
    done: AtomicUsize,
    /// 0 as long as it is not known.
    of: AtomicUsize,
}

impl Progress {
    /// What takes as long as it takes. In a few words: it has to fit into a narrow terminal.
    pub(super) fn doing(doing: &'static str) -> Self {
        let far = Arc::<Far>::default();
        let teller = io::stderr().is_terminal().then(|| begin(doing, &far)).flatten();
        Self { far, teller }
    }

    pub(super) fn of(doing: &'static str, of: usize) -> Self {
        let progress = Self::doing(doing);
        progress.at(0, of);
        progress
    }

    pub(super) fn at(&self, done: usize, of: usize) {
        self.far.done.store(done, Ordering::Relaxed);
        self.far.of.store(of, Ordering::Relaxed);
    }

    pub(super) fn done(&self, done: usize) {
        self.far.done.store(done, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, teller)) = self.teller.take() {
            drop(stop);
            // What it did not manage to tell is not missed.
            drop(teller.join());
        }
    }
}

/// A thread of its own, because what takes long may leave nobody else the time to tell of it. Without one nothing is told.
fn begin(doing: &'static str, far: &Arc<Far>) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel();
    let far = Arc::clone(far);
    let tell = move || {
        let begun = Instant::now();
        let mut pause = PATIENCE;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = EVERY;
            say(&format!("{ERASE}{}", line(doing, &far, begun.elapsed())));
        }
        if pause != PATIENCE {
            say(ERASE);
        }
    };
    let teller = thread::Builder::new().name("progress".to_owned()).spawn(tell).ok()?;
    Some((stop, teller))
}

fn line(doing: &str, far: &Far, for_so_long: Duration) -> String {
    let seconds = for_so_long.as_secs();
    match (far.done.load(Ordering::Relaxed), far.of.load(Ordering::Relaxed)) {
        (_, 0) => format!("{doing}: {seconds}s"),
        (done, of) => format!("{doing}: {done} of {of}, {seconds}s"),
    }
}

fn say(text: &str) {
    let mut out = io::stderr().lock();
    // Who cannot be told waits all the same.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
