//! The moto server: AWS's API as somebody else understood it, which keeps our own fake honest.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A server on a free port, ended when it is dropped.
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
}

impl Moto {
    #[expect(clippy::disallowed_methods, reason = "the test command says where its pinned server is")]
    pub(crate) fn start() -> Self {
        let program = std::env::var("REKEYD_MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let mut child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start `{program}`: {error}\nhint: `make test` installs it; by hand: \
                     `pip install 'moto[server]'`, and name the program in REKEYD_MOTO_SERVER if it is not on the PATH"
                )
            });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("Running on ").map(|(_, url)| url.trim().to_owned()));
        // Its log is read to the end, so that it never blocks on it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let Some(url) = url else {
            let ended = child.kill().and_then(|()| child.wait());
            panic!("`{program}` did not say where it listens ({ended:?})");
        };
        Self { child, url }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the server can be ended");
    }
}
