//! The raw configuration of calendars, windows and freezes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::raw::{At, Cron, Duration, Moment, Text, Zone};

/// A recurring time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["at"]))]
pub(crate) struct Calendar {
    /// Cron expression.
    pub(crate) at: Option<At<Cron>>,
    /// IANA time zone.
    pub(crate) time_zone: Option<At<Zone>>,
}

/// No window.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Always {
    Always,
}

/// A recurring window in which rotations may start.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["opens", "lasts"], "examples" = [{ "opens": "0 9 * * Mon-Thu", "lasts": "6h", "time_zone": "Europe/London" }]))]
pub(crate) struct Window {
    /// Cron expression of its start.
    pub(crate) opens: Option<At<Cron>>,
    /// Duration.
    pub(crate) lasts: Option<At<Duration>>,
    /// IANA time zone of `opens`.
    pub(crate) time_zone: Option<At<Zone>>,
}

/// A period in which no rotation starts and no key is revoked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["from", "until"]))]
pub(crate) struct Freeze {
    /// Start; for a date, midnight.
    pub(crate) from: Option<At<Moment>>,
    /// End; for a date, the end of that day.
    pub(crate) until: Option<At<Moment>>,
    /// Display name.
    pub(crate) name: Option<At<Text>>,
    /// IANA time zone of `from` and `until` without an offset.
    pub(crate) time_zone: Option<At<Zone>>,
}
