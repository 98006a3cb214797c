//! `rekeyd notify test`: sends a test notification through each channel of a policy, without a daemon.
//!
//! Exit codes: 0 every channel accepted it; 1 a channel did not, or a secret cannot be read; 2 usage; 3 policy errors.

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
use crate::cli::exit::CommandError;
use crate::cli::journal::tell;
use crate::cli::policy;
use crate::cli::progress::Progress;
use crate::config::components::ReceiverConfig;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::ids::ChannelName;
use crate::domain::notification::{Alert, Notification, NotificationEvent, Severity, Subject};
use crate::notify::Channel;
use crate::ports::clock::Clock;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml
    #[arg(long, value_name = "FILE", global = true)]
    policy: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
}

#[derive(Subcommand)]
enum What {
    /// Send a test notification through every channel, or one; needs no daemon
    Test(Test),
}

#[derive(clap::Args)]
struct Test {
    /// Channel; defaults to every channel
    name: Option<String>,
}

/// The result of one channel's test.
struct TestResult {
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
        Err(failed) => failed.report(*output == Output::Json),
    }
}

fn tested(name: Option<&str>, policy: Option<&Path>) -> Result<Vec<TestResult>, CommandError> {
    let config = policy::load(&policy::chosen(policy))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut channels = channels(&config, &ProcessEnvironment, &clock)
        .map_err(|error| CommandError::other(with_causes(&error)))?;
    if let Some(name) = name {
        channels.retain(|channel, _| channel.as_str() == name);
    }
    if channels.is_empty() {
        let known: Vec<&str> = config.channels.keys().map(ChannelName::as_str).collect();
        return Err(CommandError::unknown(match known.as_slice() {
            [] => "the policy has no notification channels; add a table such as `[notify.ops]`".to_owned(),
            known => format!("no such channel in the policy; known channels: {}", known.join(", ")),
        }));
    }
    let kinds = config.channels.iter().map(|(name, it)| (name.clone(), it.receiver.kind())).collect();
    let is_incident = |name: &ChannelName| {
        let receiver = config.channels.get(name).map(|it| &it.receiver);
        matches!(receiver, Some(ReceiverConfig::PagerDuty { .. }))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CommandError::other(format!("cannot start the asynchronous runtime: {error}")))?;
    let progress = Progress::of("channels tested", channels.len());
    Ok(runtime.block_on(async {
        let mut tested = Vec::new();
        for (name, channel) in &channels {
            let outcome = test(name, channel, is_incident(name), clock.now()).await;
            tested.push(result_of(name, &kinds, outcome));
            progress.done(tested.len());
        }
        tested
    }))
}

fn result_of(
    name: &ChannelName,
    kinds: &BTreeMap<ChannelName, &'static str>,
    outcome: Result<String, String>,
) -> TestResult {
    let kind = kinds.get(name).copied().unwrap_or_default();
    TestResult { channel: name.clone(), kind, outcome }
}

/// A test resolves the incident that it opens.
async fn test(
    name: &ChannelName,
    channel: &Channel,
    is_incident: bool,
    now: Timestamp,
) -> Result<String, String> {
    let alert = Alert {
        key: format!("test/{name}/{}", now.as_second()),
        severity: Severity::Info,
        reason: "test".to_owned(),
        subject: Subject::Rekeyd,
        summary: format!("test of the channel `{name}`: no action is needed"),
        next: None,
        anchor: String::new(),
        since: now,
        grace: SignedDuration::ZERO,
    };
    let events: &[NotificationEvent] = if is_incident {
        &[NotificationEvent::Opened, NotificationEvent::Resolved]
    } else {
        &[NotificationEvent::Happened]
    };
    let mut words = Vec::new();
    for event in events {
        let notification = Notification::new(name, *event, &alert, now);
        let delivered = channel.notifier.deliver(&[notification]).await;
        words.push(delivered.map_err(|undelivered| undelivered.why)?);
    }
    words.dedup();
    Ok(words.join("; "))
}

fn text(tested: &[TestResult], output: Output) -> String {
    match output {
        Output::Json => {
            let channels: Vec<_> = tested
                .iter()
                .map(|TestResult { channel, kind, outcome }| {
                    let (Ok(message) | Err(message)) = outcome;
                    json!({ "channel": channel, "kind": kind, "delivered": outcome.is_ok(), "message": message })
                })
                .collect();
            format!("{:#}\n", json!({ "schema_version": JSON_VERSION, "channels": channels }))
        }
        Output::Text => tested
            .iter()
            .map(|TestResult { channel, kind, outcome }| match outcome {
                Ok(response) => format!("{channel} ({kind}): delivered: {response}\n"),
                Err(why) => format!("{channel} ({kind}): not delivered: {why}\n"),
            })
            .collect(),
    }
}
