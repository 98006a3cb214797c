//! The raw configuration of links from the status page.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config_file::kinds::{At, Template};

/// Links from the status page to other systems: URLs with the placeholders `{credential}`, `{workspace}`, `{account}` and
/// `{key}` behind the host. A link is left out where a value is unknown.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Links {
    /// The workspace, or the service account, of a credential at ElevenLabs.
    pub(crate) workspace: Option<At<Template>>,
    /// The dashboard of a credential.
    pub(crate) grafana: Option<At<Template>>,
    /// The secret of a destination, by the name of its store; with `{store}` and `{secret}` too.
    pub(crate) secrets: BTreeMap<At<String>, At<Template>>,
}
