//! The client of the daemon's Unix socket, for the commands that need a running daemon.
//!
//! Exit codes: 0 done; 1 refused, with the reason; 2 usage; 5 the daemon is unreachable.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use clap::ValueEnum;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::call;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::Sources;
use crate::cli::policy;
use crate::config::defaults;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::report::condition::Condition;

const FILE_NAME: &str = "rekeyd.sock";

/// Longer than the daemon's own time limits.
const RESPONSE_LIMIT: Duration = Duration::from_secs(100);
/// For a response that the daemon gives from memory.
const MEMORY_LIMIT: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Connection {
    /// The daemon's socket; defaults to that of --policy, then $REKEYD_SOCKET, then that of $REKEYD_POLICY, then
    /// $RUNTIME_DIRECTORY/rekeyd.sock, then that of /etc/rekeyd/policy.toml
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The daemon's policy, to read the socket path from
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    policy: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[value(alias = "table")]
    Text,
    Json,
}

/// Why a command to the daemon failed.
pub(super) enum CallError {
    /// The daemon refused, with its own code and message.
    Refused { code: String, message: String },
    /// No daemon answered.
    Unreachable(String),
    /// The client failed.
    CommandError(String),
    /// The named policy has errors.
    Policy(CommandError),
}

impl CallError {
    pub(super) fn into_command_error(self) -> CommandError {
        match self {
            Self::Refused { code, message } => CommandError::new(Exit::CommandError, &code, message),
            Self::Unreachable(message) => CommandError::new(Exit::Unreachable, "unreachable", message),
            Self::CommandError(message) => CommandError::other(message),
            Self::Policy(failed) => failed,
        }
    }

    /// Reports the error: text on the standard error, or JSON on the standard output.
    pub(super) fn report(self, output: Output) -> ExitCode {
        self.into_command_error().report(output == Output::Json)
    }
}

/// The daemon behind its socket.
pub(super) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    pub(super) fn at(connection: &Connection) -> Result<Self, CallError> {
        let socket = match (&connection.socket, &connection.policy) {
            (Some(socket), _) => socket.clone(),
            (None, Some(policy)) => socket_of(policy).map_err(CallError::Policy)?,
            (None, None) => found_socket().map_err(CallError::Policy)?,
        };
        Ok(Self { socket })
    }

    /// # Errors
    /// The daemon refused, or does not answer; an unanswered call may have taken effect.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let place = self.socket.display();
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            let advice =
                "check that the daemon runs (`systemctl status rekeyd`) and that this user may use the socket";
            CallError::Unreachable(format!("cannot connect to the daemon at {place}: {error}; {advice}"))
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
            .map_err(|_| CallError::CommandError(format!("cannot build the request for `{path}`")))?;
        let answer = call::exchange(stream, request, RESPONSE_LIMIT).await.map_err(|error| {
            let advice = "the command may have taken effect: check `rekeyd status`";
            CallError::Unreachable(format!("no response from the daemon at {place}: {error:#}; {advice}"))
        })?;
        let foreign = || CallError::Unreachable(format!("the server at {place} is not rekeyd"));
        let response: Value = serde_json::from_slice(&answer.body).map_err(|_| foreign())?;
        if answer.status.is_success() {
            return Ok(response);
        }
        let text = |field: &str| response.pointer(field).and_then(Value::as_str).map(str::to_owned);
        match (text("/error/code"), text("/error/message")) {
            (Some(code), Some(message)) => Err(CallError::Refused { code, message }),
            _ => Err(foreign()),
        }
    }
}

fn socket_of(policy: &Path) -> Result<PathBuf, CommandError> {
    policy::load(policy).map(|config| config.daemon.socket)
}

/// The socket when neither --socket nor --policy is given.
fn found_socket() -> Result<PathBuf, CommandError> {
    if let Some(socket) = named_socket(&ProcessEnvironment) {
        return Ok(socket);
    }
    if let Some(policy) = policy::by_environment() {
        return socket_of(&policy);
    }
    Ok(given_socket(&ProcessEnvironment).unwrap_or_else(|| {
        // A command must reach the daemon even if the policy has errors or cannot be read.
        socket_of(Path::new(policy::INSTALLED)).unwrap_or_else(|_| defaults::SOCKET.into())
    }))
}

fn named_socket(environment: &dyn Environment) -> Option<PathBuf> {
    environment.read("REKEYD_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The socket in the runtime directory that systemd made for the unit.
fn given_socket(environment: &dyn Environment) -> Option<PathBuf> {
    // A colon-separated list.
    let runtime = environment.read("RUNTIME_DIRECTORY")?;
    let first = runtime.split(':').next().filter(|first| !first.is_empty())?;
    Some(Path::new(first).join(FILE_NAME))
}

/// The conditions that only a running daemon knows. If none answers at once and none has the journal open, that is one.
pub(super) fn conditions(sources: &Sources) -> Vec<Condition> {
    let socket = sources.socket.clone().or_else(|| found_socket().ok());
    let daemon = Daemon { socket: socket.unwrap_or_else(|| defaults::SOCKET.into()) };
    let call = async {
        let response = daemon.call(Method::GET, "/v1/conditions", None);
        Ok(tokio::time::timeout(MEMORY_LIMIT, response).await.ok().and_then(Result::ok))
    };
    let response = block_on(call).ok().flatten();
    let told = response.and_then(|it| serde_json::from_value(it).ok());
    told.unwrap_or_else(|| match sources.journal.holder() {
        Some(_) => Vec::new(),
        None => vec![Condition::no_daemon(sources.journal.last_written())],
    })
}

/// Runs a command's calls to the daemon.
pub(super) fn block_on<T>(calls: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CallError::CommandError(format!("cannot start the asynchronous runtime: {error}"))
    })?;
    runtime.block_on(calls)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_environment_decides_where_the_socket_is() {
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
