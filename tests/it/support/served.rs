//! The real program over a sandbox, with its policy changed a little before it starts.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use rekeyd::demo::daemon::{Daemon, Launcher};
use rekeyd::demo::fixture::{Fixture, Pace};
use tokio::sync::watch;

pub(crate) const READER: &str = "tok_reader_planted";
pub(crate) const REPORTER: &str = "tok_reporter_planted";

/// Readers, and those who report leaks, have tokens.
pub(crate) const TOKENS: &str = "\n[readers]\ntoken = { file = \"@/token-of-readers\" }\n\n[leaks]\ntoken = { file = \
                                 \"@/token-of-leaks\" }\n";

/// A stage on which nothing is due once every credential has a key.
pub(crate) async fn stage(seed: u64) -> Fixture {
    Fixture::build(seed, &Pace::new("30d", "1s", "1s")).await.unwrap()
}

pub(crate) struct Served {
    pub(crate) stage: Fixture,
    pub(crate) daemon: Daemon,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// With keys added to `[daemon]`, and whatever more at the end of the policy; `@` is the folder of it all.
    pub(crate) async fn start(stage: Fixture, of_daemon: &str, more: &str) -> Self {
        let root = stage.root().to_str().unwrap();
        let [of_daemon, more] = [of_daemon, more].map(|text| text.replace('@', root));
        let policy = fs::read_to_string(stage.policy()).unwrap();
        let policy = policy.replacen("[daemon]\n", &format!("[daemon]\n{of_daemon}\n"), 1) + &more;
        fs::write(stage.policy(), policy).unwrap();
        fs::write(stage.root().join("token-of-readers"), READER).unwrap();
        fs::write(stage.root().join("token-of-leaks"), REPORTER).unwrap();
        let launcher = Launcher {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
            policy: stage.policy(),
            log: stage.log(),
            filter: None,
            address: watch::channel(None).0,
        };
        let daemon = launcher.start().await.unwrap();
        let address = launcher.address.borrow().unwrap();
        Self { stage, daemon, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Of a consumer of the stage.
    pub(crate) fn token(&self, consumer: &str) -> String {
        fs::read_to_string(self.stage.root().join(format!("token-of-{consumer}"))).unwrap().trim().to_owned()
    }
}
