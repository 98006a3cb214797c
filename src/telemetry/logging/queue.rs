//! The queue between whatever logs and the one thread that writes. Nothing that logs ever waits: when the output does not
//! take lines, they wait here, and once the queue is full further lines are dropped and counted.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

const LINES_MAX: usize = 8192;
const BYTES_MAX: usize = 4 << 20;
const THREAD: &str = "log-writer";

/// A line of the log in the forms that the output may need.
pub(in crate::telemetry) struct Line {
    /// For the standard error.
    pub(in crate::telemetry) text: Vec<u8>,
    /// For systemd's journal.
    pub(in crate::telemetry) entry: Option<Vec<u8>>,
}

impl Line {
    fn bytes(&self) -> usize {
        self.text.len() + self.entry.as_ref().map_or(0, Vec::len)
    }
}

/// A handle of the queue.
#[derive(Clone)]
pub(in crate::telemetry) struct LogQueue(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The writer has taken a line and not written it yet.
    is_writing: bool,
    /// Since the start.
    dropped: u64,
    /// Of these, those that no line has told of.
    untold: u64,
}

impl Waiting {
    /// A line that is longer than all of the queue fits into an empty one.
    fn has_room_for(&self, bytes: usize) -> bool {
        self.lines.is_empty() || (self.lines.len() < LINES_MAX && self.bytes + bytes <= BYTES_MAX)
    }

    fn drop_one(&mut self) {
        self.dropped += 1;
        self.untold += 1;
    }

    /// How many lines were dropped, if the output takes lines again: half of the queue is free, so that an output that is
    /// always too slow is not told of it after every line.
    fn take_untold(&mut self) -> Option<u64> {
        let flows = self.lines.len() <= LINES_MAX / 2 && self.bytes <= BYTES_MAX / 2;
        (flows && self.untold > 0).then(|| std::mem::take(&mut self.untold))
    }
}

impl LogQueue {
    /// A queue whose lines go to `write` on a thread of their own. When lines were dropped and the output takes lines
    /// again, that thread calls `tell` with their number.
    ///
    /// # Errors
    /// No thread can be started.
    pub(in crate::telemetry) fn start(
        write: impl FnMut(&Line) -> io::Result<()> + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Shared { waiting: Mutex::default(), filled: Condvar::new(), written: Condvar::new() };
        let queue = Self(Arc::new(shared));
        let writer = queue.clone();
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || writer.0.write(write, tell))?;
        Ok(queue)
    }

    /// Queues a line, or drops it. Never waits for the output.
    pub(in crate::telemetry) fn put(&self, line: Line) {
        let mut waiting = self.0.waiting();
        if waiting.has_room_for(line.bytes()) {
            waiting.bytes += line.bytes();
            waiting.lines.push_back(line);
            self.0.filled.notify_one();
        } else {
            waiting.drop_one();
        }
    }

    /// The lines that were dropped since the start.
    pub(in crate::telemetry) fn dropped(&self) -> u64 {
        self.0.waiting().dropped
    }

    /// Waits until every queued line is written, for `limit` at most.
    pub(in crate::telemetry) fn flush(&self, limit: Duration) {
        let begun = Instant::now();
        let mut waiting = self.0.waiting();
        while !waiting.lines.is_empty() || waiting.is_writing {
            let Some(left) = limit.checked_sub(begun.elapsed()) else { return };
            waiting = self.0.written.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics between two changes that belong together.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's thread: for ever, since a process that ends needs no lines after its last.
    fn write(&self, mut write: impl FnMut(&Line) -> io::Result<()>, tell: impl Fn(u64)) {
        loop {
            let line = self.take();
            let is_written = write(&line).is_ok();
            if let Some(dropped) = self.settle(is_written) {
                tell(dropped);
            }
            self.waiting().is_writing = false;
            self.written.notify_all();
        }
    }

    /// The number of dropped lines to tell of now.
    fn settle(&self, is_written: bool) -> Option<u64> {
        let mut waiting = self.waiting();
        if is_written {
            waiting.take_untold()
        } else {
            waiting.drop_one();
            None
        }
    }

    fn take(&self) -> Line {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.bytes();
                waiting.is_writing = true;
                return line;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Each write is one line: that is how the layers of `tracing_subscriber` write.
impl io::Write for LogQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(Line { text: bytes.to_vec(), entry: None });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn line(text: &str) -> Line {
        Line { text: text.as_bytes().to_vec(), entry: None }
    }

    #[test]
    fn an_output_that_takes_nothing_holds_up_nobody_and_is_told_once_what_it_missed() {
        let (taken, written) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (told, tellings) = mpsc::channel();
        let write = move |line: &Line| {
            gate.recv().map_err(io::Error::other)?;
            taken.send(String::from_utf8_lossy(&line.text).into_owned()).map_err(io::Error::other)
        };
        let queue = LogQueue::start(write, move |dropped| told.send(dropped).unwrap()).unwrap();
        // The first is in the writer's hands.
        queue.put(line("0"));
        while !queue.0.waiting().lines.is_empty() {
            thread::yield_now();
        }
        let count = LINES_MAX + 5;
        (1..=count).for_each(|number| queue.put(line(&number.to_string())));
        assert_eq!(queue.dropped(), 5);
        // What nobody takes is not waited for.
        queue.flush(Duration::from_millis(1));
        assert_eq!(queue.0.waiting().lines.len(), LINES_MAX);

        (0..=LINES_MAX).for_each(|_| open.send(()).unwrap());
        queue.flush(LIMIT);
        assert_eq!(tellings.recv_timeout(LIMIT).unwrap(), 5);
        let lines: Vec<String> = written.try_iter().collect();
        let kept: Vec<String> = (0..=LINES_MAX).map(|number| number.to_string()).collect();
        assert_eq!(lines, kept, "in order, and those that came when it was full are not there");
        assert!(tellings.try_recv().is_err(), "told once");
    }

    #[test]
    fn its_bytes_are_bounded_too_and_a_line_that_is_longer_than_it_is_written_when_it_is_alone() {
        let (open, gate) = mpsc::channel::<()>();
        let write = move |_: &Line| gate.recv().map_err(io::Error::other);
        let queue = LogQueue::start(write, |_| ()).unwrap();
        queue.put(line(&"x".repeat(2 * BYTES_MAX)));
        assert_eq!(queue.dropped(), 0);
        while !queue.0.waiting().lines.is_empty() {
            thread::yield_now();
        }
        let half = "x".repeat(BYTES_MAX / 2);
        (0..3).for_each(|_| queue.put(line(&half)));
        let kept = queue.0.waiting().bytes;
        assert_eq!((queue.dropped(), kept), (1, BYTES_MAX));
        (0..3).for_each(|_| open.send(()).unwrap());
        queue.flush(LIMIT);
        let left = queue.0.waiting().bytes;
        assert_eq!((left, queue.dropped()), (0, 1));
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_told_of_with_the_next_that_can() {
        let (told, tellings) = mpsc::channel();
        let write =
            |line: &Line| if line.text == b"lost" { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) };
        let queue = LogQueue::start(write, move |dropped| told.send(dropped).unwrap()).unwrap();
        (0..2).for_each(|_| queue.put(line("lost")));
        queue.flush(LIMIT);
        assert_eq!(queue.dropped(), 2);
        assert!(tellings.try_recv().is_err(), "nobody would read it");
        queue.put(line("written"));
        assert_eq!(tellings.recv_timeout(LIMIT).unwrap(), 2);
    }
}
