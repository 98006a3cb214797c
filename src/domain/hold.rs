//! Holds: a pause by an operator, or a tripped breaker. Both are durable, and `rekeyd resume` lifts them.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{CredentialName, WorkspaceName};

/// The actor of a hold that a breaker put in force.
pub const BREAKER: &str = "breaker";

/// One hold. There is at most one for each scope and kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub scope: Scope,
    pub what: HoldKind,
    /// The actor: an operator, or `breaker`.
    pub by: String,
    /// The reason.
    pub why: String,
    pub since: Timestamp,
}

/// What a hold covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Fleet,
    Workspace(WorkspaceName),
    Credential(CredentialName),
}

/// The operations that a hold blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// No rotation starts, and no key is disabled or deleted.
    Everything,
    /// No new key is created.
    Minting,
    /// No key is disabled or deleted.
    Revoking,
}

impl Hold {
    /// Whether a breaker put it in force, not an operator.
    #[must_use]
    pub fn is_breakers(&self) -> bool {
        self.by == BREAKER
    }

    /// The command that lifts it.
    #[must_use]
    pub fn way_out(&self) -> String {
        match &self.scope {
            Scope::Fleet => "rekeyd resume --all".to_owned(),
            Scope::Workspace(name) => format!("rekeyd resume --workspace {name}"),
            Scope::Credential(name) => format!("rekeyd resume {name}"),
        }
    }
}

/// In one line for a person.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let where_ = match &self.scope {
            Scope::Fleet => "everywhere".to_owned(),
            Scope::Workspace(name) => format!("in workspace `{name}`"),
            Scope::Credential(name) => format!("of `{name}`"),
        };
        let by = if self.is_breakers() { "the breaker" } else { self.by.as_str() };
        write!(f, "{} is held {where_} by {by}", self.what.label())?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

impl HoldKind {
    pub const ALL: [Self; 3] = [Self::Everything, Self::Minting, Self::Revoking];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Minting => "minting",
            Self::Revoking => "revoking",
        }
    }

    /// Whether holding this back holds `other` back.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::Everything || self == other
    }
}

impl Scope {
    /// Whether it is about a credential; its workspace may not be known.
    #[must_use]
    pub fn covers(&self, workspace: Option<&WorkspaceName>, credential: &CredentialName) -> bool {
        match self {
            Self::Fleet => true,
            Self::Workspace(name) => Some(name) == workspace,
            Self::Credential(name) => name == credential,
        }
    }
}

/// As the journal's key has it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

/// Every hold in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(Vec<Hold>);

impl Holds {
    #[must_use]
    pub fn new(holds: Vec<Hold>) -> Self {
        Self(holds)
    }

    #[must_use]
    pub fn all(&self) -> &[Hold] {
        &self.0
    }

    #[must_use]
    pub fn find(&self, scope: &Scope, what: HoldKind) -> Option<&Hold> {
        self.0.iter().find(|hold| hold.scope == *scope && hold.what == what)
    }

    /// What must not be done with a credential, and by whose word.
    pub fn on<'h>(
        &'h self,
        workspace: Option<&'h WorkspaceName>,
        credential: &'h CredentialName,
    ) -> impl Iterator<Item = &'h Hold> {
        self.0.iter().filter(move |hold| hold.scope.covers(workspace, credential))
    }

    /// The hold that forbids to do `what` to a credential. A breaker does not stop an emergency; a person does.
    #[must_use]
    pub fn stops(
        &self,
        what: HoldKind,
        workspace: Option<&WorkspaceName>,
        credential: &CredentialName,
        emergency: bool,
    ) -> Option<&Hold> {
        self.0.iter().find(|hold| {
            hold.what.includes(what)
                && hold.scope.covers(workspace, credential)
                && !(emergency && hold.is_breakers())
        })
    }

    /// Puts a hold in force. One of the same scope that holds the same stays as it is, except that a person's takes the
    /// place of a breaker's.
    pub fn put(&mut self, hold: Hold) {
        match self.0.iter_mut().find(|known| known.scope == hold.scope && known.what == hold.what) {
            Some(known) if known.is_breakers() && !hold.is_breakers() => *known = hold,
            Some(_) => {}
            None => self.0.push(hold),
        }
    }

    /// Lifts a hold, and says whether there was one.
    pub fn lift(&mut self, scope: &Scope, what: HoldKind) -> bool {
        let before = self.0.len();
        self.0.retain(|hold| hold.scope != *scope || hold.what != what);
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(scope: Scope, what: HoldKind, by: &str) -> Hold {
        Hold { scope, what, by: by.to_owned(), why: String::new(), since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_hold_stops_what_it_says_where_it_says() {
        let (prod, dev) = (WorkspaceName::new("prod").unwrap(), WorkspaceName::new("dev").unwrap());
        let (tts, dub) = (CredentialName::new("tts").unwrap(), CredentialName::new("dub").unwrap());
        use HoldKind::{Everything, Minting, Revoking};
        for (scope, what, stopped) in [
            (Scope::Fleet, Everything, vec!["prod tts m", "prod tts r", "dev dub m", "dev dub r"]),
            (Scope::Fleet, Revoking, vec!["prod tts r", "dev dub r"]),
            (Scope::Workspace(prod.clone()), Everything, vec!["prod tts m", "prod tts r"]),
            (Scope::Workspace(dev.clone()), Minting, vec!["dev dub m"]),
            (Scope::Credential(tts.clone()), Minting, vec!["prod tts m"]),
        ] {
            let holds = Holds::new(vec![hold(scope.clone(), what, "uid 0")]);
            let mut stops = Vec::new();
            for (workspace, credential) in [(&prod, &tts), (&dev, &dub)] {
                for (what, letter) in [(Minting, "m"), (Revoking, "r")] {
                    if holds.stops(what, Some(workspace), credential, true).is_some() {
                        stops.push(format!("{workspace} {credential} {letter}"));
                    }
                }
            }
            assert_eq!(stops, stopped, "{scope} {what:?}");
        }
    }

    #[test]
    fn a_breaker_lets_emergencies_through_and_a_person_does_not() {
        let (prod, tts) = (WorkspaceName::new("prod").unwrap(), CredentialName::new("tts").unwrap());
        let scope = Scope::Workspace(prod.clone());
        let mut holds = Holds::new(vec![hold(scope.clone(), HoldKind::Minting, BREAKER)]);
        let stops =
            |holds: &Holds, emergency| holds.stops(HoldKind::Minting, Some(&prod), &tts, emergency).is_some();
        assert_eq!((stops(&holds, false), stops(&holds, true)), (true, false));
        holds.put(hold(scope.clone(), HoldKind::Minting, "uid 7"));
        assert_eq!((stops(&holds, false), stops(&holds, true)), (true, true));
        holds.put(hold(scope.clone(), HoldKind::Minting, BREAKER));
        holds.put(hold(scope.clone(), HoldKind::Minting, "uid 8"));
        assert_eq!(holds.all(), [hold(scope.clone(), HoldKind::Minting, "uid 7")]);
        assert!(holds.lift(&scope, HoldKind::Minting) && !holds.lift(&scope, HoldKind::Minting));
    }
}
