//! The running daemon, as the commands reach it: its socket, what it answers, and what an exit code says of that.
//!
//! Exit codes: 0 done; 1 refused, with the reason; 2 usage; 5 no daemon answers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use clap::ValueEnum;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::call;
use crate::cli::exit::{Exit, Failed};
use crate::cli::policy;
use crate::config::defaults;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::report::condition::Condition;

const FILE_NAME: &str = "rekeyd.sock";

/// Longer than the daemon itself takes to give up.
const PATIENCE: Duration = Duration::from_secs(100);
/// What is told from memory.
const AT_ONCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Reaching {
    /// The daemon's socket; by default the one of --policy, else $REKEYD_SOCKET, else the one of $REKEYD_POLICY, else
    /// rekeyd.sock in $RUNTIME_DIRECTORY, else the one of /etc/rekeyd/policy.toml, else /run/rekeyd/rekeyd.sock
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The policy that the daemon was started with, to take the socket from
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    policy: Option<PathBuf>,
    /// A line for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[value(alias = "table")]
    Text,
    Json,
}

/// Why a command did not do what it should.
pub(super) enum Unmet {
    /// The daemon's own words.
    Refused { code: String, message: String },
    /// Nobody answered.
    Unreachable(String),
    /// Something on this side.
    Failed(String),
    /// The policy that was named has errors.
    Policy(Failed),
}

impl Unmet {
    /// Says so, on the standard error for people and on the standard output for programs.
    pub(super) fn tell(self, output: Output) -> ExitCode {
        let failed = match self {
            Self::Refused { code, message } => Failed::new(Exit::Failed, &code, message),
            Self::Unreachable(message) => Failed::new(Exit::Unreachable, "not_reachable", message),
            Self::Failed(message) => Failed::other(message),
            Self::Policy(failed) => failed,
        };
        failed.tell(output == Output::Json)
    }
}

/// The daemon at its socket.
pub(super) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    pub(super) fn at(reaching: &Reaching) -> Result<Self, Unmet> {
        let socket = match (&reaching.socket, &reaching.policy) {
            (Some(socket), _) => socket.clone(),
            (None, Some(policy)) => socket_of(policy).map_err(Unmet::Policy)?,
            (None, None) => found_socket().map_err(Unmet::Policy)?,
        };
        Ok(Self { socket })
    }

    /// # Errors
    /// The daemon refused, or does not answer: then the call may have been made.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Unmet> {
        let place = self.socket.display();
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            let advice =
                "is the daemon running (`systemctl status rekeyd`), is this its socket, and may you use it?";
            Unmet::Unreachable(format!("no daemon answers at {place}: {error}; {advice}"))
        })?;
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "rekeyd")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::CONNECTION, "close")
            .body(Body::from(body))
            .map_err(|_| Unmet::Failed(format!("`{path}` cannot be asked for")))?;
        let answer = call::exchange(stream, request, PATIENCE).await.map_err(|error| {
            let advice = "it may have been done all the same: see `rekeyd status`";
            Unmet::Unreachable(format!("the daemon at {place} did not answer: {error:#}; {advice}"))
        })?;
        let strange = || Unmet::Unreachable(format!("what answers at {place} is not rekeyd"));
        let told: Value = serde_json::from_slice(&answer.body).map_err(|_| strange())?;
        if answer.status.is_success() {
            return Ok(told);
        }
        let text = |field: &str| told.pointer(field).and_then(Value::as_str).map(str::to_owned);
        match (text("/error/code"), text("/error/message")) {
            (Some(code), Some(message)) => Err(Unmet::Refused { code, message }),
            _ => Err(strange()),
        }
    }
}

fn socket_of(policy: &Path) -> Result<PathBuf, Failed> {
    policy::load(policy).map(|config| config.daemon.socket)
}

/// Where the daemon is whom nobody named.
fn found_socket() -> Result<PathBuf, Failed> {
    if let Some(socket) = named_socket(&ProcessEnvironment) {
        return Ok(socket);
    }
    if let Some(policy) = policy::by_environment() {
        return socket_of(&policy);
    }
    Ok(given_socket(&ProcessEnvironment).unwrap_or_else(|| {
        // An order can be given however ill the policy is, and by whoever may not read it.
        socket_of(Path::new(policy::INSTALLED)).unwrap_or_else(|_| defaults::SOCKET.into())
    }))
}

fn named_socket(environment: &dyn Environment) -> Option<PathBuf> {
    environment.read("REKEYD_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Where systemd made a directory for the unit.
fn given_socket(environment: &dyn Environment) -> Option<PathBuf> {
    // It lists several with colons between them.
    let runtime = environment.read("RUNTIME_DIRECTORY")?;
    let first = runtime.split(':').next().filter(|first| !first.is_empty())?;
    Some(Path::new(first).join(FILE_NAME))
}

/// What the daemon says beside its credentials. Whoever only looks has the journal: if no daemon answers at once, there is
/// nothing to add.
pub(super) fn remarks(socket: Option<PathBuf>) -> Vec<Condition> {
    let daemon =
        Daemon { socket: socket.or_else(|| found_socket().ok()).unwrap_or_else(|| defaults::SOCKET.into()) };
    let talk = async {
        let asked = daemon.call(Method::GET, "/v1/conditions", None);
        Ok(tokio::time::timeout(AT_ONCE, asked).await.ok().and_then(Result::ok))
    };
    let told = block_on(talk).ok().flatten();
    told.and_then(|told| serde_json::from_value(told).ok()).unwrap_or_default()
}

/// Runs what a command does with the daemon.
pub(super) fn block_on<T>(talk: impl Future<Output = Result<T, Unmet>>) -> Result<T, Unmet> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Unmet::Failed(format!("cannot start the asynchronous runtime: {error}")))?;
    runtime.block_on(talk)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_socket_is_where_the_environment_says() {
        for (variables, expected) in [
            (vec![], None),
            (vec![("RUNTIME_DIRECTORY", "")], None),
            (vec![("RUNTIME_DIRECTORY", "/run/a:/run/b")], Some("/run/a/rekeyd.sock")),
            (vec![("RUNTIME_DIRECTORY", "/run/a"), ("REKEYD_SOCKET", "/x")], Some("/x")),
        ] {
            let environment: BTreeMap<String, String> =
                variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let found = named_socket(&environment).or_else(|| given_socket(&environment));
            assert_eq!(found, expected.map(PathBuf::from));
        }
    }
}
