//! The policy as written: what serde reads and what the schema for editors is made from. The comments here are what
//! editors show. Nothing is checked yet but the shape, and nothing may be printed: a value can be a misplaced secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::stores::StoreTable;

mod access;
pub(crate) mod agent;
mod metrics;
mod notify;
mod times;
mod waits;

pub(crate) use crate::config_file::kinds::*;
pub(crate) use access::*;
pub(crate) use metrics::*;
pub(crate) use notify::*;
pub(crate) use times::*;
pub(crate) use waits::*;

/// Which ElevenLabs keys rekeyd keeps fresh, when, and where it publishes them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// The daemon itself.
    pub(crate) daemon: Daemon,
    /// ElevenLabs workspaces, by a name of your choice.
    pub(crate) workspaces: BTreeMap<At<String>, Workspace>,
    /// Secrets stores, by a name of your choice.
    pub(crate) stores: BTreeMap<At<String>, StoreTable>,
    /// Programs that use credentials and acknowledge new keys.
    pub(crate) consumers: BTreeMap<At<String>, Consumer>,
    /// What holds for every credential that does not say otherwise.
    pub(crate) defaults: Defaults,
    /// The credentials to keep fresh, by a name of your choice.
    pub(crate) credentials: BTreeMap<At<String>, Credential>,
    /// Stretches of time in which nothing starts and nothing is revoked, for every credential.
    pub(crate) freeze: Vec<Freeze>,
    /// Reports of leaked keys.
    pub(crate) leaks: Leaks,
    /// Channels by which people are told what needs them, by a name of your choice.
    pub(crate) notify: BTreeMap<At<String>, Notify>,
    /// Who may read over HTTP what is known of the credentials.
    pub(crate) readers: Readers,
    /// What metrics tell.
    pub(crate) metrics: Metrics,
}

/// The daemon itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Daemon {
    /// Where metrics, health, status and acknowledgements are served over HTTP.
    #[schemars(extend("default" = defaults::LISTEN))]
    pub(crate) listen: Option<At<Address>>,
    /// Allows `listen` to be reachable from other machines: acknowledgement tokens then cross the network in the clear.
    #[schemars(extend("default" = false))]
    pub(crate) allow_plaintext_beyond_loopback: Option<At<bool>>,
    /// Has `listen` speak TLS, and nothing else.
    pub(crate) tls: Option<Tls>,
    /// The Unix socket for operators' commands; in `$RUNTIME_DIRECTORY` if systemd sets that.
    #[schemars(extend("default" = defaults::SOCKET))]
    pub(crate) socket: Option<At<AbsolutePath>>,
    /// Where rekeyd remembers what it did.
    pub(crate) journal: Journal,
    /// How long a stopping daemon lets rotations reach their next journalled point.
    #[schemars(extend("default" = defaults::DRAIN))]
    pub(crate) drain: Option<At<Duration>>,
    /// How long a key whose creation may have failed is looked for before another one is created.
    #[schemars(extend("default" = defaults::SETTLE))]
    pub(crate) settle: Option<At<Duration>>,
    /// How far this machine's clock may differ from the provider's before destructive steps are held.
    #[schemars(extend("default" = defaults::CLOCK_SKEW_MAX))]
    pub(crate) clock_skew_max: Option<At<Duration>>,
    /// How long a new key may take until the provider accepts it.
    #[schemars(extend("default" = defaults::ACTIVATION_DEADLINE))]
    pub(crate) activation_deadline: Option<At<Duration>>,
    /// How often every workspace is searched for orphaned and changed keys.
    #[schemars(extend("default" = defaults::SWEEP_EVERY))]
    pub(crate) sweep_every: Option<At<Duration>>,
    /// How often listings are looked through for leaked, vanished and changed keys.
    #[schemars(extend("default" = defaults::INSPECT_EVERY))]
    pub(crate) inspect_every: Option<At<Duration>>,
    /// Emergency rotations that may begin by themselves while others are under way; an operator may begin more.
    #[schemars(range(min = 0, max = 10000), extend("default" = defaults::EMERGENCIES_AT_ONCE))]
    pub(crate) emergencies_at_once: Option<At<i64>>,
    /// How long a trouble lasts before people are told, and how long it is over before they are told that.
    #[schemars(extend("default" = defaults::NOTIFY_AFTER))]
    pub(crate) notify_after: Option<At<Duration>>,
}

