//! Verifies that the new key has the old one's permissions and limits, and that the provider accepts it.

use jiff::Timestamp;

use crate::domain::acceptance::{AcceptanceRule, Acceptances};
use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::key::{Inventory, Key, KeyAttributes, Permissions};
use crate::domain::rotation::ParkReason;
use crate::domain::secret::SecretValue;
use crate::domain::successor::KeyFacts;
use crate::domain::time::later;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, park};

impl NewKeyEffects<'_> {
    pub(super) async fn verify(&mut self) -> EffectResult {
        let Some(value) = self.value().await? else { return self.value_lost() };
        if let Some(at) = self.accepted_again_at().filter(|at| self.context.now() < *at) {
            return Ok(EffectOutcome::Wait(at));
        }
        // Looked up before its first call, and after the last: it may have been changed while it was waited for.
        let mut looked_up = None;
        if self.seen().is_none() {
            looked_up = match self.whole().await? {
                Ok(facts) => Some(facts),
                Err(outcome) => return Ok(outcome),
            };
        }
        if let Some(outcome) = self.accepted(&value).await? {
            return Ok(outcome);
        }
        let facts = match looked_up {
            Some(facts) => facts,
            None => match self.whole().await? {
                Ok(facts) => facts,
                Err(outcome) => return Ok(outcome),
            },
        };
        if self.is_of_the_admin()? {
            match self.workspace_client()?.issuer.prove_admin(&value).await {
                Ok(()) => {}
                Err(failure) if failure.kind == Kind::NotActiveYet => return self.not_yet(failure),
                Err(failure) if failure.kind == Kind::Forbidden => {
                    return self
                        .verification_failed(format!("the new key cannot be the admin key: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        *self.acceptances = None;
        Ok(EffectOutcome::Happened(Event::Verified { facts }))
    }

    /// What the new key is listed with, if it is as it was asked for.
    async fn whole(&self) -> Result<Result<KeyFacts, EffectOutcome>, Failure> {
        let inventory = self.listed().await?;
        if !self.plan().emergency {
            self.check_clock(&inventory)?;
        }
        let id = self.successor.key.clone();
        let Some(key) = inventory.key(&id) else {
            let failure =
                Failure::rejected(Kind::NotActiveYet, format!("the new key `{id}` is not listed yet"));
            return self.not_yet(failure).map(Err);
        };
        if let Some(why) = self.unfit(key, &inventory) {
            return self.verification_failed(why).map(Err);
        }
        Ok(Ok(KeyFacts {
            created_at: key.created_at,
            expires_at: key.expires_at,
            usage_hash: key.usage_hash.clone(),
            hint: key.hint.clone(),
            attributes: Some(Box::new(key.attributes.clone())),
        }))
    }

    /// Calls with the new key until it has been accepted often enough, or for the first time after a while. A refusal
    /// starts the count anew. `None` if it is accepted.
    async fn accepted(&mut self, value: &SecretValue) -> Result<Option<EffectOutcome>, Failure> {
        let workspace_client = self.workspace_client()?;
        loop {
            match workspace_client.issuer.authenticate(value).await {
                Ok(()) => {}
                Err(failure) if failure.kind == Kind::NotActiveYet => {
                    *self.acceptances = None;
                    return self.not_yet(failure).map(Some);
                }
                Err(failure) if failure.kind == Kind::Forbidden => {
                    let why = format!("the new key is accepted, but not from here: {failure}");
                    return self.verification_failed(why).map(Some);
                }
                Err(failure) => return Err(failure),
            }
            let now = self.context.now();
            let key = &self.successor.fingerprint;
            *self.acceptances = Some(Acceptances::and_one_more(self.seen(), key, now));
            match self.accepted_again_at() {
                None => return Ok(None),
                Some(at) if now < at => return Ok(Some(EffectOutcome::Wait(at))),
                Some(_) => {}
            }
        }
    }

    /// The acceptances of this key so far.
    fn seen(&self) -> Option<&Acceptances> {
        self.acceptances.as_ref().filter(|seen| seen.key == self.successor.fingerprint)
    }

    /// When the provider has to accept the key once more, if it has accepted it already.
    fn accepted_again_at(&self) -> Option<Timestamp> {
        let emergency = self.plan().emergency;
        let rule = if emergency { AcceptanceRule::OF_AN_EMERGENCY } else { self.context.timing.acceptances };
        self.seen().and_then(|seen| rule.next(seen))
    }

    /// What makes the new key unfit to replace the old one.
    fn unfit(&self, key: &Key, inventory: &Inventory) -> Option<String> {
        let plan = self.plan();
        let request = &self.successor.request;
        if key.account != plan.account {
            return Some(format!("it belongs to the service account `{}`", key.account));
        }
        if !self.is_alive(key, inventory) {
            return Some("it is disabled or expired already".to_owned());
        }
        let requested = match plan.old {
            Some(_) => request.attributes.clone(),
            // No old key to compare representations with: a first key's `all` may be listed without permissions.
            None => as_listed(&request.attributes, &key.attributes),
        };
        let differences = requested.differences(&key.attributes);
        if !differences.is_empty() {
            return Some(format!("it differs from what was asked for in {}", differences.join(", ")));
        }
        if let Some(old) = self.old_key(inventory) {
            let differences = old.attributes.differences(&key.attributes);
            if !differences.is_empty() {
                return Some(format!("the old key was changed meanwhile in {}", differences.join(", ")));
            }
        }
        if request.expires_at.is_some() && key.expires_at != request.expires_at {
            return Some("it does not expire when it was asked to".to_owned());
        }
        None
    }

    /// "Not active yet" until its deadline, "bad" from then on.
    fn not_yet(&self, failure: Failure) -> EffectResult {
        let first = self.rotation.last_failure.as_ref().filter(|last_failure| {
            last_failure.effect == EffectName::Verify && last_failure.last.kind == Kind::NotActiveYet
        });
        let deadline = first.map(|last_failure| {
            later(self.since(last_failure.first_at), self.context.timing.activation_deadline)
        });
        if deadline.is_some_and(|deadline| self.context.now() >= deadline) {
            return self.verification_failed(format!(
                "{failure}, for {:#} now",
                self.context.timing.activation_deadline
            ));
        }
        Err(failure)
    }

    /// Before the first promotion the key is discarded; after it that is for an operator.
    fn verification_failed(&self, why: String) -> EffectResult {
        if self.successor.promotion_begun {
            return park(ParkReason::NewKeyUnusable, format!("the new key cannot be used: {why}"));
        }
        Ok(EffectOutcome::Happened(Event::VerificationFailed { why }))
    }
}

fn as_listed(asked: &KeyAttributes, listed: &KeyAttributes) -> KeyAttributes {
    let both_unrestricted =
        asked.permissions.is_unrestricted() && listed.permissions == Permissions::Unlisted;
    let permissions = if both_unrestricted { Permissions::Unlisted } else { asked.permissions.clone() };
    KeyAttributes { permissions, ..asked.clone() }
}
