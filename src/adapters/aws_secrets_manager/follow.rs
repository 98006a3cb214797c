//! Follows a secret for the agent: DescribeSecret returns the current version, and GetSecretValue is called only when that
//! version changed.

use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::aws_secrets_manager::calls::{CURRENT, Wanted};
use crate::adapters::aws_secrets_manager::stage::deleted;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Settings};
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::StoreName;
use crate::domain::plan::Destination;
use crate::ports::followed::{ContentMark, Followed, FollowedSource, FollowedState};

pub(super) const EVERY: &str = "30s";
/// While AWS cannot be read, the agent retries at least this often.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A secret as the agent's configuration names it.
#[derive(Debug)]
pub(crate) struct SecretSettings {
    pub(super) secret: String,
    pub(super) store: Settings,
}

#[async_trait]
impl FollowedSource for SecretSettings {
    fn default_interval(&self) -> &'static str {
        EVERY
    }

    fn longest_pause(&self, interval: Duration) -> Duration {
        interval.max(PAUSE_MAX)
    }

    async fn follow(&self, json_field: Option<String>) -> Result<Box<dyn Followed>, Failure> {
        let store = AwsSecretsManager::connect(&self.store).await?;
        let name = StoreName::new("aws_secrets_manager")
            .map_err(|bad| Failure::rejected(Kind::Invalid, bad.to_string()))?;
        let secret = Destination {
            store: name,
            secret: self.secret.clone(),
            json_field,
            create: false,
            create_field: false,
        };
        Ok(Box::new(FollowedSecret { store, secret }))
    }
}

struct FollowedSecret {
    store: AwsSecretsManager,
    secret: Destination,
}

impl FollowedSecret {
    fn missing(&self, what: &str) -> Failure {
        Failure::rejected(Kind::NotFound, format!("cannot read {}: {what}", self.secret))
    }
}

#[async_trait]
impl Followed for FollowedSecret {
    async fn look(&self, since: Option<&ContentMark>) -> Result<FollowedState, Failure> {
        let described = self.store.calls.describe(&self.secret).await?;
        let described = described.ok_or_else(|| self.missing("there is no such secret"))?;
        if described.is_deleted {
            return Err(deleted(&self.secret));
        }
        let current = described.holder(CURRENT).ok_or_else(|| self.missing("no version of it is current"))?;
        if since.is_some_and(|since| since.0 == current.as_str()) {
            return Ok(FollowedState::Same);
        }
        let got = self.store.calls.get(&self.secret, Wanted::Version(&current)).await?;
        // Another version became current in between, or this one is not visible everywhere yet.
        let Some(content) = got else { return Ok(FollowedState::Unsettled) };
        let value = content.text.as_ref().and_then(|text| secret_text::extract(&self.secret, text));
        let value = value.ok_or_else(|| {
            let why = "its current version holds nothing that could be a key";
            Failure::rejected(Kind::Invalid, format!("cannot use {}: {why}", self.secret))
        })?;
        Ok(FollowedState::New { mark: ContentMark(current.as_str().to_owned()), value })
    }
}
