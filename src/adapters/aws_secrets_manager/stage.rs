//! Staging: a new version over the current one, safe to repeat by the same or another process.
//!
//! A secret that is absent is created *with* its first version, by one call that is idempotent by the token: no crash can
//! leave a secret without a value. A replay that merges into what is still current writes the same bytes, which
//! AWS takes as the same call. If somebody changed another field in between, the bytes differ and AWS refuses: then
//! what the version was made over is proven by making it again, over what is current and what was before. If
//! neither gives its bytes it is a conflict, and the rotation takes another token.

use zeroize::Zeroizing;

use crate::adapters::aws_secrets_manager::AwsSecretsManager;
use crate::adapters::aws_secrets_manager::bases::Base;
use crate::adapters::aws_secrets_manager::calls::{CURRENT, Content, PREVIOUS, Wanted};
use crate::adapters::aws_secrets_manager::failure::Refusal;
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::ports::secret_store::Staged;

/// AWS's own limit.
const TEXT_BYTES_MAX: usize = 65_536;

impl AwsSecretsManager {
    pub(super) async fn stage_over(
        &self,
        to: &Destination,
        version: &VersionId,
        value: &SecretValue,
        base: Base,
    ) -> Result<Staged, Failure> {
        let base = match base {
            Base::Absent => self.create_with(to, version, value).await?,
            Base::Empty | Base::Version(_) => Some(base),
        };
        let current = match base {
            None => return Ok(Staged { over: None }),
            Some(Base::Version(current)) => Some(current),
            Some(Base::Absent | Base::Empty) => None,
        };
        if let Some(current) = current.as_ref().filter(|current| &current.version == version) {
            return self.staged_and_current(to, current, value).await;
        }
        let text = merge(to, current.as_ref(), value.expose())?;
        match self.calls.put(to, version, &text).await {
            Ok(()) => Ok(Staged { over: current.map(|current| current.version) }),
            Err(refused) if refused.refusal == Refusal::Exists => {
                self.staged_before(to, version, value).await
            }
            Err(refused) => Err(self.explained(to, refused).await),
        }
    }

    /// Creates the secret with its first version. If somebody else made it since we looked (or we did, and did not
    /// hear of it), that is what the version is to be made over.
    async fn create_with(
        &self,
        to: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Option<Base>, Failure> {
        may_create(to)?;
        let text = merge(to, None, value.expose())?;
        let refused = match self.calls.create(to, version, &text).await {
            Ok(()) => return Ok(None),
            Err(refused) if refused.refusal == Refusal::Exists => refused,
            Err(refused) => return Err(self.explained(to, refused).await),
        };
        match self.base(to).await? {
            Base::Absent => Err(refused.failure),
            base @ (Base::Empty | Base::Version(_)) => Ok(Some(base)),
        }
    }

    /// What a new version would be made over, now.
    pub(super) async fn base(&self, to: &Destination) -> Result<Base, Failure> {
        match self.calls.get(to, Wanted::Label(CURRENT)).await {
            Ok(Some(content)) => Ok(Base::Version(content)),
            Ok(None) => match self.calls.describe(to).await? {
                Some(secret) if secret.is_deleted => Err(deleted(to)),
                Some(_) => Ok(Base::Empty),
                None => Ok(Base::Absent),
            },
            Err(refused) => Err(self.explained(to, refused).await),
        }
    }

    /// The version is there with other bytes than ours would be.
    async fn staged_before(
        &self,
        to: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let there = self.calls.get(to, Wanted::Version(version)).await?;
        let there = there.and_then(|there| there.text).ok_or_else(|| taken(to, version))?;
        let ours = secret_text::extract(to, &there).is_some_and(|there| there.matches(value));
        for label in [CURRENT, PREVIOUS].into_iter().filter(|_| ours) {
            let Some(base) = self.calls.get(to, Wanted::Label(label)).await? else { continue };
            if &base.version == version {
                return self.staged_and_current(to, &base, value).await;
            }
            if merge(to, Some(&base), value.expose()).is_ok_and(|text| text == there) {
                return Ok(Staged { over: Some(base.version) });
            }
        }
        Err(taken(to, version))
    }

    /// The first version of an empty secret is current at once; one that was promoted displaced the previous one.
    async fn staged_and_current(
        &self,
        to: &Destination,
        current: &Content,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let held = current.text.as_ref().and_then(|text| secret_text::extract(to, text));
        if !held.is_some_and(|held| held.matches(value)) {
            return Err(taken(to, &current.version));
        }
        let secret = self.calls.describe(to).await?;
        Ok(Staged { over: secret.and_then(|secret| secret.holder(PREVIOUS)) })
    }
}

/// # Errors
/// `NotFound`: it must not be created, or cannot be because an ARN is no name.
pub(super) fn may_create(to: &Destination) -> Result<(), Failure> {
    let why = match (to.create, to.secret.starts_with("arn:")) {
        (true, false) => return Ok(()),
        (true, true) => "an ARN cannot be created; give its name in the policy",
        (false, _) => {
            "it may not be created; create it, set `create` in the policy, or check name and region"
        }
    };
    Err(Failure::rejected(Kind::NotFound, format!("there is no secret {to}, and {why}")))
}

/// # Errors
/// `Invalid`: it cannot be merged, or the result is larger than AWS takes.
pub(super) fn merge(
    to: &Destination,
    base: Option<&Content>,
    value: &str,
) -> Result<Zeroizing<String>, Failure> {
    // Binary content is no JSON, and is replaced where the value is the whole secret.
    let base = base.map(|base| base.text.as_deref().map_or("", String::as_str));
    let text = secret_text::compose(to, base, value)?;
    if text.len() > TEXT_BYTES_MAX {
        let message = format!(
            "cannot merge a key into {to}: the secret would have {} bytes, and AWS takes {TEXT_BYTES_MAX}",
            text.len()
        );
        return Err(Failure::rejected(Kind::Invalid, message));
    }
    Ok(text)
}

pub(super) fn deleted(to: &Destination) -> Failure {
    let message = format!(
        "cannot use {to}: the secret is marked for deletion; restore it with `aws secretsmanager restore-secret \
         --secret-id {}`, or name another one in the policy",
        to.secret
    );
    Failure::rejected(Kind::Invalid, message)
}

fn taken(to: &Destination, version: &VersionId) -> Failure {
    let message = format!("cannot stage {version} in {to}: the version exists with another content");
    Failure::rejected(Kind::Conflict, message)
}
