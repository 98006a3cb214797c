//! The raw policy: the types that serde reads and the schema is generated from. Editors show the comments. Nothing here may
//! be printed: a value can be a misplaced secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::stores::StoreTable;

mod access;
pub(crate) mod agent;
mod links;
mod metrics;
mod notify;
mod times;
mod waits;

pub(crate) use crate::config_file::kinds::*;
pub(crate) use access::*;
pub(crate) use links::*;
pub(crate) use metrics::*;
pub(crate) use notify::*;
pub(crate) use times::*;
pub(crate) use waits::*;

/// The policy: which ElevenLabs keys rekeyd rotates, when, and where it publishes them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// The daemon.
    pub(crate) daemon: Daemon,
    /// ElevenLabs workspaces, by a name that you choose.
    pub(crate) workspaces: BTreeMap<At<String>, Workspace>,
    /// Secret stores, by a name that you choose.
    pub(crate) stores: BTreeMap<At<String>, StoreTable>,
    /// Applications that use credentials and acknowledge new keys, by a name that you choose.
    pub(crate) consumers: BTreeMap<At<String>, Consumer>,
    /// Defaults for every credential.
    pub(crate) defaults: Defaults,
    /// The credentials to rotate, by a name that you choose.
    pub(crate) credentials: BTreeMap<At<String>, Credential>,
    /// Periods in which no rotation starts and no key is revoked, for every credential.
    pub(crate) freeze: Vec<Freeze>,
    /// Reports of leaked keys.
    pub(crate) leaks: Leaks,
    /// Notification channels, by a name that you choose.
    pub(crate) notify: BTreeMap<At<String>, Notify>,
    /// Access to the read-only HTTP API.
    pub(crate) readers: Readers,
    /// Metrics.
    pub(crate) metrics: Metrics,
}

/// The daemon.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Daemon {
    /// Address and port of the HTTP listener for metrics, health, status and acknowledgements.
    #[schemars(extend("default" = defaults::LISTEN))]
    pub(crate) listen: Option<At<Address>>,
    /// Allow `listen` to be reachable from other machines without TLS. Acknowledgement tokens then cross the network unencrypted.
    #[schemars(extend("default" = false))]
    pub(crate) allow_plaintext_beyond_loopback: Option<At<bool>>,
    /// Serve `listen` over TLS only.
    pub(crate) tls: Option<Tls>,
    /// Unix socket for operators' commands; in `$RUNTIME_DIRECTORY` if systemd sets that.
    #[schemars(extend("default" = defaults::SOCKET))]
    pub(crate) socket: Option<At<AbsolutePath>>,
    /// The journal, where rekeyd records what it does.
    pub(crate) journal: Journal,
    /// How long a stopping daemon waits for rotations to reach their next journalled step.
    #[schemars(extend("default" = defaults::DRAIN))]
    pub(crate) drain: Option<At<Duration>>,
    /// How long to search for a key whose creation may have failed, before creating another one.
    #[schemars(extend("default" = defaults::SETTLE))]
    pub(crate) settle: Option<At<Duration>>,
    /// Maximum clock skew from the provider. Beyond it, keys are not disabled or deleted.
    #[schemars(extend("default" = defaults::CLOCK_SKEW_MAX))]
    pub(crate) clock_skew_max: Option<At<Duration>>,
    /// How long the provider may take to accept a new key.
    #[schemars(extend("default" = defaults::ACTIVATION_DEADLINE))]
    pub(crate) activation_deadline: Option<At<Duration>>,
    /// How often the provider has to accept a new key before it is published.
    pub(crate) acceptances: Acceptances,
    /// How often to search workspaces for orphaned and changed keys.
    #[schemars(extend("default" = defaults::SWEEP_EVERY))]
    pub(crate) sweep_every: Option<At<Duration>>,
    /// How often to inspect keys for leaks, deletion and changes.
    #[schemars(extend("default" = defaults::INSPECT_EVERY))]
    pub(crate) inspect_every: Option<At<Duration>>,
    /// Maximum number of emergency rotations that start by themselves at the same time; operators may start more.
    #[schemars(range(min = 0, max = 10000), extend("default" = defaults::EMERGENCIES_AT_ONCE))]
    pub(crate) emergencies_at_once: Option<At<i64>>,
    /// How long an alert must be active before its notification, and over before its resolution.
    #[schemars(extend("default" = defaults::NOTIFY_AFTER))]
    pub(crate) notify_after: Option<At<Duration>>,
    /// Links from the status page to other systems.
    pub(crate) links: Links,
}

