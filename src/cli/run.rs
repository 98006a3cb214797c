//! `rekeyd run`: the daemon.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use crate::app::daemon::{self, Error};
use crate::app::with_causes;
use crate::cli::exit::{self, Exit};
use crate::cli::policy::PolicyArgument;
use crate::config::Config;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::ports::journal::OpenError;
use crate::telemetry::logging::{self, Format};

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
    let policy = arguments.policy.path();
    let config = match Config::load_file(&policy) {
        Ok(config) => config,
        Err(problems) => {
            return exit::because(Exit::BadConfiguration, &problems);
        }
    };
    if let Err(code) = begin_logging() {
        return code;
    }
    log_warnings("policy", config.warnings());
    keep_out_of_core_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::because(Exit::CommandError, &format!("cannot start the daemon: {error}"));
        }
    };
    let outcome = runtime.block_on(daemon::run(&policy, config));
    // Only threads that hang on a file system are left.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    match outcome {
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
        Error::Consumers(_) | Error::Channels(_) | Error::Tls(_) | Error::Traces(_) => Exit::BadConfiguration,
        Error::Journal(_)
        | Error::Assembly(_)
        | Error::Listen { .. }
        | Error::Socket(_)
        | Error::Scheduler(_)
        | Error::Signals(_)
        | Error::Engine(_)
        | Error::PartEnded(_) => Exit::CommandError,
    };
    exit.into()
}

/// Starts logging in the format that fits the standard error.
pub(super) fn begin_logging() -> Result<(), ExitCode> {
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
