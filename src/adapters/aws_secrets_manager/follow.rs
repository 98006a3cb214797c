//! A secret as a consumer follows it: DescribeSecret says which version is current, and GetSecretValue is called only
//! when that is another one than before.

use async_trait::async_trait;

use crate::adapters::aws_secrets_manager::AwsSecretsManager;
use crate::adapters::aws_secrets_manager::calls::{CURRENT, Wanted};
use crate::adapters::aws_secrets_manager::stage::deleted;
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::ports::followed::{ContentMark, Followed, FollowedState};

/// One secret of a store.
pub struct FollowedSecret {
    store: AwsSecretsManager,
    secret: Destination,
}

impl FollowedSecret {
    #[must_use]
    pub fn new(store: AwsSecretsManager, secret: Destination) -> Self {
        Self { store, secret }
    }

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
        // Moved on in between, or not everywhere yet.
        let Some(content) = got else { return Ok(FollowedState::Unsettled) };
        let value = content.text.as_ref().and_then(|text| secret_text::extract(&self.secret, text));
        let value = value.ok_or_else(|| {
            let why = "its current version holds nothing that could be a key";
            Failure::rejected(Kind::Invalid, format!("cannot use {}: {why}", self.secret))
        })?;
        Ok(FollowedState::New { mark: ContentMark(current.as_str().to_owned()), value })
    }
}