/// How often the provider has to accept a new key before it is published. In an emergency, once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Acceptances {
    /// Number of acceptances, on a new connection each. A refusal restarts the count.
    #[schemars(range(min = 1, max = 100), extend("default" = defaults::ACCEPTANCES_COUNT))]
    pub(crate) count: Option<At<i64>>,
    /// Period over which they are spread. `0s`: one right after the other.
    #[schemars(extend("default" = defaults::ACCEPTANCES_OVER))]
    pub(crate) over: Option<At<Duration>>,
}

/// The journal, where rekeyd records what it does.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// A journal in a local SQLite file.
    pub(crate) sqlite: Sqlite,
}

/// A journal in a local SQLite file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sqlite {
    /// Path of the journal; in `$STATE_DIRECTORY` if systemd sets that.
    #[schemars(extend("default" = defaults::JOURNAL))]
    pub(crate) path: Option<At<AbsolutePath>>,
}

/// A reference to the admin key: a secret, a credential of this policy, or both.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    title = "a reference to the admin key",
    extend("minProperties" = 1, "maxProperties" = 2, "examples" = [{ "file": "/etc/rekeyd/credentials/admin-key" }])
)]
pub(crate) struct AdminKey {
    /// Credential of this workspace whose key is the admin key, read from its destination.
    pub(crate) published: Option<At<Reference>>,
    /// Name of a credential that systemd passes to the unit (`LoadCredential=`).
    pub(crate) systemd_credential: Option<At<Text>>,
    /// Path of a file that contains only the key.
    pub(crate) file: Option<At<AbsolutePath>>,
    /// Name of an environment variable.
    pub(crate) env: Option<At<Text>>,
}

/// An ElevenLabs workspace.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["base_url", "admin_key"]))]
pub(crate) struct Workspace {
    /// Base URL of the API; `https` unless on loopback.
    pub(crate) base_url: Option<At<Url>>,
    /// The key with which rekeyd manages the workspace's service accounts.
    pub(crate) admin_key: Option<AdminKey>,
    /// Maximum number of concurrent API calls.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::IN_FLIGHT))]
    pub(crate) in_flight: Option<At<i64>>,
    /// Maximum number of API calls per second.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::REQUESTS_PER_SECOND))]
    pub(crate) requests_per_second: Option<At<i64>>,
    /// Maximum number of rotations with a step in progress; waiting ones are not counted.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::ROTATIONS_AT_ONCE))]
    pub(crate) rotations_at_once: Option<At<i64>>,
    /// Maximum number of keys created per hour, failed attempts included; a quarter is reserved for emergencies.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::MINTS_PER_HOUR))]
    pub(crate) mints_per_hour: Option<At<i64>>,
    /// Maximum number of rotations in progress, waiting and parked ones included.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::OVERLAPS_AT_ONCE))]
    pub(crate) overlaps_at_once: Option<At<i64>>,
    /// Maximum number of first rotations in progress, from their start to the deletion of the old key. The others wait.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::FIRST_ROTATIONS_AT_ONCE))]
    pub(crate) first_rotations_at_once: Option<At<i64>>,
    /// Whether the workspace's credentials are rotated, or only observed.
    pub(crate) mode: Option<At<RotationMode>>,
    /// Number of failures after which key creation, or revocation, stops until `rekeyd resume`.
    pub(crate) breaker: Breaker,
    /// Time limit of an API call.
    #[schemars(extend("default" = defaults::REQUEST_TIMEOUT))]
    pub(crate) request_timeout: Option<At<Duration>>,
    /// PEM file with the only certificate authorities to trust.
    pub(crate) ca_file: Option<At<AbsolutePath>>,
}

