//! Emergencies: how many may begin by themselves, and what a leak demands of a rotation under way.

use jiff::Timestamp;

use crate::domain::emergency;
use crate::domain::event::Event;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::phase::Phase;
use crate::domain::plan::Reason;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::time::later;
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::give_up::OldKeyToo;
use crate::engine::reconciler::Reconciler;

/// Whether an emergency may begin by itself, as counted when the reconciliation began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmergencyPermit {
    /// No emergency was known then.
    NotCounted,
    Given,
    Refused,
}

/// What a leak demanded of the rotation under way.
pub(super) enum LeakResponse {
    /// Nothing: the rotation goes on as it is.
    None,
    /// An event is journalled.
    Committed,
    Wait(Timestamp),
}

/// Whether a credential in this state would begin an emergency by itself, or make its rotation one.
pub(super) fn wants_permit(context: &Context, record: &Record, rotation: Option<&Rotation>) -> bool {
    match rotation {
        Some(rotation) => {
            matches!(emergency::response(record, rotation), Some(Event::Escalated { .. }))
        }
        None => context.credential(&record.credential).is_some_and(|it| begins_by_itself(record, it)),
    }
}

fn begins_by_itself(record: &Record, credential: &Credential) -> bool {
    record.open.is_none() && record.emergency.is_none() && record.urgency(credential).is_some()
}

impl Reconciler {
    /// What a leak demands of the rotation under way.
    pub(super) async fn respond_to_leak(&mut self) -> Result<LeakResponse, ReconcileError> {
        if self.work.rotation().is_some_and(|it| emergency::must_turn_round(&self.record, it)) {
            match self.give_up_rollback().await? {
                LeakResponse::None => {}
                response @ (LeakResponse::Committed | LeakResponse::Wait(_)) => return Ok(response),
            }
        }
        let Some(rotation) = self.work.rotation() else { return Ok(LeakResponse::None) };
        let Some(event) = emergency::response(&self.record, rotation) else { return Ok(LeakResponse::None) };
        if matches!(event, Event::Escalated { .. }) {
            match self.permit {
                EmergencyPermit::Given => {}
                EmergencyPermit::NotCounted => return Ok(LeakResponse::Wait(self.context.now())),
                EmergencyPermit::Refused => {
                    self.report_held_emergency().await?;
                    return Ok(LeakResponse::None);
                }
            }
            if self.try_refused_mint_again("a leak").await? {
                return Ok(LeakResponse::Committed);
            }
        }
        let Some(rotation) = self.work.rotation() else { return Ok(LeakResponse::None) };
        let entry = self.entry(rotation, event)?;
        self.commit(entry).await?;
        Ok(LeakResponse::Committed)
    }

    /// Gives up a rollback that leads to a leaked key. Where no destination has the new key's value any more, there is
    /// nothing to publish again: then the rollback ends with nothing waited for, so that the emergency can begin.
    async fn give_up_rollback(&mut self) -> Result<LeakResponse, ReconcileError> {
        let Some(mut effects) = self.effects() else { return Ok(LeakResponse::None) };
        let event = match (effects.destinations_to_publish_again().await, &effects.rotation.phase) {
            (Ok(Some(destinations)), _) => Event::OverwriteRequested { destinations },
            (Ok(None), Phase::Returning { .. }) => Event::ReturnPassed,
            (Ok(None), Phase::Parked { .. }) => Event::Retried { overwrite: false, restore: Vec::new() },
            (Ok(None), _) => return Ok(LeakResponse::None),
            (Err(failure), _) => {
                tracing::warn!(credential = %self.record.credential, %failure, "a rollback to a leaked key cannot be given up yet");
                return Ok(LeakResponse::Wait(later(self.context.now(), self.context.timing.look_again)));
            }
        };
        let entry = effects.entry(event)?;
        self.commit(entry).await?;
        Ok(LeakResponse::Committed)
    }

