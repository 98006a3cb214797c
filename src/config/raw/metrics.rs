//! The raw configuration of metrics.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config_file::kinds::At;

/// Metrics.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// Whether to export metrics of every credential. If false, only the worst hundred unhealthy credentials are exported,
    /// beside the counts of the fleet.
    #[schemars(extend("default" = defaults::PER_CREDENTIAL))]
    pub(crate) per_credential: Option<At<bool>>,
}
