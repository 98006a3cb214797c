//! Checks everything that the rotation depends on before it changes anything, and records the intent to mint.

use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::hold::HoldKind;
use crate::domain::key::{Inventory, KeyAttributes, KeyRequest};
use crate::domain::phase::Phase;
use crate::domain::plan::Destination;
use crate::domain::rotation::{LostKeys, ParkReason};
use crate::domain::successor::Served;
use crate::domain::time::later;
use crate::engine::effects::late_reads::Doubt;
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, park};
use crate::engine::workspace_client::MintPermit;

/// What a rotation waits for, in the log.
const BUDGET: &str = "budget";

impl Effects<'_> {
    pub(super) async fn preflight(&mut self) -> EffectResult {
        if let Some(parked) = self.refused_or_exhausted()? {
            return Ok(EffectOutcome::Happened(parked));
        }
        if self.policy().is_none() {
            return Ok(EffectOutcome::Happened(Event::AbortRequested {
                by: "the policy, which no longer has it".to_owned(),
            }));
        }
        if self.held(HoldKind::Minting).is_some() {
            return Ok(EffectOutcome::Wait(self.soon(jiff::Timestamp::MAX)));
        }
        if let Some(wait) = self.waits_for_turn() {
            return Ok(wait);
        }
        let inventory = self.listed().await?;
        if !self.plan().emergency {
            self.check_clock(&inventory)?;
        }
        let attributes = match self.attributes_to_clone(&inventory)? {
            Ok(attributes) => attributes,
            Err(parked) => return Ok(EffectOutcome::Happened(parked)),
        };
        let mut before = Vec::new();
        for destination in &self.plan().destinations {
            let serves = self.standing(destination).await?;
            if let Some(detail) = self.foreign(destination, &serves) {
                return park(ParkReason::ForeignValue, detail);
            }
            before.push(serves);
        }
        let now = self.context.now();
        let emergency = self.plan().emergency;
        let (journal, clock) = (self.context.journal.as_ref(), self.context.clock.as_ref());
        match self.workspace_client()?.mint_permit(journal, clock, emergency).await {
            Ok(MintPermit::Granted(permit)) => {
                self.shared.waiting_log.is_over(self.record.credential.as_str(), BUDGET);
                *self.mint_permit = Some(permit);
            }
            Ok(MintPermit::NotBefore(at)) => {
                if self.shared.is_news(self.context, self.record.credential.as_str(), BUDGET, "") {
                    tracing::warn!(credential = %self.record.credential, until = %at, "the workspace's mint budget is used up");
                }
                return Ok(EffectOutcome::Wait(self.soon(at)));
            }
            Err(error) => return Err(Failure::rejected(Kind::LocalDisk, error.to_string())),
        }
        if self.held(HoldKind::Minting).is_some() {
            *self.mint_permit = None;
            return Ok(EffectOutcome::Wait(self.soon(jiff::Timestamp::MAX)));
        }
        if !self.plan().emergency {
            self.check_clock(&inventory)?;
        }
        // The provider counts in whole seconds.
        let expires_at = self.plan().key_lifetime.map(|lifetime| later(now, lifetime));
        let expires_at = expires_at.and_then(|at| jiff::Timestamp::from_second(at.as_second()).ok());
        Ok(EffectOutcome::Happened(Event::MintIntended {
            request: KeyRequest { attributes, expires_at },
            before,
        }))
    }

    /// What a destination serves, once it is not older than what was published there last.
    async fn standing(&self, destination: &Destination) -> Result<Served, Failure> {
        let store = self.context.store(&destination.store)?;
        let mut doubt = Doubt::default();
        loop {
            let serves = store.preflight(destination).await?;
            let doubtful =
                self.is_old_answer(destination, &serves) || self.foreign(destination, &serves).is_some();
            if !doubtful || !self.reads_again(&mut doubt).await {
                return Ok(serves);
            }
        }
    }

    /// A refusal that does not pass by itself, and too many lost keys, need an operator.
    ///
    /// # Errors
    /// Several keys were lost in the last hour: it goes on by itself when that is over.
    fn refused_or_exhausted(&self) -> Result<Option<Event>, Failure> {
        let rotation = self.rotation;
        let refused =
            rotation.last_failure.as_ref().filter(|last_failure| last_failure.effect == EffectName::Mint);
        if let Some(last_failure) = refused.filter(|last_failure| !last_failure.last.kind.is_passing()) {
            let detail = format!("the provider refused to create the key: {}", last_failure.last);
            return Ok(Some(Event::Parked { reason: ParkReason::MintRefused, detail }));
        }
        let now = self.context.now();
        match rotation.lost_keys(now) {
            LostKeys::Few => Ok(None),
            LostKeys::NotBefore { until, lost } => {
                let message = format!(
                    "{lost} keys of this rotation were created and lost within an hour, and deleted; the next one is created at {until:.0}"
                );
                let failure = Failure::rejected(Kind::Throttled, message);
                Err(Failure { retry_after: Some(until.duration_since(now)), ..failure })
            }
            LostKeys::TooMany(lost) => {
                let detail = format!(
                    "{lost} keys were created and lost in this rotation within a day, and deleted; find out why before `retry`"
                );
                Ok(Some(Event::Parked { reason: ParkReason::MintsExhausted, detail }))
            }
        }
    }

    /// The permissions and limits of the new key, or the event that parks the rotation.
    fn attributes_to_clone(&self, inventory: &Inventory) -> Result<Result<KeyAttributes, Event>, Failure> {
        let plan = self.plan();
        let parked = |reason, detail| Ok(Err(Event::Parked { reason, detail }));
        let Some(id) = &plan.old else {
            let unstated =
                || Failure::rejected(Kind::Invalid, "the policy states no permissions for a first key");
            return Ok(Ok(plan.first.clone().ok_or_else(unstated)?));
        };
        let Some(old) = inventory.key(id) else {
            let known = self.record.current.as_ref().filter(|current| plan.emergency && current.key == *id);
            if let Some(attributes) = known.and_then(|current| current.attributes.clone()) {
                return Ok(Ok(attributes));
            }
            let detail =
                format!("the old key `{id}` is gone; `abort`, then `rotate` to begin with another key");
            return parked(ParkReason::OldKeyUnusable, detail);
        };
        // An expired key is replaced all the same: nothing else can put the credential back into service.
        let expired = self.has_passed(old.expires_at, inventory);
        if !old.enabled && !expired && !plan.emergency {
            let detail = format!("the old key `{id}` is disabled; enable it, or `abort`");
            return parked(ParkReason::OldKeyUnusable, detail);
        }
        if old.attributes.permissions.is_unrestricted() && !plan.allow_unrestricted {
            let detail = format!(
                "the old key `{id}` may do everything ({}); restrict it, or write `allow_unrestricted = true`",
                old.attributes.permissions
            );
            return parked(ParkReason::Unrestricted, detail);
        }
        let ceiling = plan.first.as_ref().map(|first| &first.permissions).filter(|_| !plan.emergency);
        if let Some(beyond) = ceiling.and_then(|ceiling| old.attributes.permissions.beyond(ceiling)) {
            let detail = format!(
                "the old key `{id}` may do more than the policy's `permissions`: {beyond}; restrict it in the dashboard and `retry`, or extend the policy, reload, `abort` and `rotate`"
            );
            return parked(ParkReason::Widened, detail);
        }
        Ok(Ok(old.attributes.clone()))
    }

    /// Why a destination's value is foreign: it replaced the value that a rotation published there.
    pub(super) fn foreign(&self, destination: &Destination, serves: &Served) -> Option<String> {
        if matches!(self.rotation.phase, Phase::Due { overwrite: true }) {
            return None;
        }
        let published = self.record.was_published_to(destination);
        let ours = self.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        let (true, Some(ours), Some(served)) = (published, ours, &serves.fingerprint) else {
            return None;
        };
        (served != ours).then(|| {
            format!(
                "`{destination}` serves {served}, not {ours} which was published there; find out who changed it, then `retry --overwrite`"
            )
        })
    }
}
