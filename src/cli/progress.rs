//! A progress line on the standard error: only on a terminal, and only for commands that take more than a second.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
/// Erases the terminal's line.
const ERASE: &str = "\r\u{1b}[K";

/// Shows progress until dropped, then erases the line.
pub(super) struct Progress {
    count: Arc<Count>,
    printer: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Count {
    done: AtomicUsize,
    /// 0 while unknown.
    of: AtomicUsize,
}

impl Progress {
    /// Progress without a known total. `doing` must fit into a narrow terminal.
    pub(super) fn doing(doing: &'static str) -> Self {
        let count = Arc::<Count>::default();
        let printer = io::stderr().is_terminal().then(|| begin(doing, &count)).flatten();
        Self { count, printer }
    }

    pub(super) fn of(doing: &'static str, of: usize) -> Self {
        let progress = Self::doing(doing);
        progress.at(0, of);
        progress
    }

    pub(super) fn at(&self, done: usize, of: usize) {
        self.count.done.store(done, Ordering::Relaxed);
        self.count.of.store(of, Ordering::Relaxed);
    }

    pub(super) fn done(&self, done: usize) {
        self.count.done.store(done, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, printer)) = self.printer.take() {
            drop(stop);
            drop(printer.join());
        }
    }
}

/// Prints from a thread of its own, since the work may block every other one.
fn begin(doing: &'static str, count: &Arc<Count>) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel();
    let count = Arc::clone(count);
    let print_lines = move || {
        let begun = Instant::now();
        let mut pause = PATIENCE;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = EVERY;
            print(&format!("{ERASE}{}", line(doing, &count, begun.elapsed())));
        }
        if pause != PATIENCE {
            print(ERASE);
        }
    };
    let printer = thread::Builder::new().name("progress".to_owned()).spawn(print_lines).ok()?;
    Some((stop, printer))
}

fn line(doing: &str, count: &Count, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match (count.done.load(Ordering::Relaxed), count.of.load(Ordering::Relaxed)) {
        (_, 0) => format!("{doing}: {seconds}s"),
        (done, of) => format!("{doing}: {done} of {of}, {seconds}s"),
    }
}

fn print(text: &str) {
    let mut out = io::stderr().lock();
    // A closed standard error does not end the work.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
