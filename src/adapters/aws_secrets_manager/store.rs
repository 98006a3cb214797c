//! The port's methods. A rotation takes four calls: preflight, stage, promote and read back.

use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::aws_secrets_manager::AwsSecretsManager;
use crate::adapters::aws_secrets_manager::bases::Base;
use crate::adapters::aws_secrets_manager::calls::{CURRENT, Content, Description, PENDING, Wanted};
use crate::adapters::aws_secrets_manager::failure::{Refusal, Refused};
use crate::adapters::aws_secrets_manager::stage::{deleted, may_create, merge};
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};

/// What was just written may not be read at once: Secrets Manager is eventually consistent.
const REREADS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1400)];
/// As long as a key of ElevenLabs, to check whether a key would fit.
const PLACEHOLDER: &str = "sk_000000000000000000000000000000000000000000000000";

impl AwsSecretsManager {
    /// AWS refuses calls because of a secret's state mostly when the secret is marked for deletion.
    pub(super) async fn explained(&self, to: &Destination, refused: Refused) -> Failure {
        if refused.refusal == Refusal::BadState
            && let Ok(Some(secret)) = self.calls.describe(to).await
            && secret.is_deleted
        {
            return deleted(to);
        }
        refused.failure
    }

    /// A version's content: looked for again before it counts as missing.
    pub(super) async fn version(
        &self,
        to: &Destination,
        version: &VersionId,
    ) -> Result<Option<Content>, Refused> {
        let mut pauses = REREADS.into_iter();
        loop {
            if let Some(content) = self.calls.get(to, Wanted::Version(version)).await? {
                return Ok(Some(content));
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(None),
            }
        }
    }

    /// The outcome of a refused promotion: made before, displaced by another version, or failed.
    async fn outcome_of_refused(
        &self,
        to: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
        refused: Refused,
    ) -> Result<(), Failure> {
        let missing = || {
            let message = format!("cannot promote {version} in {to}: there is no such version");
            Failure::rejected(Kind::NotFound, message)
        };
        let mut pauses = REREADS.into_iter();
        let current = loop {
            let secret = self.calls.describe(to).await?.ok_or_else(missing)?;
            if secret.is_deleted {
                return Err(deleted(to));
            }
            let current = secret.holder(CURRENT);
            // That what was to be displaced is current contradicts the refusal, unless the description is an old one.
            let contradicts = refused.refusal == Refusal::BadParameter && current.as_ref() == displacing;
            match pauses.next().filter(|_| contradicts) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break current,
            }
        };
        if current.as_ref() == Some(version) {
            return Ok(());
        }
        if self.version(to, version).await?.is_none() {
            return Err(missing());
        }
        if current.as_ref() != displacing {
            let message = format!("cannot promote {version} in {to}: something else is current");
            return Err(Failure::rejected(Kind::Conflict, message));
        }
        Err(refused.failure)
    }
}

fn held(to: &Destination, content: &Content) -> StoredVersion {
    let value = content.text.as_ref().and_then(|text| secret_text::extract(to, text));
    StoredVersion { version: content.version.clone(), value }
}

#[async_trait]
impl SecretStore for AwsSecretsManager {
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        match self.calls.describe(destination).await? {
            Some(Description { arn: Some(arn), .. }) => Ok(arn),
            Some(Description { arn: None, .. }) | None => self.would_be(destination).await,
        }
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        let base = self.base(destination).await?;
        let standing = match &base {
            Base::Absent => {
                may_create(destination)?;
                Served::default()
            }
            Base::Empty => Served::default(),
            Base::Version(content) => {
                merge(destination, Some(content), PLACEHOLDER)?;
                StoredVersion::served(Some(&held(destination, content)))
            }
        };
        self.bases.keep(destination, base);
        Ok(standing)
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let base = match self.bases.take(destination) {
            Some(base) => base,
            None => self.base(destination).await?,
        };
        self.stage_over(destination, version, value, base).await
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        let content = match which {
            VersionRef::Current => self.calls.get(destination, Wanted::Label(CURRENT)).await,
            VersionRef::Version(version) => self.version(destination, version).await,
        };
        match content {
            Ok(content) => Ok(content.map(|content| held(destination, &content))),
            Err(refused) => Err(self.explained(destination, refused).await),
        }
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        self.bases.forget(&destination.secret);
        match self.calls.relabel(destination, CURRENT, displacing, Some(version)).await {
            Ok(()) => Ok(()),
            Err(refused) => match refused.refusal {
                Refusal::BadParameter | Refusal::BadState | Refusal::NotFound => {
                    self.outcome_of_refused(destination, version, displacing, refused).await
                }
                Refusal::Exists | Refusal::Other => Err(refused.failure),
            },
        }
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        let Err(refused) = self.calls.relabel(destination, PENDING, Some(version), None).await else {
            return Ok(());
        };
        match refused.refusal {
            Refusal::NotFound => Ok(()),
            Refusal::BadParameter | Refusal::BadState => match self.calls.describe(destination).await? {
                Some(secret) if secret.holder(PENDING).as_ref() == Some(version) => {
                    Err(self.explained(destination, refused).await)
                }
                Some(_) | None => Ok(()),
            },
            Refusal::Exists | Refusal::Other => Err(refused.failure),
        }
    }
}