    /// Until when an emergency that would begin by itself has to wait; `None` if it need not.
    pub(super) async fn emergency_waits_until(
        &mut self,
        credential: &Credential,
        reason: Reason,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        if !begins_by_itself(&self.record, credential) {
            return Ok(None);
        }
        let now = self.context.now();
        if reason == Reason::Vanished
            && let Some(vanished) = self.record.vanished()
        {
            // That it is not listed is final only after the settling time.
            let final_at = later(vanished.since, self.context.timing.settle);
            if now < final_at {
                return Ok(Some(final_at));
            }
        }
        match self.permit {
            EmergencyPermit::Given => Ok(None),
            EmergencyPermit::NotCounted => Ok(Some(now)),
            EmergencyPermit::Refused => {
                self.report_held_emergency().await?;
                Ok(Some(later(now, self.context.timing.look_again)))
            }
        }
    }

    async fn report_held_emergency(&mut self) -> Result<(), ReconcileError> {
        if self.record.is_held() {
            return Ok(());
        }
        let detail = format!(
            "{} emergencies may be under way at a time, and are; `rotate --emergency` begins this one all the same",
            self.context.policy.emergencies_at_once
        );
        tracing::error!(credential = %self.record.credential, %detail, "an emergency waits");
        let mut next = self.record.clone();
        let since = self.context.now();
        next.findings.push(Finding { kind: FindingKind::EmergencyHeld, key: None, detail, since });
        self.save(next).await
    }

    /// A rotation that is parked because no key could be created tries it once more as an emergency: what was refused may
    /// be possible by now. Returns whether it goes on.
    async fn try_refused_mint_again(&mut self, by: &str) -> Result<bool, ReconcileError> {
        let Some(rotation) = self.work.rotation() else { return Ok(false) };
        let Phase::Parked { reason, .. } = &rotation.phase else { return Ok(false) };
        if !reason.is_tried_again_in_an_emergency() {
            return Ok(false);
        }
        tracing::warn!(credential = %self.record.credential, reason = reason.label(), %by, "an emergency tries to create the key again");
        let entry = self.entry(rotation, Event::Retried { overwrite: false, restore: Vec::new() })?;
        self.commit(entry).await?;
        Ok(true)
    }

    /// An operator has the key replaced with nothing waited for; a rotation under way becomes an emergency.
    pub(super) async fn begin_emergency(
        &mut self,
        by: &str,
    ) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let now = self.context.now();
        if self.work.is_idle() {
            self.save(self.record.ask_at_once(by, now)).await?;
            let start = self.start_of_a_rotation(true).await;
            return Ok(Ok(format!(
                "an emergency rotation of `{name}` {start}: its old key is dead when the new one is current"
            )));
        }
        if let Some(answer) = self.give_up_dead_keys(OldKeyToo::No).await? {
            return Ok(answer);
        }
        let Some(rotation) = self.work.rotation() else {
            return Ok(Err(format!("no rotation of `{name}` is under way")));
        };
        if rotation.plan.emergency {
            return self.press_emergency(by).await;
        }
        if rotation.plan.old.is_none() && !rotation.phase.is_rollback() {
            return Ok(Err(format!(
                "the rotation of `{name}` under way creates its first key: there is no old key to get rid of; see `rekeyd status {name}`"
            )));
        }
        if rotation.phase.is_rollback()
            && let Err(why) = self.publish_again().await?
        {
            return Ok(Err(why));
        }
        self.try_refused_mint_again(by).await?;
        let event = Event::Escalated { why: format!("asked by {by}"), since: Some(now) };
        self.steer(event, "is an emergency from here on").await
    }

    /// An operator asks once more for the emergency that is under way.
    async fn press_emergency(&mut self, by: &str) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let tried = self.try_refused_mint_again(by).await?;
        let Some(rotation) = self.work.rotation() else {
            return Ok(Err(format!("no rotation of `{name}` is under way")));
        };
        let prospect = self.prospect(rotation).await;
        Ok(if tried {
            Ok(format!("the emergency rotation of `{name}` tries to create the key again{prospect}"))
        } else {
            Err(format!("the rotation of `{name}` under way is an emergency already{prospect}"))
        })
    }
}