/// Where rekeyd remembers what it did.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// A journal in a local file.
    pub(crate) sqlite: Sqlite,
}

/// A journal in a local file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sqlite {
    /// The journal's file; in `$STATE_DIRECTORY` if systemd sets that.
    #[schemars(extend("default" = defaults::JOURNAL))]
    pub(crate) path: Option<At<AbsolutePath>>,
}

/// A reference to the admin key: to a secret, to a credential whose key it is, or to both.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    title = "a reference to the admin key, which never stands in the policy itself",
    extend("minProperties" = 1, "maxProperties" = 2, "examples" = [{ "file": "/etc/rekeyd/credentials/admin-key" }])
)]
pub(crate) struct AdminKey {
    /// The credential of this workspace whose key is the admin key; read from where it is published.
    pub(crate) published: Option<At<Reference>>,
    /// The name of a credential that systemd hands to the unit (`LoadCredential=`).
    pub(crate) systemd_credential: Option<At<Text>>,
    /// A file that holds the key and nothing else.
    pub(crate) file: Option<At<AbsolutePath>>,
    /// The name of an environment variable.
    pub(crate) env: Option<At<Text>>,
}

/// An ElevenLabs workspace.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["base_url", "admin_key"]))]
pub(crate) struct Workspace {
    /// Where its API is; `https` unless on this machine.
    pub(crate) base_url: Option<At<Url>>,
    /// The key by which rekeyd administers the workspace's service accounts.
    pub(crate) admin_key: Option<AdminKey>,
    /// Calls to the API that may be under way at the same time.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::IN_FLIGHT))]
    pub(crate) in_flight: Option<At<i64>>,
    /// Calls to the API per second.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::REQUESTS_PER_SECOND))]
    pub(crate) requests_per_second: Option<At<i64>>,
    /// Rotations that may be worked on at the same time; those that only wait do not count.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::ROTATIONS_AT_ONCE))]
    pub(crate) rotations_at_once: Option<At<i64>>,
    /// Keys that may be created per hour, failed attempts included.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::MINTS_PER_HOUR))]
    pub(crate) mints_per_hour: Option<At<i64>>,
    /// Credentials whose old and new key may both be in use at the same time.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::OVERLAPS_AT_ONCE))]
    pub(crate) overlaps_at_once: Option<At<i64>>,
    /// After how many failures nothing more is created, or revoked, until an operator says so.
    pub(crate) breaker: Breaker,
    /// How long one call to the API may take.
    #[schemars(extend("default" = defaults::REQUEST_TIMEOUT))]
    pub(crate) request_timeout: Option<At<Duration>>,
    /// A file with the only certificate authorities to trust, in PEM.
    pub(crate) ca_file: Option<At<AbsolutePath>>,
}

/// After how many failures nothing more is created, or revoked, until an operator says so.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Breaker {
    /// So many failures.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::BREAKER_FAILURES))]
    pub(crate) failures: Option<At<i64>>,
    /// Within this time.
    #[schemars(extend("default" = defaults::BREAKER_WITHIN))]
    pub(crate) within: Option<At<Duration>>,
}

/// What holds for every credential that does not say otherwise.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// The workspace; not needed if there is only one.
    pub(crate) workspace: Option<At<Reference>>,
    /// How long after a key became current it is replaced. This or `cron`.
    pub(crate) every: Option<At<Duration>>,
    /// At which times keys are replaced. This or `every`.
    pub(crate) cron: Option<At<Either<Cron, Calendar>>>,
    /// The time zone of `cron`, `window` and `freeze` where they do not say.
    pub(crate) time_zone: Option<At<Zone>>,
    /// At most this much later, to spread the load: how much is decided by the credential's name.
    #[schemars(extend("default" = defaults::JITTER))]
    pub(crate) jitter: Option<At<Duration>>,
    /// When rotations may start; `"always"` lifts an inherited window.
    #[schemars(extend("default" = defaults::WINDOW))]
    pub(crate) window: Option<Either<Always, Window>>,
    /// How long old and new key both work.
    pub(crate) overlap: Overlap,
    /// How long the old key is disabled before it is deleted.
    #[schemars(extend("default" = defaults::QUARANTINE))]
    pub(crate) quarantine: Option<At<Duration>>,
    /// What must have happened, beside the time, before the old key is revoked.
    pub(crate) wait_for: WaitFor,
    /// How long new keys live: 20 minutes to 89 days; by default for ever.
    pub(crate) key_lifetime: Option<At<Duration>>,
    /// Has the provider let the old key expire by itself, so long after it could have been deleted: at least 1 hour. By
    /// default its expiry is left alone.
    pub(crate) expire_old_key: Option<At<Duration>>,
    /// How long a rotation that others come after has to be over before they begin.
    #[schemars(extend("default" = defaults::BAKE))]
    pub(crate) bake: Option<At<Duration>>,
    /// What happens if somebody deletes the key: an alert, or a new key at once.
    #[schemars(extend("default" = defaults::IF_KEY_VANISHES))]
    pub(crate) if_key_vanishes: Option<At<IfVanished>>,
    /// Allows keys without restrictions to be replaced by keys without restrictions.
    #[schemars(extend("default" = false))]
    pub(crate) allow_unrestricted: Option<At<bool>>,
}

