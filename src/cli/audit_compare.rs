//! `rekeyd audit compare`: what the workspaces' own audit logs say was done to our keys, and not by us.

use std::process::ExitCode;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::adapters::clock::SystemClock;
use crate::app::{assembly, with_causes};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::{Output, tell};
use crate::cli::policy::PolicyArgument;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::audit::ChainedAct;
use crate::domain::audit::compare::{Comparison, WorkspaceLogEntry, compare};
use crate::domain::ids::WorkspaceName;
use crate::domain::sanitize::one_line;
use crate::ports::clock::Clock;

const DEFAULT_SPAN: SignedDuration = SignedDuration::from_hours(24 * 7);

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// From when on; by default the last seven days
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Arguments {
    pub(super) fn is_for_programs(&self) -> bool {
        self.output == Output::Json
    }
}

/// What came of one workspace.
type Outcome = (WorkspaceName, Result<Comparison, String>);

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let config = arguments.policy.load()?;
    let journal = config.daemon.journal.open_read_only().map_err(CommandError::journal)?;
    let records = journal.audit(0, usize::MAX).map_err(CommandError::journal)?;
    let since = arguments.since.or_else(|| SystemClock.now().checked_sub(DEFAULT_SPAN).ok());
    let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CommandError::other(format!("cannot start the asynchronous runtime: {error}")))?;
    let progress = Progress::of("workspaces asked", config.workspaces.len());
    let outcomes = runtime.block_on(ask(&config, &records, since, &progress));
    drop(progress);
    let is_foreign = |(_, outcome): &Outcome| outcome.as_ref().is_ok_and(|it| !it.foreign.is_empty());
    let code = if outcomes.iter().any(is_foreign) {
        Exit::NeedsAttention.into()
    } else if outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
        Exit::CommandError.into()
    } else {
        ExitCode::SUCCESS
    };
    let text = match arguments.output {
        Output::Json => {
            format!("{}\n", json!({ "workspaces": outcomes.iter().map(as_json).collect::<Vec<_>>() }))
        }
        Output::Table => outcomes.iter().map(as_text).collect(),
    };
    Ok(tell(&text, code))
}

async fn ask(config: &Config, records: &[ChainedAct], since: Timestamp, progress: &Progress) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    for name in config.workspaces.keys() {
        let own: Vec<ChainedAct> =
            records.iter().filter(|record| record.act.workspace.as_ref() == Some(name)).cloned().collect();
        let workspace = assembly::workspace(name, config, &ProcessEnvironment, &clock).await;
        let outcome = match workspace {
            Ok(workspace) => match workspace.audit_log(since).await {
                Ok(logged) => Ok(compare(&own, &logged, since)),
                Err(failure) => Err(failure.to_string()),
            },
            Err(error) => Err(with_causes(&error)),
        };
        outcomes.push((name.clone(), outcome));
        progress.done(outcomes.len());
    }
    outcomes
}

fn by(logged: &WorkspaceLogEntry) -> String {
    logged.user.as_ref().map(|user| format!(" by user {user}")).unwrap_or_default()
}

fn as_text((name, outcome): &Outcome) -> String {
    let compared = match outcome {
        Ok(compared) => compared,
        Err(why) => return format!("workspace {name}: not compared: {}\n", one_line(why)),
    };
    let Comparison { matched, others, foreign, unseen } = compared;
    let mut text = format!(
        "workspace {name}: {matched} entries of its audit log are ours, {others} are of keys that are not, or were not yet, {} are of \
         our keys and not ours\n",
        foreign.len()
    );
    for (key, logged) in foreign {
        let told = format!(
            "  {:.0}  key {key} was {}{}, and not by rekeyd ({})",
            logged.at,
            logged.deed.label(),
            by(logged),
            logged.id
        );
        text += &format!("{}\n", one_line(&told));
    }
    for own in unseen {
        text += &format!(
            "  {:.0}  record {}: key {} was {} by rekeyd, which the workspace does not show, or not yet\n",
            own.at,
            own.sequence,
            own.key,
            own.deed.label()
        );
    }
    text
}

fn as_json((name, outcome): &Outcome) -> Value {
    let compared = match outcome {
        Ok(compared) => compared,
        Err(why) => return json!({ "workspace": name, "compared": false, "why": why }),
    };
    let foreign = compared.foreign.iter().map(
        |(key, it)| json!({ "key": key, "at": it.at, "deed": it.deed.label(), "user": it.user, "id": it.id }),
    );
    let unseen = compared
        .unseen
        .iter()
        .map(|it| json!({ "key": it.key, "at": it.at, "deed": it.deed.label(), "sequence": it.sequence }));
    json!({
        "workspace": name,
        "compared": true,
        "matched": compared.matched,
        "others": compared.others,
        "foreign": foreign.collect::<Vec<_>>(),
        "unseen": unseen.collect::<Vec<_>>(),
    })
}
