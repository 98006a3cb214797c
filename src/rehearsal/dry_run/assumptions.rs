//! What a prediction takes for granted.

use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::policy::{Credential, Mode};
use crate::ports::journal::CredentialState;
use crate::rehearsal::dry_run::Past;

pub(super) fn assumed(credential: &Credential, past: &Past) -> Vec<String> {
    let mut assumes = Vec::new();
    let mut say = |text: &str| assumes.push(text.to_owned());
    let known = past.known.as_ref();
    if known.is_none_or(|known| known.record.current.is_none() && known.rotation.is_none()) {
        let creates =
            credential.create_account.is_some() && known.is_none_or(|it| it.record.account.is_none());
        say(if creates {
            "the service account is not there yet; if it is, it is used as it is"
        } else if credential.adopt.is_some() {
            "the key to adopt is there and enabled"
        } else if credential.first.is_some() {
            "the service account has no key yet; if it has one, that one is taken over"
        } else {
            "the service account has exactly one enabled key"
        });
    }
    let unseen = |known: &CredentialState| known.record.published.is_empty() && known.rotation.is_none();
    if credential.destinations.iter().any(|it| it.create) && known.is_none_or(unseen) {
        say("secrets that may be created are not there yet");
    }
    if credential.mode == Mode::Observe {
        say("the policy says `mode = \"rotate\"`; as it is now, the credential is only observed");
    }
    if known.is_none_or(unseen) {
        let places: Vec<String> = credential.destinations.iter().map(|place| format!("`{place}`")).collect();
        say(&format!(
            "consumers read their key from {}: rekeyd has never published it there",
            places.join(", ")
        ));
    }
    let confirm = credential.terms.confirm;
    if confirm == ConfirmWhen::Always || (credential.is_confirmed_first() && known.is_none_or(unseen)) {
        say(&format!(
            "an operator runs `rekeyd confirm {}` at once when consumers have switched",
            credential.name
        ));
    }
    for gate in &credential.terms.gates {
        if !assumes.iter().any(|said| said == gate.assumption()) {
            assumes.push(gate.assumption().to_owned());
        }
    }
    assumes.push("every call succeeds, and nobody interferes".to_owned());
    assumes
}
