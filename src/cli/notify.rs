//! `rekeyd notify test`: sends a test notice by each channel of a policy, without a daemon, and tells what was answered.
//!
//! Exit codes: 0 every channel took it; 1 one did not, or a secret cannot be read; 2 usage; 3 the policy has errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::adapters::clock::SystemClock;
use crate::app::channels::channels;
use crate::app::with_causes;
use crate::cli::daemon::Output;
use crate::cli::exit::Failed;
use crate::cli::journal::tell;
use crate::cli::policy;
use crate::cli::progress::Progress;
use crate::config::components::ReceiverConfig;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::ids::ChannelName;
use crate::domain::notification::{Alert, News, Notification, Severity, Subject};
use crate::notify::Channel;
use crate::ports::clock::Clock;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// The policy that has the channels; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml
    #[arg(long, value_name = "FILE", global = true)]
    policy: Option<PathBuf>,
    /// A line for each channel, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
}

#[derive(Subcommand)]
enum What {
    /// Send a test notice by each channel, or by one, and tell what was answered; needs no daemon
    Test(Test),
}

#[derive(clap::Args)]
struct Test {
    /// Only this channel
    name: Option<String>,
}

/// What became of one channel's test.
struct Tested {
    channel: ChannelName,
    kind: &'static str,
    outcome: Result<String, String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { what: What::Test(Test { name }), policy, output } = arguments;
    match tested(name.as_deref(), policy.as_deref()) {
        Ok(tested) => {
            let all_well = tested.iter().all(|it| it.outcome.is_ok());
            tell(&text(&tested, *output), if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(failed) => failed.tell(*output == Output::Json),
    }
}

fn tested(name: Option<&str>, policy: Option<&Path>) -> Result<Vec<Tested>, Failed> {
    let config = policy::load(&policy::chosen(policy))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut channels =
        channels(&config, &ProcessEnvironment, &clock).map_err(|error| Failed::other(with_causes(&error)))?;
    if let Some(name) = name {
        channels.retain(|channel, _| channel.as_str() == name);
    }
    if channels.is_empty() {
        let known: Vec<&str> = config.channels.keys().map(ChannelName::as_str).collect();
        return Err(Failed::unknown(match known.as_slice() {
            [] => "the policy has no channels: add a table such as `[notify.ops]`".to_owned(),
            known => format!("the policy has no such channel; it has {}", known.join(", ")),
        }));
    }
    let kinds = config.channels.iter().map(|(name, it)| (name.clone(), it.receiver.kind())).collect();
    let is_incident = |name: &ChannelName| {
        let receiver = config.channels.get(name).map(|it| &it.receiver);
        matches!(receiver, Some(ReceiverConfig::PagerDuty { .. }))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failed::other(format!("cannot start the asynchronous runtime: {error}")))?;
    let progress = Progress::of("channels tried", channels.len());
    Ok(runtime.block_on(async {
        let mut tested = Vec::new();
        for (name, channel) in &channels {
            let outcome = test(name, channel, is_incident(name), clock.now()).await;
            tested.push(said(name, &kinds, outcome));
            progress.done(tested.len());
        }
        tested
    }))
}

fn said(
    name: &ChannelName,
    kinds: &BTreeMap<ChannelName, &'static str>,
    outcome: Result<String, String>,
) -> Tested {
    let kind = kinds.get(name).copied().unwrap_or_default();
    Tested { channel: name.clone(), kind, outcome }
}

/// A test opens no incident that stays.
async fn test(
    name: &ChannelName,
    channel: &Channel,
    is_incident: bool,
    now: Timestamp,
) -> Result<String, String> {
    let trouble = Alert {
        key: format!("test/{name}/{}", now.as_second()),
        severity: Severity::Info,
        what: "test".to_owned(),
        subject: Subject::Rekeyd,
        summary: format!("a test of the channel `{name}`: nothing is wrong"),
        next: None,
        anchor: String::new(),
        since: now,
        passes_within: SignedDuration::ZERO,
    };
    let news: &[News] = if is_incident { &[News::Opened, News::Resolved] } else { &[News::Happened] };
    let mut words = Vec::new();
    for news in news {
        let letter = Notification::new(name, *news, &trouble, now);
        let delivered = channel.notifier.deliver(&[letter]).await;
        words.push(delivered.map_err(|undelivered| undelivered.why)?);
    }
    words.dedup();
    Ok(words.join("; "))
}

fn text(tested: &[Tested], output: Output) -> String {
    match output {
        Output::Json => {
            let channels: Vec<_> = tested
                .iter()
                .map(|Tested { channel, kind, outcome }| {
                    let (Ok(said) | Err(said)) = outcome;
                    json!({ "channel": channel, "kind": kind, "delivered": outcome.is_ok(), "message": said })
                })
                .collect();
            format!("{:#}\n", json!({ "schema_version": JSON_VERSION, "channels": channels }))
        }
        Output::Text => tested
            .iter()
            .map(|Tested { channel, kind, outcome }| match outcome {
                Ok(said) => format!("{channel} ({kind}): delivered: {said}\n"),
                Err(why) => format!("{channel} ({kind}): not delivered: {why}\n"),
            })
            .collect(),
    }
}
