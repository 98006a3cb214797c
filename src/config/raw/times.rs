//! When things happen and when they do not, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::raw::{At, Cron, Duration, Moment, Text, Zone};

/// Times at which something happens, again and again.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["at"]))]
pub(crate) struct Calendar {
    /// The times.
    pub(crate) at: Option<At<Cron>>,
    /// Their time zone.
    pub(crate) time_zone: Option<At<Zone>>,
}

/// No window at all.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Always {
    Always,
}

/// A stretch of time, again and again, in which rotations may start.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["opens", "lasts"], "examples" = [{ "opens": "0 9 * * Mon-Thu", "lasts": "6h", "time_zone": "Europe/London" }]))]
pub(crate) struct Window {
    /// When it opens.
    pub(crate) opens: Option<At<Cron>>,
    /// How long it stays open.
    pub(crate) lasts: Option<At<Duration>>,
    /// The time zone of `opens`.
    pub(crate) time_zone: Option<At<Zone>>,
}

/// A stretch of time in which nothing starts and nothing is revoked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["from", "until"]))]
pub(crate) struct Freeze {
    /// Its beginning; of a date, midnight.
    pub(crate) from: Option<At<Moment>>,
    /// Its end; a date is frozen to its last second.
    pub(crate) until: Option<At<Moment>>,
    /// What people call it.
    pub(crate) name: Option<At<Text>>,
    /// The time zone of `from` and `until`, where they do not say.
    pub(crate) time_zone: Option<At<Zone>>,
}
