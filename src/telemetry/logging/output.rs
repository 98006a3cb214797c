//! The log's way out of the process: one queue, and the thread that writes from it.

use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use crate::telemetry::logging::queue::{Line, LogQueue};

/// How long an exit waits for the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);
/// A standard error that does not block is tried again.
const AGAIN: Duration = Duration::from_millis(20);

static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// The log of this process. When it is dropped, at the end of the program or by a panic, the last lines are written, for a
/// second at most.
#[must_use]
#[derive(Debug)]
pub struct Logging(());

impl Drop for Logging {
    fn drop(&mut self) {
        flush(FLUSH_LIMIT);
    }
}

/// Starts the thread that writes the log with `write`.
pub(super) fn start(
    write: impl FnMut(&Line) -> io::Result<()> + Send + 'static,
) -> io::Result<(LogQueue, Logging)> {
    let queue = LogQueue::start(write, tell_of_dropped)?;
    let queue = QUEUE.get_or_init(|| queue);
    Ok((queue.clone(), Logging(())))
}

/// Waits until every line is written, for `limit` at most.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

/// The lines that were dropped since the start, because the output did not take them.
#[must_use]
pub fn lines_dropped() -> u64 {
    QUEUE.get().map_or(0, LogQueue::dropped)
}

fn tell_of_dropped(dropped: u64) {
    tracing::warn!(dropped, "log lines were dropped, because whatever reads the log did not take them");
}

/// Without the lock of [`io::stderr`]: a thread that waits for the reader must not keep others from ending with an error.
pub(super) fn text(line: &Line) -> io::Result<()> {
    let mut rest = line.text.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(io::stderr(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => thread::sleep(AGAIN),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use crate::telemetry::logging::{Format, init};

    const CHILD: &str = "REKEYD_TEST_PANICS";
    const NAME: &str = "telemetry::logging::output::tests::a_panic_loses_no_line_that_was_logged_before_it";
    /// Together more than a pipe holds.
    const LINES: usize = 4000;

    #[test]
    fn a_panic_loses_no_line_that_was_logged_before_it() {
        if env::var_os(CHILD).is_some() {
            let _logging = init(Format::Json, None).unwrap();
            (0..LINES).for_each(|number| tracing::info!(number, "before the panic"));
            panic!("on purpose");
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The process is at its end before anybody reads.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(!child.wait().unwrap().success());
        let told = |words: &str| text.lines().filter(|line| line.contains(words)).count();
        assert_eq!((told("before the panic"), told("\"panicked\"")), (LINES, 1));
        assert!(text.contains("on purpose"), "{}", text.lines().last().unwrap_or_default());
    }
}
