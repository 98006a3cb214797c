//! An operator ends a wait after a failure: what failed is tried again now, whatever its back-off says.

use serde_json::json;

use crate::domain::audit::{Act, changes};
use crate::domain::record::Record;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::Reconciler;

impl Reconciler {
    /// `retry` of a credential whose rotation is not parked.
    pub(super) async fn hurry(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let (what, answer) = match self.work.rotation() {
            Some(rotation) => {
                let Some(last) = &rotation.last_failure else {
                    let phase = rotation.phase.name().label();
                    return Ok(Err(format!(
                        "`{name}` has no parked rotation: the one under way is in phase `{phase}` and waits for no failure"
                    )));
                };
                let failed = last.effect.label();
                (failed, format!("what failed of the rotation of `{name}` (`{failed}`) is tried again now"))
            }
            None if self.policy().is_none() => {
                return Ok(Err(format!("`{name}` is not in the policy any more")));
            }
            None => match &self.record.obstacle {
                Some(obstacle) => (
                    obstacle.kind.label(),
                    format!("what keeps `{name}` from being rotated is looked at again now"),
                ),
                None if self.record.aborts > 0 => {
                    let when = format!("when its schedule says so; `rekeyd rotate {name}` begins it now");
                    (
                        "aborted",
                        format!(
                            "the wait of `{name}` after its aborted rotation is over: the next begins {when}"
                        ),
                    )
                }
                None => {
                    return Ok(Err(format!(
                        "`{name}` has no parked rotation, and nothing of it waits after a failure"
                    )));
                }
            },
        };
        let act = Act::new(self.context.now(), self.actor.clone(), changes::HURRIED, json!({ "what": what }));
        let rotation = self.work.rotation().map(|rotation| rotation.plan.rotation);
        let act = Act { credential: Some(name), rotation, ..act };
        // A rotation's aborts are counted on while it is under way.
        let aborts = if rotation.is_some() { self.record.aborts } else { 0 };
        self.save_acting(Record { aborts, ..self.record.clone() }, vec![act]).await?;
        self.hurried = rotation.is_some();
        Ok(Ok(answer))
    }
}
