//! Emergencies: how many may begin by themselves, and what an operator may do about that.

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
use crate::engine::reconciler::{Reconciler, Rest};

/// Whether an emergency may begin by itself, as counted when the visitor was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmergencyPermit {
    /// Nothing was known of one.
    NotCounted,
    Given,
    CommandError,
}

/// Whether a credential that stands so would begin an emergency by itself, or make its rotation one.
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
    /// What a leak demands of the rotation under way. `Some` if that has to wait for the controller.
    pub(super) async fn answer_leaks(&mut self) -> Result<Option<Rest>, ReconcileError> {
        if self.rotation.as_ref().is_some_and(|it| emergency::must_turn_round(&self.record, it))
            && let Some(rest) = self.turn_round().await?
        {
            return Ok(Some(rest));
        }
        let Some(event) = self.rotation.as_ref().and_then(|it| emergency::response(&self.record, it)) else {
            return Ok(None);
        };
        if matches!(event, Event::Escalated { .. }) {
            match self.permit {
                EmergencyPermit::Given => {}
                EmergencyPermit::NotCounted => return Ok(Some(Rest::Until(Some(self.context.now())))),
                // It goes on as it was.
                EmergencyPermit::CommandError => {
                    self.note_held().await?;
                    return Ok(None);
                }
            }
        }
        self.commit(event).await?;
        Ok(Some(Rest::No))
    }

    /// Gives a rollback up that leads to a leaked key. Where the new key's value is nowhere any more there is nothing to
    /// go on with: then the rollback ends with nothing waited for, so that the emergency can begin. `None` if it goes on.
    async fn turn_round(&mut self) -> Result<Option<Rest>, ReconcileError> {
        let standing = match self.value().await {
            Ok(Some(_)) => self.unlike_the_successor().await.map(Some),
            Ok(None) => Ok(None),
            Err(failure) => Err(failure),
        };
        let event = match (standing, self.rotation.as_ref().map(|rotation| &rotation.phase)) {
            (Ok(Some(destinations)), _) => Event::OverwriteRequested { destinations },
            (Ok(None), Some(Phase::Returning { .. })) => Event::ReturnPassed,
            (Ok(None), Some(Phase::Parked { .. })) => Event::Retried { overwrite: false },
            (Ok(None), _) => return Ok(None),
            (Err(failure), _) => {
                tracing::warn!(credential = %self.record.credential, %failure, "a rollback to a leaked key cannot be given up yet");
                return Ok(Some(Rest::Until(
                    self.context.now().checked_add(self.context.timing.look_again).ok(),
                )));
            }
        };
        self.commit(event).await?;
        Ok(Some(Rest::No))
    }

    /// Until when an emergency that would begin by itself has to wait; `None` if it need not.
    pub(super) async fn held_emergency(
        &mut self,
        credential: &Credential,
        reason: Reason,
    ) -> Result<Option<Rest>, ReconcileError> {
        if !begins_by_itself(&self.record, credential) {
            return Ok(None);
        }
        let now = self.context.now();
        if reason == Reason::Vanished
            && let Some(vanished) = self.record.vanished()
        {
            // That it is not listed is final only after a while.
            let final_at = later(vanished.since, self.context.timing.settle);
            if now < final_at {
                return Ok(Some(Rest::Until(Some(final_at))));
            }
        }
        match self.permit {
            EmergencyPermit::Given => Ok(None),
            EmergencyPermit::NotCounted => Ok(Some(Rest::Until(Some(now)))),
            EmergencyPermit::CommandError => {
                self.note_held().await?;
                Ok(Some(Rest::Until(now.checked_add(self.context.timing.look_again).ok())))
            }
        }
    }

    async fn note_held(&mut self) -> Result<(), ReconcileError> {
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

    /// An operator wants the key replaced with nothing waited for; a rotation under way becomes an emergency.
    pub(super) async fn hurry(&mut self, by: &str) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let now = self.context.now();
        if let Some(rotation) = &self.rotation {
            if rotation.plan.emergency {
                return Ok(Err(format!("the rotation of `{name}` under way is an emergency already")));
            }
            if rotation.phase.is_rollback()
                && let Err(why) = self.publish_again().await?
            {
                return Ok(Err(why));
            }
            let event = Event::Escalated { why: format!("asked by {by}"), since: Some(now) };
            return self.steer(event, "is an emergency from here on").await;
        }
        self.save(self.record.ask_at_once(by, now)).await?;
        Ok(Ok(format!(
            "an emergency rotation of `{name}` begins now: its old key is dead when the new one is current"
        )))
    }
}
