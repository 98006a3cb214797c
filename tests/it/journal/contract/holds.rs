//! Holds.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::audit::Actor;
use rekeyd::domain::hold::{BREAKER, Hold, HoldKind, Scope};
use rekeyd::ports::journal::HoldRegister;

use super::every_adapter;
use crate::journal::samples::{at, name, workspace};

type Subject = Arc<dyn HoldRegister>;

every_adapter!(a_hold_stays_until_it_is_lifted_and_a_persons_goes_before_a_breakers,);

async fn a_hold_stays_until_it_is_lifted_and_a_persons_goes_before_a_breakers(journal: Subject) {
    let prod = Scope::Workspace(workspace("prod"));
    let hold = |scope: &Scope, what, by: &str, seconds| Hold {
        scope: scope.clone(),
        what,
        by: by.to_owned(),
        why: "an \"audit\"".to_owned(),
        since: at(seconds),
    };
    assert_eq!(
        (journal.holds().await.unwrap(), journal.lifted(&prod, HoldKind::Minting).await.unwrap()),
        (vec![], None)
    );
    journal.hold(&hold(&prod, HoldKind::Minting, BREAKER, 1)).await.unwrap();
    journal.hold(&hold(&prod, HoldKind::Minting, "uid 7", 2)).await.unwrap();
    for (by, seconds) in [(BREAKER, 3), ("uid 8", 4)] {
        journal.hold(&hold(&prod, HoldKind::Minting, by, seconds)).await.unwrap();
    }
    journal.hold(&hold(&Scope::Fleet, HoldKind::Everything, "uid 7", 5)).await.unwrap();
    journal.hold(&hold(&Scope::Credential(name("tts")), HoldKind::Revoking, "uid 7", 6)).await.unwrap();
    let mut holds = journal.holds().await.unwrap();
    holds.sort_by_key(|hold| hold.since);
    let expected = [
        hold(&prod, HoldKind::Minting, "uid 7", 2),
        hold(&Scope::Fleet, HoldKind::Everything, "uid 7", 5),
        hold(&Scope::Credential(name("tts")), HoldKind::Revoking, "uid 7", 6),
    ];
    assert_eq!(holds, expected);
    journal.lift(&prod, HoldKind::Revoking, &Actor::Operator("uid 7".to_owned()), at(8)).await.unwrap();
    assert_eq!(journal.holds().await.unwrap().len(), 3);
    for seconds in [9, 10] {
        journal
            .lift(&prod, HoldKind::Minting, &Actor::Operator("uid 7".to_owned()), at(seconds))
            .await
            .unwrap();
    }
    assert_eq!(journal.holds().await.unwrap().len(), 2);
    assert_eq!(journal.lifted(&prod, HoldKind::Minting).await.unwrap(), Some(at(10)));
    assert_eq!(journal.lifted(&Scope::Fleet, HoldKind::Minting).await.unwrap(), None);
}