/// Number of failures after which key creation, or revocation, stops until `rekeyd resume`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Breaker {
    /// Number of failures.
    #[schemars(range(min = 1, max = 10000), extend("default" = defaults::BREAKER_FAILURES))]
    pub(crate) failures: Option<At<i64>>,
    /// Period in which the failures are counted.
    #[schemars(extend("default" = defaults::BREAKER_WITHIN))]
    pub(crate) within: Option<At<Duration>>,
}

/// Defaults for every credential.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// Workspace; optional if there is only one.
    pub(crate) workspace: Option<At<Reference>>,
    /// Whether credentials are rotated, or only observed.
    #[schemars(extend("default" = defaults::MODE))]
    pub(crate) mode: Option<At<RotationMode>>,
    /// Interval from when a key becomes current to its replacement. This or `cron`.
    pub(crate) every: Option<At<Duration>>,
    /// Times of replacement. This or `every`.
    pub(crate) cron: Option<At<Either<Cron, Calendar>>>,
    /// Default IANA time zone of `cron`, `window` and `freeze`.
    pub(crate) time_zone: Option<At<Zone>>,
    /// Maximum delay that spreads the load; the credential's name determines the actual delay.
    #[schemars(extend("default" = defaults::JITTER))]
    pub(crate) jitter: Option<At<Duration>>,
    /// When rotations may start; `"always"` removes an inherited window.
    #[schemars(extend("default" = defaults::WINDOW))]
    pub(crate) window: Option<Either<Always, Window>>,
    /// How long the old and the new key both work.
    pub(crate) overlap: Overlap,
    /// How long the old key stays disabled before it is deleted.
    #[schemars(extend("default" = defaults::QUARANTINE))]
    pub(crate) quarantine: Option<At<Duration>>,
    /// Gates: conditions, beside the time, that must be satisfied before the old key is revoked.
    pub(crate) wait_for: WaitFor,
    /// Lifetime of new keys: 20 minutes to 89 days; unlimited by default.
    pub(crate) key_lifetime: Option<At<Duration>>,
    /// Expiry of the old key at the provider, this long after its planned deletion: at least 1 hour. By default its expiry is
    /// not changed.
    pub(crate) expire_old_key: Option<At<Duration>>,
    /// How long a rotation must be done before credentials that come `after` it start.
    #[schemars(extend("default" = defaults::BAKE))]
    pub(crate) bake: Option<At<Duration>>,
    /// What happens if the key is deleted out of band: an alert, or a replacement at once.
    #[schemars(extend("default" = defaults::IF_KEY_VANISHES))]
    pub(crate) if_key_vanishes: Option<At<IfVanished>>,
    /// Allow unrestricted keys, which are replaced by unrestricted keys.
    #[schemars(extend("default" = false))]
    pub(crate) allow_unrestricted: Option<At<bool>>,
}

