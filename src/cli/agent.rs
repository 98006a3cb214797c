//! `rekeyd agent`, the consumer side: reads its configuration and connects the parts that it names.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::adapters::directory::group;
use crate::agent::{self, AgentContext, AgentExit, CachedSecret, OutputFile, Secret, Signals};
use crate::app::with_causes;
use crate::cli::agent_flags::Flags;
use crate::cli::exit::{self, Exit};
use crate::cli::run;
use crate::cli::source_flags::{self, SourceFlags};
use crate::config::agent::{AgentConfig, Mode, OutputFileConfig, SecretConfig, load, load_file};
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::failure::Failure;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Configuration file, instead of the flags for one secret
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    source: SourceFlags,
    #[command(flatten)]
    flags: Flags,
    /// Run the application after `--`, and restart it when a secret changes
    #[arg(long, requires = "app")]
    exec: bool,
    /// Write every secret once and exit, to prepare for the application's start
    #[arg(long, conflicts_with = "exec")]
    once: bool,
    #[arg(last = true, value_name = "APPLICATION", requires = "exec")]
    app: Vec<String>,
}

/// Exit codes: 0 stopped by a signal; with `--exec` that of the application; 1 failed; 78 invalid configuration.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    // One thread, to stay small: an agent runs beside every application.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).thread_keep_alive(Duration::ZERO);
    let runtime = builder.build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::because(Exit::CommandError, &format!("cannot start the agent: {error}")),
    };
    let code = runtime.block_on(listening(arguments));
    // A file system that does not answer must not keep it from ending.
    runtime.shutdown_background();
    code
}

async fn listening(arguments: &Arguments) -> ExitCode {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return exit::because(Exit::CommandError, &format!("cannot install signal handlers: {error}"));
        }
    };
    let mode = if arguments.exec { Mode::Exec } else { Mode::Beside };
    let (path, text) = (arguments.config.clone(), arguments.flags.text(arguments.source.from.clone()));
    let loaded = tokio::select! {
        biased;
        () = signals.stopped() => return ExitCode::SUCCESS,
        loaded = tokio::task::spawn_blocking(move || configuration(path, text, mode)) => loaded,
    };
    let config = match loaded {
        Ok(Some(Ok(config))) => config,
        Ok(Some(Err(problems))) => return exit::because(Exit::BadConfiguration, &problems),
        Ok(None) => {
            let missing = format!(
                "no secret to follow: pass --config FILE, or --credential NAME with {}",
                source_flags::naming()
            );
            return exit::because(Exit::Usage, &missing);
        }
        Err(error) => {
            return exit::because(
                Exit::CommandError,
                &format!("the configuration cannot be loaded: {error}"),
            );
        }
    };
    let _logging = match run::begin_logging() {
        Ok(logging) => logging,
        Err(code) => return code,
    };
    run::log_warnings("agent's configuration", &config.warnings);
    run::keep_out_of_core_files();
    work(config, arguments, signals).await
}

/// `None` if neither a file nor flags name a secret.
fn configuration(
    path: Option<PathBuf>,
    text: Option<String>,
    mode: Mode,
) -> Option<Result<AgentConfig, Diagnostics>> {
    match (path, text) {
        (Some(path), _) => Some(load_file(&path, mode)),
        (None, Some(text)) => Some(load(&text, "the flags", mode).map_err(|mut problems| {
            // There is no file to which line and column could refer.
            problems.problems.iter_mut().for_each(|it| (it.line, it.column) = (None, None));
            problems
        })),
        (None, None) => None,
    }
}

async fn work(config: AgentConfig, arguments: &Arguments, mut signals: Signals) -> ExitCode {
    let context = tokio::select! {
        biased;
        () = signals.stopped() => {
            tracing::info!("told to stop before it had begun");
            return ExitCode::SUCCESS;
        }
        context = context(config, arguments) => context,
    };
    let context = match context {
        Ok(context) => context,
        Err(failure) => {
            tracing::error!(error = %failure, "cannot start");
            return Exit::BadConfiguration.into();
        }
    };
    match agent::run(context, signals).await {
        Ok(AgentExit::Stopped) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Ok(AgentExit::Code(code)) => {
            tracing::info!(code, "stopped with the application's exit code");
            code.into()
        }
        Err(error) => {
            tracing::error!(error = %with_causes(&error), "stopped");
            match error {
                agent::Error::Authorities { .. } => Exit::BadConfiguration.into(),
                agent::Error::TaskEnded(_) => Exit::CommandError.into(),
            }
        }
    }
}

async fn context(config: AgentConfig, arguments: &Arguments) -> Result<AgentContext, Failure> {
    let app = arguments.app.clone();
    let mut secrets = Vec::new();
    for secret in config.secrets {
        secrets.push(connect(secret).await?);
    }
    Ok(AgentContext {
        secrets,
        env_file: config.env_file.as_ref().map(output_file).transpose()?,
        on_change: config.on_change,
        health: config.health,
        rekeyd: config.rekeyd,
        app: (!app.is_empty()).then_some((app, config.exec)),
        once: arguments.once,
        environment: Box::new(ProcessEnvironment),
    })
}

async fn connect(config: SecretConfig) -> Result<Secret, Failure> {
    let cached = CachedSecret {
        name: config.name,
        to: config.to.as_ref().map(output_file).transpose()?,
        variable: config.variable,
        path_variable: config.path_variable,
    };
    let every = config.every;
    let every_max = config.source.longest_pause(every);
    let source = config.source.follow(config.json_field).await?;
    Ok(Secret { cached, source, every, every_max })
}

fn output_file(config: &OutputFileConfig) -> Result<OutputFile, Failure> {
    Ok(OutputFile {
        path: config.path.clone(),
        mode: config.mode,
        owner: config.owner.as_deref().map(group::number_of_user).transpose()?,
        group: config.group.as_deref().map(group::number).transpose()?,
    })
}
