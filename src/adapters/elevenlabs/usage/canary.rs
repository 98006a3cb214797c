//! One call with the new key that costs next to nothing and shows: speech from one character.

use reqwest::Method;
use serde_json::json;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::routes::is_one_segment;
use crate::adapters::elevenlabs::transport::{Call, Mutability, Reply, Shortfall};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::secret::SecretValue;

/// More than a second of sound.
const SOUND_BYTES_MAX: usize = 256 * 1024;

impl ElevenLabs {
    pub(super) async fn speak_once(&self, value: &SecretValue, voice: &str) -> Result<(), Failure> {
        let attempt = format!("a small call with the key of fingerprint {}", value.fingerprint());
        let call = Call {
            key: Some(value),
            body: Some(json!({"text": "a"})),
            ..Call::new(attempt, Mutability::Mutating, Method::POST, self.routes.speech(voice))
        };
        if !is_one_segment(voice) {
            let why = "the policy's `canary` is not the id of a voice";
            return Err(self.transport.failure(&call, Certainty::Rejected, Kind::Invalid, why));
        }
        let refusal = match self.transport.send(&call).await? {
            Reply::Refused(refusal) => refusal,
            Reply::Accepted(mut accepted) => {
                // Read, so that the call is not broken off, and thrown away; a longer one is billed all the same.
                return match accepted.read(SOUND_BYTES_MAX, &mut Vec::new()).await {
                    Ok(()) | Err(Shortfall::TooLong { .. }) => Ok(()),
                    Err(broken @ Shortfall::Broken(_)) => Err(self.transport.cut_short(&call, &broken)),
                };
            }
        };
        let certainty = if refusal.may_have_happened() { Certainty::Unknown } else { Certainty::Rejected };
        let meaning = refusal.meaning();
        let (kind, explanation) = if meaning == Meaning::MissingPermission {
            (Kind::Forbidden, "the key may not make speech: leave `canary` out for this credential")
        } else if meaning == Meaning::NoCredits {
            (Kind::Forbidden, "the plan, or the key's budget, has no credits left for it")
        } else if meaning == Meaning::NoSuchThing {
            (Kind::NotFound, "there is no such voice: correct the policy's `canary`")
        } else {
            meaning.of_a_new_key()
        };
        Err(self.transport.refused_as(&call, &refusal, certainty, kind, explanation))
    }
}