/// A credential: the secret of consumers, whose key is replaced by each rotation.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["service_account", "publish_to"]))]
pub(crate) struct Credential {
    /// Workspace; optional if there is only one.
    pub(crate) workspace: Option<At<Reference>>,
    /// Whether it is rotated, or only observed. Overrides the workspace, which overrides the defaults.
    pub(crate) mode: Option<At<RotationMode>>,
    /// Service account that owns the key: exact name or user ID.
    pub(crate) service_account: Option<At<Text>>,
    /// Create the service account if it does not exist. It is created once, before the first key.
    pub(crate) create_account: Option<CreateAccount>,
    /// ID of the key to adopt, if the service account has several.
    pub(crate) adopt: Option<At<Text>>,
    /// The name that the credential had before: it keeps its key and its rotation under way.
    pub(crate) renamed_from: Option<At<Reference>>,
    /// Permissions of a first key, and the maximum permissions of later keys.
    pub(crate) permissions: Option<At<Permissions>>,
    /// Credit limit of a first key per billing period.
    #[schemars(range(min = 0))]
    pub(crate) character_limit: Option<At<i64>>,
    /// Addresses and networks that may use a first key.
    pub(crate) allowed_ips: Option<Vec<At<AddressRange>>>,
    /// Destinations of the key.
    pub(crate) publish_to: Option<Vec<Destination>>,
    /// Interval from when a key becomes current to its replacement. This or `cron`.
    pub(crate) every: Option<At<Duration>>,
    /// Times of replacement. This or `every`.
    pub(crate) cron: Option<At<Either<Cron, Calendar>>>,
    /// Default IANA time zone of `cron`, `window` and `freeze`.
    pub(crate) time_zone: Option<At<Zone>>,
    /// Maximum delay that spreads the load; the credential's name determines the actual delay.
    pub(crate) jitter: Option<At<Duration>>,
    /// When rotations may start; `"always"` removes an inherited window.
    pub(crate) window: Option<Either<Always, Window>>,
    /// Additional periods in which no rotation of this credential starts and its key is not revoked.
    pub(crate) freeze: Vec<Freeze>,
    /// How long the old and the new key both work.
    pub(crate) overlap: Overlap,
    /// How long the old key stays disabled before it is deleted.
    pub(crate) quarantine: Option<At<Duration>>,
    /// Gates: conditions, beside the time, that must be satisfied before the old key is revoked.
    pub(crate) wait_for: WaitFor,
    /// Lifetime of new keys: 20 minutes to 89 days; unlimited by default.
    pub(crate) key_lifetime: Option<At<Duration>>,
    /// Expiry of the old key at the provider, this long after its planned deletion: at least 1 hour.
    pub(crate) expire_old_key: Option<At<Duration>>,
    /// Credentials that must be rotated first.
    pub(crate) after: Option<Vec<At<Reference>>>,
    /// How long the rotations of those must be done before this one starts.
    pub(crate) bake: Option<At<Duration>>,
    /// What happens if the key is deleted out of band: an alert, or a replacement at once.
    pub(crate) if_key_vanishes: Option<At<IfVanished>>,
    /// Allow an unrestricted key, which is replaced by an unrestricted key.
    pub(crate) allow_unrestricted: Option<At<bool>>,
}

/// Create the service account if it does not exist. It is created once, before the first key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["groups"], "examples" = [{ "groups": ["GROUP_ID:editor"] }]))]
pub(crate) struct CreateAccount {
    /// Default sharing groups: the resources that are shared with these groups are what its keys reach. The ID of a group, or
    /// `ID:ROLE` with the role `viewer` (default), `editor` or `admin`.
    pub(crate) groups: Option<Vec<At<Group>>>,
}

/// `observe` or `rotate`. Observed credentials are listed, inspected and reported; nothing is created, published or revoked.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RotationMode {
    Observe,
    Rotate,
}

/// What happens if the key is deleted out of band: an alert, or a replacement at once.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IfVanished {
    Alert,
    Replace,
}

/// A destination: a secret in a store.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["store", "secret"], "examples" = [{ "store": "aws", "secret": "prod/tts/elevenlabs" }]))]
pub(crate) struct Destination {
    /// Name of the store.
    #[schemars(extend("examples" = ["aws"]))]
    pub(crate) store: Option<At<Reference>>,
    /// Name of the secret in the store.
    #[schemars(extend("examples" = ["prod/tts/elevenlabs"]))]
    pub(crate) secret: Option<At<Text>>,
    /// JSON field that holds the key; other fields are preserved. By default the secret is the key alone.
    pub(crate) json_field: Option<At<Text>>,
    /// Whether the secret may be created; the default is true for directories only.
    pub(crate) create: Option<At<bool>>,
    /// Whether `json_field` may be added to an object that has other fields.
    #[schemars(extend("default" = false))]
    pub(crate) create_field: Option<At<bool>>,
}
