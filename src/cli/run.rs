//! `rekeyd run`: the daemon.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::app::daemon::{self, Error};
use crate::app::signals::Signals;
use crate::app::with_causes;
use crate::cli::exit::{self, Exit};
use crate::cli::policy::PolicyArgument;
use crate::config::Config;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::ports::journal::OpenError;
use crate::telemetry::logging::{self, Format, Logging};

/// The daemon mostly waits for responses.
const WORKER_THREADS: usize = 2;
/// How long blocked threads may delay the exit.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::because(Exit::CommandError, &format!("cannot start the daemon: {error}"));
        }
    };
    let code = runtime.block_on(listening(arguments.policy.path()));
    // Only threads that hang on a file system are left.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    code
}

async fn listening(policy: PathBuf) -> ExitCode {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return exit::because(Exit::CommandError, &format!("signals cannot be received: {error}"));
        }
    };
    let path = policy.clone();
    let loaded = tokio::select! {
        biased;
        () = signals.stopped() => return ExitCode::SUCCESS,
        loaded = tokio::task::spawn_blocking(move || Config::load_file(&path)) => loaded,
    };
    let config = match loaded {
        Ok(Ok(config)) => config,
        Ok(Err(problems)) => return exit::because(Exit::BadConfiguration, &problems),
        Err(error) => {
            return exit::because(Exit::CommandError, &format!("the policy cannot be loaded: {error}"));
        }
    };
    let _logging = match begin_logging() {
        Ok(logging) => logging,
        Err(code) => return code,
    };
    log_warnings("policy", config.warnings());
    keep_out_of_core_files();
    match daemon::run(&policy, config, signals).await {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(error = %with_causes(&error), "stopped");
            exit_code(&error)
        }
    }
}

fn exit_code(error: &Error) -> ExitCode {
    let exit = match error {
        Error::Journal(OpenError::Locked { .. }) => Exit::Locked,
        Error::Assembly(error) if error.is_configuration() => Exit::BadConfiguration,
        Error::Consumers(_) | Error::Renamed(_) | Error::Channels(_) | Error::Tls(_) => {
            Exit::BadConfiguration
        }
        Error::Journal(_)
        | Error::Assembly(_)
        | Error::Listen { .. }
        | Error::Socket(_)
        | Error::Scheduler(_)
        | Error::Engine(_)
        | Error::PartEnded(_) => Exit::CommandError,
    };
    exit.into()
}

/// Starts logging in the format that fits the standard error.
pub(super) fn begin_logging() -> Result<Logging, ExitCode> {
    let is_terminal = std::io::stderr().is_terminal();
    let stream = ProcessEnvironment.read("JOURNAL_STREAM");
    let is_journal = logging::leads_to_journal(stream.as_deref(), std::io::stderr());
    let colours = is_terminal && ProcessEnvironment.read("NO_COLOR").is_none();
    let filter = ProcessEnvironment.read("REKEYD_LOG");
    logging::init(Format::fitting(is_terminal, colours, is_journal), filter.as_deref())
        .map_err(|error| exit::because(Exit::Usage, &with_causes(&error)))
}

pub(super) fn log_warnings(of_what: &str, warnings: &Diagnostics) {
    for warning in &warnings.problems {
        let (key, line, help) = (&warning.key, warning.line, &warning.help);
        tracing::warn!(key, line, help, "warning of the {of_what}: {}", warning.rule);
    }
}

/// Keeps key values out of core files, and out of reach of other processes of the same user.
pub(super) fn keep_out_of_core_files() {
    let outcome = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if let Err(error) = outcome {
        tracing::warn!(%error, "cannot disable core files, which would hold key values: set LimitCORE=0");
    }
}