/// A credential: what consumers hold, embodied by one key after another.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["service_account", "publish_to"]))]
pub(crate) struct Credential {
    /// The workspace; not needed if there is only one.
    pub(crate) workspace: Option<At<Reference>>,
    /// The service account that owns the key: its exact name or its user id.
    pub(crate) service_account: Option<At<Text>>,
    /// The `key_id` of the key to begin with, where the service account has several.
    pub(crate) adopt: Option<At<Text>>,
    /// What a first key may do, where the service account has none; and the most that any later key may do.
    pub(crate) permissions: Option<At<Permissions>>,
    /// How many credits a first key may use per billing period.
    #[schemars(range(min = 0))]
    pub(crate) character_limit: Option<At<i64>>,
    /// From where a first key may be used.
    pub(crate) allowed_ips: Option<Vec<At<AddressRange>>>,
    /// Where the key is published.
    pub(crate) publish_to: Option<Vec<Destination>>,
    /// How long after a key became current it is replaced. This or `cron`.
    pub(crate) every: Option<At<Duration>>,
    /// At which times the key is replaced. This or `every`.
    pub(crate) cron: Option<At<Either<Cron, Calendar>>>,
    /// The time zone of `cron`, `window` and `freeze` where they do not say.
    pub(crate) time_zone: Option<At<Zone>>,
    /// At most this much later, to spread the load: how much is decided by the credential's name.
    pub(crate) jitter: Option<At<Duration>>,
    /// When rotations may start; `"always"` lifts an inherited window.
    pub(crate) window: Option<Either<Always, Window>>,
    /// Stretches of time in which nothing starts and nothing is revoked, beside those for every credential.
    pub(crate) freeze: Vec<Freeze>,
    /// How long old and new key both work.
    pub(crate) overlap: Overlap,
    /// How long the old key is disabled before it is deleted.
    pub(crate) quarantine: Option<At<Duration>>,
    /// What must have happened, beside the time, before the old key is revoked.
    pub(crate) wait_for: WaitFor,
    /// How long new keys live: 20 minutes to 89 days; by default for ever.
    pub(crate) key_lifetime: Option<At<Duration>>,
    /// Has the provider let the old key expire by itself, so long after it could have been deleted: at least 1 hour.
    pub(crate) expire_old_key: Option<At<Duration>>,
    /// The credentials that have to be rotated first.
    pub(crate) after: Option<Vec<At<Reference>>>,
    /// How long those have to be over before this one begins.
    pub(crate) bake: Option<At<Duration>>,
    /// What happens if somebody deletes the key: an alert, or a new key at once.
    pub(crate) if_key_vanishes: Option<At<IfVanished>>,
    /// Allows a key without restrictions to be replaced by a key without restrictions.
    pub(crate) allow_unrestricted: Option<At<bool>>,
}

/// What happens if somebody deletes the key: an alert, or a new key at once.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IfVanished {
    Alert,
    Replace,
}

/// One secret in one store.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["store", "secret"], "examples" = [{ "store": "aws", "secret": "prod/tts/elevenlabs" }]))]
pub(crate) struct Destination {
    /// The store.
    #[schemars(extend("examples" = ["aws"]))]
    pub(crate) store: Option<At<Reference>>,
    /// The secret's name in the store.
    #[schemars(extend("examples" = ["prod/tts/elevenlabs"]))]
    pub(crate) secret: Option<At<Text>>,
    /// The field of a JSON secret that holds the key, all others being preserved; by default the key is the secret.
    pub(crate) json_field: Option<At<Text>>,
    /// Whether the secret may be created; by default in directories only.
    pub(crate) create: Option<At<bool>>,
}
