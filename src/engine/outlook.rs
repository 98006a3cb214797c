//! What will really happen after a command, in the words of its answer: now, or held by what and until when.

use jiff::Timestamp;

use crate::domain::effect;
use crate::domain::hold::HoldKind;
use crate::domain::ids::WorkspaceName;
use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;
use crate::engine::reconciler::Reconciler;

impl Reconciler {
    /// When a rotation that was asked for begins: "begins ...".
    pub(super) async fn start_of_a_rotation(&self, emergency: bool) -> String {
        if let Some(hold) = self.minting_hold(emergency) {
            return format!("begins when `{}` lifts this: {hold}", hold.way_out());
        }
        let now = self.context.now();
        let Some(credential) = self.policy() else {
            return "does not begin: the policy does not have it any more".to_owned();
        };
        if !emergency {
            if let Some(freeze) = credential.schedule.freeze(now) {
                return format!(
                    "begins at {}, when the freeze `{}` ends; to begin now, take the freeze out of the policy and reload",
                    freeze.until, freeze.name
                );
            }
            if self.is_at_the_rotation_limit() {
                return "begins as soon as one of those under way in its workspace is over: the policy's `overlaps_at_once` allows no more".to_owned();
            }
            if let Some(until) = self.silent_until(&credential.workspace) {
                return format!("begins at {until:.0}: {}", silence(&credential.workspace));
            }
        }
        let budget = self.budget_prospect(&credential.workspace, emergency).await;
        format!("begins now{}", budget.map(|it| format!(", and {it}")).unwrap_or_default())
    }

    /// What keeps `rotation`, under way, from going on, with the way out: an addition to a sentence, empty if nothing does.
    pub(super) async fn prospect(&self, rotation: &Rotation) -> String {
        let obstacle = self.obstacle_of(rotation).await;
        obstacle.map(|obstacle| format!("; {obstacle}")).unwrap_or_default()
    }

    async fn obstacle_of(&self, rotation: &Rotation) -> Option<String> {
        let (name, workspace) = (&self.record.credential, &rotation.plan.workspace);
        if let Phase::Parked { reason, detail, .. } = &rotation.phase {
            return Some(format!(
                "it stays parked ({}): {detail}; `rekeyd retry {name}` when that is settled",
                reason.label()
            ));
        }
        let effect = effect::pending(rotation)?;
        let hold = rotation
            .phase
            .row()
            .held_by
            .and_then(|what| self.shared.hold_on(what, Some(workspace), name, rotation.is_urgent()));
        if let Some(hold) = hold {
            return Some(format!("but {hold}; `{}` lifts that", hold.way_out()));
        }
        let revokes = rotation.phase.row().held_by == Some(HoldKind::Revoking);
        let policy = self.policy().filter(|_| revokes && !rotation.is_urgent());
        if let Some(freeze) = policy.and_then(|it| it.schedule.freeze(self.context.now())) {
            return Some(format!(
                "but no key is disabled or deleted before {}, when the freeze `{}` ends",
                freeze.until, freeze.name
            ));
        }
        if matches!(rotation.phase, Phase::Due { .. })
            && let Some(budget) = self.budget_prospect(workspace, rotation.plan.emergency).await
        {
            return Some(format!("but {budget}"));
        }
        if effect::is_of_safety(effect, rotation, false) {
            return None;
        }
        let until = self.silent_until(workspace)?;
        Some(format!("but not before {until:.0}: {}", silence(workspace)))
    }

    async fn budget_prospect(&self, workspace: &WorkspaceName, emergency: bool) -> Option<String> {
        let workspace_client = self.context.workspace_client(workspace).ok()?;
        let (journal, now) = (self.context.journal.as_ref(), self.context.now());
        // A journal that cannot be read is told by everything else.
        let until = workspace_client.mints_used_up_until(journal, now, emergency).await.ok().flatten()?;
        let whose = if emergency { "" } else { ", but for the reserve for emergencies" };
        Some(format!(
            "its key is created at {until:.0} at the earliest: the mint budget of workspace `{workspace}` (`mints_per_hour`) is used up{whose}"
        ))
    }

    fn silent_until(&self, workspace: &WorkspaceName) -> Option<Timestamp> {
        self.context.workspace_client(workspace).ok()?.health().silent_until
    }
}

fn silence(workspace: &WorkspaceName) -> String {
    format!("ElevenLabs asked for no calls of workspace `{workspace}` until then")
}
