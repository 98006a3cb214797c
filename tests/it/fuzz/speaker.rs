//! A server on loopback that answers whatever it is asked with the bytes that were put into its mouth.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

const REQUEST_BYTES_MAX: usize = 256 * 1024;

pub(crate) struct Speaker {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Vec<u8>>>,
}

/// The one of this process. It serves until the process ends.
pub(crate) fn speaker() -> &'static Speaker {
    static SPEAKER: OnceLock<Speaker> = OnceLock::new();
    SPEAKER.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(Vec::new()));
        let spoken = Arc::clone(&says);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let says = spoken.lock().unwrap().clone();
                answer(stream, &says);
            }
        });
        Speaker { address, says }
    })
}

impl Speaker {
    pub(crate) fn says(&self, bytes: &[u8]) {
        *self.says.lock().unwrap() = bytes.to_vec();
    }
}

/// The asker may hang up at any moment: that is its affair.
fn answer(mut stream: TcpStream, says: &[u8]) {
    let patience = Some(Duration::from_secs(2));
    if stream.set_read_timeout(patience).is_err() || stream.set_write_timeout(patience).is_err() {
        return;
    }
    let mut asked = Vec::new();
    let mut part = [0; 4096];
    while !is_whole(&asked) && asked.len() < REQUEST_BYTES_MAX {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(length) => asked.extend_from_slice(&part[..length]),
        }
    }
    if stream.write_all(says).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        // Closed only after the asker, so that what was said is not lost to a reset.
        while matches!(stream.read(&mut part), Ok(length) if length > 0) {}
    }
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
