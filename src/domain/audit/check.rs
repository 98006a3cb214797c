//! Verifies the hash chain, record by record.

use std::fmt;

use crate::domain::audit::{ChainedAct, Head};

/// The first record that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub sequence: u64,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not there, and a later one is.
    Missing,
    /// Its content does not match its hash.
    Altered,
    /// It fits itself, and not the record before it.
    Severed,
    /// It is not there, although it was when the expected head was noted.
    CutOff,
    /// It is there, and is not what it was when the expected head was noted.
    Replaced,
    /// The journal has the event, and the audit log has no record of it, or another.
    Unrecorded,
    /// Its event is not in the journal.
    Eventless,
}

impl FaultKind {
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::Altered,
        Self::Severed,
        Self::CutOff,
        Self::Replaced,
        Self::Unrecorded,
        Self::Eventless,
    ];

    /// For programs; each has an entry in docs/audit.md.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Severed => "severed",
            Self::CutOff => "cut_off",
            Self::Replaced => "replaced",
            Self::Unrecorded => "unrecorded",
            Self::Eventless => "eventless",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Missing => "the record is missing: it was deleted, or the records were renumbered",
            Self::Altered => "the record was changed after it was written",
            Self::Severed => {
                "the record does not follow the one before it: that one was replaced, or records were reordered"
            }
            Self::CutOff => {
                "the record existed when the expected head was noted: the end was cut off, or an older copy of the journal was restored"
            }
            Self::Replaced => {
                "the record was different when the expected head was noted: the chain was rebuilt, or this is another journal"
            }
            Self::Unrecorded => {
                "the journal has an event here that the records lack or contradict: one of the two was changed"
            }
            Self::Eventless => "the journal does not have the record's event: one of the two was changed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.sequence, self.kind.meaning())
    }
}

/// Takes the records in their order and says at the first that does not fit.
#[derive(Debug)]
pub struct Checker {
    head: Head,
    expected: Option<Head>,
}

impl Checker {
    /// `expected` is a head that was noted somewhere else, at some earlier time.
    #[must_use]
    pub fn new(expected: Option<Head>) -> Self {
        Self { head: Head::genesis(), expected }
    }

    /// The last record that fitted.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// # Errors
    /// This record does not fit, or one that should stand before it is not there.
    pub fn check(&mut self, record: &ChainedAct) -> Result<(), Fault> {
        let next = self.head.sequence + 1;
        if record.sequence != next {
            return Err(Fault { sequence: next, kind: FaultKind::Missing });
        }
        let fault = |kind| Err(Fault { sequence: record.sequence, kind });
        if record.hash != record.computed() {
            return fault(FaultKind::Altered);
        }
        if record.previous != self.head.hash {
            return fault(FaultKind::Severed);
        }
        self.head = record.head();
        let noted = self.expected.as_ref().filter(|expected| expected.sequence == self.head.sequence);
        if noted.is_some_and(|expected| expected.hash != self.head.hash) {
            return fault(FaultKind::Replaced);
        }
        Ok(())
    }

    /// There are no more records.
    ///
    /// # Errors
    /// There were more when the expected head was noted.
    pub fn end(self) -> Result<Head, Fault> {
        match &self.expected {
            Some(expected) if expected.sequence > self.head.sequence => {
                Err(Fault { sequence: self.head.sequence + 1, kind: FaultKind::CutOff })
            }
            Some(_) | None => Ok(self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::domain::audit::{Act, Actor};

    fn chain(length: u64) -> Vec<ChainedAct> {
        let mut head = Head::genesis();
        let next = |number| {
            let act = Act::new(Timestamp::UNIX_EPOCH, Actor::Policy, "held", json!({ "number": number }));
            let sealed = ChainedAct::after(&head, act);
            head = sealed.head();
            sealed
        };
        (0..length).map(next).collect()
    }

    fn verdict(records: &[ChainedAct], expected: Option<Head>) -> Result<Head, (u64, FaultKind)> {
        let mut checker = Checker::new(expected);
        let checked = records.iter().try_for_each(|record| checker.check(record));
        checked.and_then(|()| checker.end()).map_err(|fault| (fault.sequence, fault.kind))
    }

    #[test]
    fn a_whole_chain_ends_in_its_head_and_contains_every_head_that_it_ever_had() {
        let records = chain(5);
        assert_eq!(verdict(&records, None), Ok(records[4].head()));
        assert_eq!(verdict(&[], None), Ok(Head::genesis()));
        for noted in &records {
            assert_eq!(verdict(&records, Some(noted.head())), Ok(records[4].head()));
        }
    }

    #[test]
    fn whatever_is_done_to_a_chain_the_first_record_that_does_not_fit_is_named() {
        let whole = chain(5);
        let noted = Some(whole[4].head());
        let tampered = |tamper: fn(&mut Vec<ChainedAct>)| {
            let mut records = whole.clone();
            tamper(&mut records);
            verdict(&records, Some(whole[4].head()))
        };
        assert_eq!(tampered(|it| it[2].act.what = "lifted".to_owned()), Err((3, FaultKind::Altered)));
        assert_eq!(tampered(|it| it[2].act.at = Timestamp::MAX), Err((3, FaultKind::Altered)));
        assert_eq!(tampered(|it| it[2].hash = it[1].hash.clone()), Err((3, FaultKind::Altered)));
        assert_eq!(tampered(|it| drop(it.remove(2))), Err((3, FaultKind::Missing)));
        assert_eq!(tampered(|it| drop(it.remove(0))), Err((1, FaultKind::Missing)));
        assert_eq!(tampered(|it| it.swap(1, 2)), Err((2, FaultKind::Missing)));
        assert_eq!(tampered(|it| drop(it.pop())), Err((5, FaultKind::CutOff)));
        assert_eq!(verdict(&whole[..4], None), Ok(whole[3].head()), "without a noted head nobody can know");
        // Numbered anew, or with its own hash made to fit.
        let renumbered = |it: &mut Vec<ChainedAct>| {
            it.swap(1, 2);
            (it[1].sequence, it[2].sequence) = (2, 3);
        };
        assert_eq!(tampered(renumbered), Err((2, FaultKind::Altered)));
        let rehashed = |it: &mut Vec<ChainedAct>| {
            it[2].act.what = "lifted".to_owned();
            it[2].hash = it[2].computed();
        };
        assert_eq!(tampered(rehashed), Err((4, FaultKind::Severed)));
        // The whole chain made anew from there.
        let mut forged = whole[..2].to_vec();
        for old in &whole[2..] {
            let mut act = old.act.clone();
            act.actor = Actor::Operator("uid 0".to_owned());
            let head = forged[forged.len() - 1].head();
            forged.push(ChainedAct::after(&head, act));
        }
        assert_eq!(verdict(&forged, noted), Err((5, FaultKind::Replaced)));
    }
}
