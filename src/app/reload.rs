//! Loads a changed policy while the daemon runs: the whole policy takes effect, or none of it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::app::assembly::{self, Base};
use crate::app::channels;
use crate::app::renames;
use crate::app::with_causes;
use crate::config::Config;
use crate::config::components::DaemonConfig;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::audit::{Act, Actor, changes};
use crate::domain::secret::{SecretValue, TOKEN_CHARACTERS_MIN};
use crate::engine::{Context, Handle};
use crate::http::{Consumers, Readers, Status};
use crate::notify::Channels;
use crate::ports::journal;
use crate::telemetry::observation::Detail;

/// How much of what left the policy the answer of a reload names.
const NOTES_TOLD: usize = 5;

/// What a reload replaces.
pub(super) struct InForce {
    pub(super) base: Base,
    pub(super) handle: Handle,
    pub(super) consumers: watch::Sender<Arc<Consumers>>,
    pub(super) channels: watch::Sender<Arc<Channels>>,
    pub(super) status: watch::Sender<Status>,
    pub(super) daemon: DaemonConfig,
}

/// All that a policy needs before it can be in force, read from its files, stores and secrets.
pub(super) struct Readied {
    config: Config,
    context: Context,
    consumers: Consumers,
    channels: Channels,
}

impl Readied {
    /// Reads the policy at `path` and what it refers to. Blocks where a file system does; changes nothing.
    ///
    /// # Errors
    /// Why it cannot be put in force, for an operator.
    pub(super) async fn read(path: &Path, base: &Base) -> Result<Self, String> {
        let config = Config::load_file(path).map_err(|problems| problems.to_string())?;
        let context = assembly::assemble(&config, &ProcessEnvironment, base)
            .await
            .map_err(|error| with_causes(&error))?;
        let consumers = consumers(&config)?;
        let channels = channels::channels(&config, &ProcessEnvironment, &base.clock)
            .map_err(|error| with_causes(&error))?;
        Ok(Self { config, context, consumers, channels })
    }
}

impl InForce {
    /// Puts a policy that was read from `path` in force.
    ///
    /// # Errors
    /// Why not, for an operator; everything stays as it was.
    pub(super) async fn put(
        &self,
        path: &Path,
        readied: Result<Readied, String>,
        by: &Actor,
    ) -> Result<String, String> {
        let outcome = match readied {
            Ok(readied) => self.replace_by(readied, by).await,
            Err(why) => Err(why),
        };
        match &outcome {
            Ok(message) => tracing::info!(policy = %path.display(), "{message}"),
            Err(why) => {
                tracing::error!(policy = %path.display(), %why, "the policy is refused; the one before stays in force");
                let first = why.lines().next().unwrap_or_default();
                if let Err(error) = self.record(by, changes::POLICY_REFUSED, json!({ "why": first })).await {
                    tracing::warn!(%error, "that the policy is refused is not in the audit log");
                }
                let why = why.clone();
                self.status.send_modify(|status| status.reload_refused = Some(why));
            }
        }
        outcome
    }

    async fn record(&self, by: &Actor, what: &str, details: Value) -> Result<(), journal::Error> {
        let act = Act::new(self.base.clock.now(), by.clone(), what, details);
        self.base.journal.record(&act).await
    }

    async fn replace_by(&self, readied: Readied, by: &Actor) -> Result<String, String> {
        let Readied { config, mut context, consumers, channels } = readied;
        let before = self.handle.context();
        let journal = self.base.journal.as_ref();
        let now = self.base.clock.now();
        let checked = renames::check(journal, &config.policy, Some(&before.policy), now).await;
        let notes = checked.map_err(|error| error.to_string())??;
        for (name, workspace_client) in &mut context.workspaces {
            if let (Some(workspace_client), Some(before)) =
                (Arc::get_mut(workspace_client), before.workspaces.get(name))
            {
                workspace_client.succeed(before);
            }
        }
        let count = config.policy.credentials.len();
        // A policy whose loading the audit log does not have is not put in force.
        let details = json!({ "sha256": config.hash(), "credentials": count });
        self.record(by, changes::POLICY_LOADED, details).await.map_err(|error| error.to_string())?;
        self.handle.reload(context).await.map_err(|refused| refused.to_string())?;
        self.consumers.send_replace(Arc::new(consumers));
        self.channels.send_replace(Arc::new(channels));
        self.status.send_modify(|status| {
            status.policy_hash = config.hash().to_owned();
            status.policy_loaded = Some(self.base.clock.now());
            status.detail = Detail::of(config.metrics.per_credential);
            status.reload_refused = None;
        });
        let loaded = match self.needs_restart(&config.daemon) {
            "" => format!("the policy is in force, with {count} credentials"),
            keys => format!("the policy is in force, with {count} credentials; {keys} need a restart"),
        };
        let more = notes.len().saturating_sub(NOTES_TOLD);
        let rest = (more > 0).then(|| format!("and {more} more, see `rekeyd status`"));
        Ok([loaded]
            .into_iter()
            .chain(notes.into_iter().take(NOTES_TOLD))
            .chain(rest)
            .collect::<Vec<_>>()
            .join("; "))
    }

    /// The changed keys of `[daemon]` that are read at a start only.
    fn needs_restart(&self, daemon: &DaemonConfig) -> &'static str {
        let running = &self.daemon;
        let places = (&running.listen, &running.tls, &running.socket, &running.journal)
            != (&daemon.listen, &daemon.tls, &daemon.socket, &daemon.journal);
        let times = (running.drain, running.sweep_every, running.inspect_every, running.notify_after)
            != (daemon.drain, daemon.sweep_every, daemon.inspect_every, daemon.notify_after);
        match (places, times) {
            (false, false) => "",
            (true, false) => "`listen`, `tls`, `socket` and the journal",
            (false, true) => "`drain`, `sweep_every`, `inspect_every` and `notify_after`",
            (true, true) => "the changes to `[daemon]`",
        }
    }
}

/// The tokens that a policy refers to.
///
/// # Errors
/// One cannot be read, or two are the same.
pub(super) fn consumers(config: &Config) -> Result<Consumers, String> {
    let tokens = assembly::tokens(config, &ProcessEnvironment).map_err(|error| with_causes(&error))?;
    let reporter = assembly::leaks_token(config, &ProcessEnvironment).map_err(|error| with_causes(&error))?;
    let readers = assembly::readers(config, &ProcessEnvironment).map_err(|error| with_causes(&error))?;
    let short = tokens.iter().filter(|(_, token)| token.is_short_for_a_token());
    short.for_each(|(name, _)| warn_of_a_short_token(&format!("consumer `{name}`")));
    if reporter.as_ref().is_some_and(SecretValue::is_short_for_a_token) {
        warn_of_a_short_token("`[leaks]`");
    }
    if let Readers::Known { token: Some(token), .. } = &readers
        && token.is_short_for_a_token()
    {
        warn_of_a_short_token("`[readers]`");
    }
    let certified = config.consumers.iter();
    let certified =
        certified.filter_map(|(name, it)| Some((it.certificate.clone()?, name.clone()))).collect();
    let consumers = Consumers::new(tokens).map_err(|shared| shared.to_string())?;
    let consumers = consumers.with_certificates(certified);
    let consumers = consumers.with_readers(readers).map_err(|shared| shared.to_string())?;
    consumers.with_reporter(reporter).map_err(|shared| shared.to_string())
}

fn warn_of_a_short_token(of: &str) {
    tracing::warn!(
        of,
        "a token has fewer than {TOKEN_CHARACTERS_MIN} characters and could be guessed: make another with `openssl rand -hex 32`"
    );
}
