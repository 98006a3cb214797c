//! The calls of AWS's API that rekeyd makes. Each method makes one call, which the SDK may retry: every call is idempotent
//! by its token or its parameters.

use aws_sdk_secretsmanager::Client;
use zeroize::Zeroizing;

use crate::adapters::aws_secrets_manager::failure::{Call, Refusal, Refused, accepted, refused};
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;

pub(super) const CURRENT: &str = "AWSCURRENT";
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
/// rekeyd's own label. AWS's own rotation uses AWSPENDING, and the two must not disturb each other.
pub(super) const PENDING: &str = "REKEYD_PENDING";

/// A version's content.
pub(super) struct Content {
    pub(super) version: VersionId,
    /// `None` if it is binary.
    pub(super) text: Option<Zeroizing<String>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Label(&'static str),
    Version(&'a VersionId),
}

/// The metadata of a secret.
pub(super) struct Description {
    /// Its name in AWS as a whole, the same by whatever name it is asked for.
    pub(super) arn: Option<String>,
    pub(super) is_deleted: bool,
    /// Each version that has labels, with its labels.
    labels: Vec<(String, Vec<String>)>,
}

impl Description {
    pub(super) fn holder(&self, label: &str) -> Option<VersionId> {
        let held = self.labels.iter().find(|(_, labels)| labels.iter().any(|held| held == label));
        held.and_then(|(version, _)| VersionId::new(version.clone()).ok())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) client: Client,
}

impl Calls {
    pub(super) async fn get(&self, to: &Destination, wanted: Wanted<'_>) -> Result<Option<Content>, Refused> {
        let call = self.client.get_secret_value().secret_id(&to.secret);
        let call = match wanted {
            Wanted::Label(label) => call.version_stage(label),
            Wanted::Version(version) => call.version_id(version.as_str()),
        };
        match call.send().await.map_err(|error| refused(Call::Get, to, &error)) {
            Ok(got) => {
                accepted(&got);
                let version = named(to, got.version_id)?;
                Ok(Some(Content { version, text: got.secret_string.map(Zeroizing::new) }))
            }
            Err(refused) if refused.refusal == Refusal::NotFound => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    pub(super) async fn describe(&self, to: &Destination) -> Result<Option<Description>, Failure> {
        let sent = self.client.describe_secret().secret_id(&to.secret).send().await.inspect(accepted);
        match sent.map_err(|error| refused(Call::Describe, to, &error)) {
            Ok(described) => Ok(Some(Description {
                arn: described.arn,
                is_deleted: described.deleted_date.is_some(),
                labels: described.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
            })),
            Err(refused) if refused.refusal == Refusal::NotFound => Ok(None),
            Err(refused) => Err(refused.failure),
        }
    }

    pub(super) async fn create(
        &self,
        to: &Destination,
        version: &VersionId,
        text: &Zeroizing<String>,
    ) -> Result<(), Refused> {
        let call = self
            .client
            .create_secret()
            .name(&to.secret)
            .description("ElevenLabs API key, kept fresh by rekeyd")
            .client_request_token(version.as_str())
            .secret_string(text.as_str());
        call.send().await.inspect(accepted).map(drop).map_err(|error| refused(Call::Create, to, &error))
    }

    pub(super) async fn put(
        &self,
        to: &Destination,
        version: &VersionId,
        text: &Zeroizing<String>,
    ) -> Result<(), Refused> {
        let call = self
            .client
            .put_secret_value()
            .secret_id(&to.secret)
            .client_request_token(version.as_str())
            .secret_string(text.as_str())
            .version_stages(PENDING);
        call.send().await.inspect(accepted).map(drop).map_err(|error| refused(Call::Put, to, &error))
    }

    /// Moves a label atomically if `from` has it; `None` means that no version has it. `onto` `None` removes the label.
    pub(super) async fn relabel(
        &self,
        to: &Destination,
        label: &str,
        from: Option<&VersionId>,
        onto: Option<&VersionId>,
    ) -> Result<(), Refused> {
        let call = self
            .client
            .update_secret_version_stage()
            .secret_id(&to.secret)
            .version_stage(label)
            .set_remove_from_version_id(from.map(ToString::to_string))
            .set_move_to_version_id(onto.map(ToString::to_string));
        call.send().await.inspect(accepted).map(drop).map_err(|error| refused(Call::Move, to, &error))
    }
}

fn named(to: &Destination, version: Option<String>) -> Result<VersionId, Refused> {
    VersionId::new(version.unwrap_or_default()).map_err(|bad| Refused {
        refusal: Refusal::Other,
        failure: Failure::rejected(Kind::Garbled, format!("cannot read {to}: AWS named no version: {bad}")),
    })
}
