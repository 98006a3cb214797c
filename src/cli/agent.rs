//! `rekeyd agent`, the consumer side: reads its configuration and connects the parts that it names.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::adapters::directory::group;
use crate::agent::{self, AgentContext, AgentExit, CachedSecret, OutputFile, Secret};
use crate::app::with_causes;
use crate::cli::agent_flags::Flags;
use crate::cli::exit::{self, Exit};
use crate::cli::run;
use crate::cli::source_flags::{self, SourceFlags};
use crate::config::agent::{AgentConfig, Mode, OutputFileConfig, SecretConfig, load, load_file};
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
    let mode = if arguments.exec { Mode::Exec } else { Mode::Beside };
    let loaded = match (&arguments.config, arguments.flags.text(arguments.source.from.clone())) {
        (Some(path), _) => load_file(path, mode),
        (None, Some(text)) => load(&text, "the flags", mode).map_err(|mut problems| {
            // There is no file to which line and column could refer.
            problems.problems.iter_mut().for_each(|it| (it.line, it.column) = (None, None));
            problems
        }),
        (None, None) => {
            let missing = format!(
                "no secret to follow: pass --config FILE, or --credential NAME with {}",
                source_flags::naming()
            );
            return exit::because(Exit::Usage, &missing);
        }
    };
    let config = match loaded {
        Ok(config) => config,
        Err(problems) => return exit::because(Exit::BadConfiguration, &problems),
    };
    if let Err(code) = run::begin_logging() {
        return code;
    }
    run::log_warnings("agent's configuration", &config.warnings);
    run::keep_out_of_core_files();
    // One thread, to stay small: an agent runs beside every application.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::because(Exit::CommandError, &format!("cannot start the agent: {error}")),
    };
    runtime.block_on(work(config, arguments))
}

async fn work(config: AgentConfig, arguments: &Arguments) -> ExitCode {
    let context = match context(config, arguments).await {
        Ok(context) => context,
        Err(failure) => {
            tracing::error!(error = %failure, "cannot start");
            return Exit::BadConfiguration.into();
        }
    };
    match agent::run(context).await {
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
                agent::Error::Signals(_) | agent::Error::TaskEnded(_) => Exit::CommandError.into(),
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
