//! Where a secret is: from its name or ARN without a call, and by AWS's own word.

use crate::adapters::aws_secrets_manager::kind::KIND;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Settings, examine};
use crate::domain::failure::Failure;
use crate::domain::place::Place;
use crate::domain::plan::Destination;

/// What AWS appends to a secret's name in its ARN, after a `-`.
const SUFFIX_CHARACTERS: usize = 6;

/// The parts of a secret's ARN.
struct Arn<'t> {
    region: &'t str,
    account: &'t str,
    resource: &'t str,
}

fn arn(text: &str) -> Option<Arn<'_>> {
    let mut parts = text.splitn(7, ':');
    let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let resource = parts.next()?;
    ((arn, service, kind) == ("arn", "secretsmanager", "secret")).then_some(Arn { region, account, resource })
}

/// The name without the characters that AWS appends to it in an ARN.
fn without_suffix(resource: &str) -> Option<&str> {
    let (name, suffix) = resource.rsplit_once('-')?;
    let is_suffix = suffix.len() == SUFFIX_CHARACTERS && suffix.bytes().all(|it| it.is_ascii_alphanumeric());
    is_suffix.then_some(name)
}

pub(super) fn of(settings: &Settings, secret: &str) -> Place {
    let Settings { region, profile, endpoint_url, patience: _ } = settings;
    let through = format!("{region:?} {profile:?} {endpoint_url:?}");
    match arn(secret) {
        Some(Arn { region, account, resource }) => Place {
            kind: KIND.key,
            name: without_suffix(resource).unwrap_or(resource).to_owned(),
            or_name: Some(resource.to_owned()),
            region: Some(region.to_owned()),
            account: Some(account.to_owned()),
            through,
        },
        None => Place {
            kind: KIND.key,
            name: secret.to_owned(),
            or_name: None,
            region: region.clone(),
            account: None,
            through,
        },
    }
}

impl AwsSecretsManager {
    /// Where a secret that does not exist would be created.
    pub(super) async fn would_be(&self, to: &Destination) -> Result<String, Failure> {
        if let Some(Arn { region, account, resource }) = arn(&to.secret) {
            return Ok(format!("{region}:{account}:{resource}"));
        }
        let unknown = |failure: Failure| {
            let message = format!(
                "cannot tell in which account {to} would be created: {failure}; create the secret, or write its ARN"
            );
            Failure::rejected(failure.kind, message)
        };
        let caller = examine::caller(&self.config, self.patience).await.map_err(unknown)?;
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        Ok(format!("{region}:{}:{}", caller.account, to.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::place::SamePlace;

    #[test]
    fn a_name_and_its_arn_are_one_place_and_other_arns_are_not() {
        let settings = Settings { region: Some("eu-west-1".to_owned()), ..Settings::default() };
        let named = of(&settings, "prod/tts");
        let by_arn = |text: &str| of(&settings, &format!("arn:aws:secretsmanager:{text}")).compare(&named);
        assert_eq!(by_arn("eu-west-1:123456789012:secret:prod/tts-Ab12Cd"), SamePlace::Yes);
        assert_eq!(by_arn("eu-west-1:123456789012:secret:prod/tts"), SamePlace::Yes);
        assert_eq!(by_arn("us-east-1:123456789012:secret:prod/tts-Ab12Cd"), SamePlace::No);
        assert_eq!(by_arn("eu-west-1:123456789012:secret:prod/stt-Ab12Cd"), SamePlace::No);
        let elsewhere = Settings { profile: Some("dev".to_owned()), ..settings.clone() };
        assert_eq!(of(&elsewhere, "prod/tts").compare(&named), SamePlace::Perhaps);
    }
}
