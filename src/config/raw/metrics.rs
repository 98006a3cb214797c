//! What metrics tell, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config_file::kinds::At;

/// What metrics tell.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// Tells every credential one by one. Without, only the worst hundred of those that are not well; counts of the whole
    /// fleet are always told.
    #[schemars(extend("default" = defaults::PER_CREDENTIAL))]
    pub(crate) per_credential: Option<At<bool>>,
}
