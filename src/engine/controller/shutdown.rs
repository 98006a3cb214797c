//! The loop's signs of life, and how it ends.

use std::sync::Arc;

use crate::domain::ids::CredentialName;
use crate::engine::controller::{Controller, Slot, Stopped};
use crate::ports::meter::Meter;

impl Controller {
    /// With somebody who counts what is done.
    #[must_use]
    pub fn metered_by(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = meter;
        self
    }

    pub(super) async fn drain(mut self, drain: std::time::Duration) -> Result<(), Stopped> {
        for slot in self.slots.values() {
            if let Some(pause) = &slot.visit {
                pause.cancel();
            }
        }
        let quit = self.quit.clone();
        let mut usurped = Ok(());
        let emptied = async {
            // Goes on beating: a watchdog that is shorter than the drain must not take it for dead.
            loop {
                self.beat();
                tokio::select! {
                    finished = self.tasks.join_next_with_id() => match finished {
                        Some(finished) => usurped = self.take_back(finished),
                        None => break,
                    },
                    () = self.nudge.notified() => {}
                }
                if usurped.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(drain, emptied).await.is_err() {
            tracing::warn!(
                visits = self.tasks.len(),
                "stopping before every rotation reached its next journalled point"
            );
        }
        quit.cancel();
        self.tasks.shutdown().await;
        usurped
    }

    pub(super) fn tick(&self) {
        self.heartbeat.send_modify(|heartbeat| heartbeat.tick = Some(self.context.now()));
    }

    pub(super) fn beat(&self) {
        self.heartbeat.send_modify(|heartbeat| {
            heartbeat.beat = Some(self.context.now());
            heartbeat.credentials = self.slots.len();
            heartbeat.visits = self.reconcilers.len();
            let damaged =
                |(name, slot): (&CredentialName, &Slot)| Some((name.clone(), slot.damaged.clone()?));
            if self.slots.values().filter(|slot| slot.damaged.is_some()).count() != heartbeat.damaged.len() {
                heartbeat.damaged = self.slots.iter().filter_map(damaged).collect();
            }
        });
    }
}
