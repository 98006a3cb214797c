//! The store's table in the policy, and the source's table in the agent's configuration: as written, and checked.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapters::aws_secrets_manager::Settings;
use crate::adapters::aws_secrets_manager::follow::SecretSettings;
use crate::config_file::findings::Findings;
use crate::config_file::kinds::{At, Text, Url};
use crate::config_file::values;

const REGION_CHARACTERS_MAX: usize = 64;

/// AWS Secrets Manager, with credentials from the default AWS chain.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AwsSecretsManager")]
pub(crate) struct StoreTable {
    /// AWS region; defaults to that of the environment or profile.
    region: Option<At<Text>>,
    /// Profile of the shared AWS configuration.
    profile: Option<At<Text>>,
    /// Custom endpoint; `https` unless on loopback.
    endpoint_url: Option<At<Url>>,
}

/// `None` only where a problem was reported.
pub(crate) fn check_store(written: &StoreTable, findings: &mut Findings) -> Option<Settings> {
    let StoreTable { region, profile, endpoint_url } = written;
    Some(settings(region.as_ref(), profile.as_ref(), endpoint_url.as_ref(), findings))
}

/// A secret in AWS Secrets Manager.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    rename = "AwsSecret",
    extend("required" = ["secret"], "examples" = [{ "secret": "prod/tts/elevenlabs" }])
)]
pub(crate) struct SourceTable {
    /// Name or ARN.
    #[schemars(extend("examples" = ["prod/tts/elevenlabs"]))]
    secret: Option<At<Text>>,
    /// AWS region; defaults to that of the environment or profile.
    region: Option<At<Text>>,
    /// Profile of the shared AWS configuration.
    profile: Option<At<Text>>,
    /// Custom endpoint; `https` unless on loopback.
    endpoint_url: Option<At<Url>>,
}

/// `None` only where a problem was reported.
pub(crate) fn check_source(written: &SourceTable, findings: &mut Findings) -> Option<SecretSettings> {
    let SourceTable { secret, region, profile, endpoint_url } = written;
    let store = settings(region.as_ref(), profile.as_ref(), endpoint_url.as_ref(), findings);
    let secret = values::text(secret.as_ref(), findings)?;
    Some(SecretSettings { secret, store })
}

fn settings(
    written: Option<&At<Text>>,
    profile: Option<&At<Text>>,
    endpoint_url: Option<&At<Url>>,
    findings: &mut Findings,
) -> Settings {
    let region = written.map(|region| region.value().as_str().to_owned());
    if let Some(written) = written.filter(|region| !is_region(region.value().as_str())) {
        findings.error(&written.span(), "not an AWS region name", "use a name such as \"eu-west-1\"");
    }
    Settings {
        region,
        profile: values::text(profile, findings),
        endpoint_url: values::url(endpoint_url, findings).map(Into::into),
        ..Settings::default()
    }
}

/// Whether a text can be the name of a region. Whether such a region exists only AWS knows.
pub(super) fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= REGION_CHARACTERS_MAX && text.bytes().all(plain)
}
