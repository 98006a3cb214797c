//! Staging: a new version over the current one, safe to repeat by the same or another process.
//!
//! An absent secret is created *with* its first version, by one call that is idempotent by its token, so no crash leaves a
//! secret without a value. A retry that merges into the same current version writes the same bytes, which AWS treats as the
//! same call. If another program changed a field in between, the bytes differ and AWS refuses. Then the staged bytes are
//! compared with merges over the current and the previous version. If neither matches it is a conflict, perhaps only with an
//! old answer: the rotation looks again, and takes another token if that does not change.

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

    /// Creates the secret with its first version. If the secret exists by now, returns it as the base for the version.
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

    /// What a new version would replace now.
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

    /// The version exists, with other bytes than this call would write.
    async fn staged_before(
        &self,
        to: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let there = self.version(to, version).await?;
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

    /// The version exists and is current: as the first of an empty secret, or because it was promoted.
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
/// `NotFound`: the policy does not allow to create the secret, or names it by an ARN.
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
/// `Invalid`: the value cannot be merged, or the result is larger than AWS accepts.
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
