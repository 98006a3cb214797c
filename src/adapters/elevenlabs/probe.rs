//! Whether the provider accepts a new key: one harmless call, free of charge, made with that key.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::refusal::Refusal;
use crate::adapters::elevenlabs::transport::{Accepted, Call, Mutability, Reply};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::secret::SecretValue;

impl ElevenLabs {
    /// The body of the answer is never read: older deployments put the whole key into it.
    pub(super) async fn probe_key(&self, value: &SecretValue) -> Result<(), Failure> {
        let attempt = format!("authenticating with the key of fingerprint {}", value.fingerprint());
        let call = Call {
            key: Some(value),
            fresh: true,
            ..Call::new(attempt, Mutability::ReadOnly, Method::GET, self.routes.user())
        };
        match self.transport.send(&call).await? {
            Reply::Accepted(accepted) if is_from_the_api(&accepted) => Ok(()),
            Reply::Accepted(_) => Err(self.transport.senseless(
                &call,
                "the answer is not the provider's: something between here and the provider gave it",
            )),
            Reply::Refused(refusal) => self.judged(&call, &refusal),
        }
    }

    fn judged(&self, call: &Call<'_>, refusal: &Refusal) -> Result<(), Failure> {
        let meaning = refusal.meaning();
        if matches!(meaning, Meaning::MissingPermission | Meaning::NoCredits) {
            return Ok(());
        }
        let (kind, explanation) = if meaning == Meaning::Forbidden {
            (
                Kind::Forbidden,
                "the provider knows the key and refuses it from here: check that `allowed_ips` holds this \
                 machine's address",
            )
        } else {
            meaning.of_a_new_key()
        };
        Err(self.transport.refused_as(call, refusal, Certainty::Rejected, kind, explanation))
    }
}

/// A proxy or a captive portal that answers 200 with a page must not prove a key.
fn is_from_the_api(accepted: &Accepted<'_>) -> bool {
    let stated = accepted.headers().get(CONTENT_TYPE);
    stated
        .is_none_or(|stated| stated.to_str().is_ok_and(|stated| stated.to_ascii_lowercase().contains("json")))
}
