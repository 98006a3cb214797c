//! Faults to inject: which calls they hit, and what they do to a call, before or after its effect.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::sandbox::answer::Answer;
use crate::sandbox::random::Random;
use crate::sandbox::route::Route;

/// A rule: the calls that it hits, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `None` is every route of the API.
    #[serde(default)]
    pub route: Option<Route>,
    /// So many calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// So many calls are hit; `None` is no end of them.
    #[serde(default)]
    pub times: Option<u32>,
    /// Of the calls that remain, this part is hit.
    #[serde(default = "always")]
    pub probability: f64,
    pub what: What,
}

fn always() -> f64 {
    1.0
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Takes this much longer. The only fault that others join on the same call.
    Delay { lasts: SignedDuration, moment: Moment },
    /// Is answered with a refusal.
    Refuse(Refused),
    /// The connection is closed without an answer.
    LostReply(Moment),
    /// After the effect, the connection is closed in the middle of the body.
    CutBody,
    /// After the effect, the answer stops in the middle of the body and the connection stays open.
    StalledBody,
    /// After the effect, a body that is broken in its middle.
    GarbledBody,
    /// After the effect, no body.
    EmptyBody,
    /// After the effect, a body in which every text is a number, every number a text, every flag a text.
    WrongTypes,
    /// After the effect, so many bytes of white space before the body.
    HugeBody { bytes: usize },
    /// After the effect, other fields at the top of the body.
    Alter {
        #[serde(default)]
        set: Map<String, Value>,
        #[serde(default)]
        remove: Vec<String>,
    },
    /// Instead of the effect, a page of the network's edge.
    HtmlPage { status: u16 },
    /// Instead of the effect, a way to somewhere else.
    Redirect { to: String },
}

/// Whether the call had its effect when the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    Before,
    After,
}

/// A refusal to answer with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub status: u16,
    /// `detail.code` and `detail.status`.
    #[serde(default)]
    pub code: String,
    /// The whole body, instead of one with the code.
    #[serde(default)]
    pub body: Option<Value>,
    /// Such as `retry-after`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "Moment::before")]
    pub moment: Moment,
}

impl Moment {
    fn before() -> Self {
        Self::Before
    }
}

impl Refused {
    #[must_use]
    pub fn with(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), body: None, headers: BTreeMap::new(), moment: Moment::Before }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn after_effect(self) -> Self {
        Self { moment: Moment::After, ..self }
    }

    pub(super) fn answer(&self) -> Answer {
        let message = "injected by the sandbox";
        let detail = json!({"type": "injected", "code": self.code, "status": self.code, "message": message});
        let body = self.body.clone().unwrap_or_else(|| json!({ "detail": detail }));
        let headers = self.headers.clone().into_iter().collect();
        Answer { headers, ..Answer::json(self.status, body) }
    }
}

impl Fault {
    /// Hits every call of the route.
    #[must_use]
    pub fn on(route: Route, what: What) -> Self {
        Self { route: Some(route), ..Self::everywhere(what) }
    }

    /// Hits every call of the API.
    #[must_use]
    pub fn everywhere(what: What) -> Self {
        Self { route: None, skip: 0, times: None, probability: always(), what }
    }

    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    fn hits(&mut self, route: Route, random: &mut Random) -> bool {
        if self.route.is_some_and(|own| own != route) || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let hit = self.probability >= 1.0 || random.chance(self.probability);
        if hit {
            self.times = self.times.map(|times| times - 1);
        }
        hit
    }
}

/// What happens to one call: how long it takes longer, and at most one fault that decides it.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub delay_before: SignedDuration,
    pub delay_after: SignedDuration,
    pub what: Option<What>,
}

/// Draws a call's plan from the rules, in their order, and counts down `skip` and `times` of those it comes to.
pub fn draw(faults: &mut [Fault], route: Route, random: &mut Random) -> Plan {
    let mut plan = Plan::default();
    for fault in faults {
        let delay =
            if let What::Delay { lasts, moment } = &fault.what { Some((*lasts, *moment)) } else { None };
        if (plan.what.is_some() && delay.is_none()) || !fault.hits(route, random) {
            continue;
        }
        match delay {
            Some((lasts, Moment::Before)) => plan.delay_before = plan.delay_before.saturating_add(lasts),
            Some((lasts, Moment::After)) => plan.delay_after = plan.delay_after.saturating_add(lasts),
            None => plan.what = Some(fault.what.clone()),
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(faults: &mut [Fault], route: Route, calls: usize) -> Vec<bool> {
        let mut random = Random::seeded(3);
        (0..calls).map(|_| draw(faults, route, &mut random).what.is_some()).collect()
    }

    #[test]
    fn a_rule_skips_then_hits_so_many_times() {
        let mut faults = [Fault::on(Route::CreateKey, What::EmptyBody).after(1).times(2)];
        assert_eq!(drawn(&mut faults, Route::User, 3), [false; 3]);
        assert_eq!(drawn(&mut faults, Route::CreateKey, 5), [false, true, true, false, false]);
    }

    #[test]
    fn the_first_rule_decides_and_the_next_waits_for_its_turn() {
        let delay = What::Delay { lasts: SignedDuration::from_secs(1), moment: Moment::After };
        let mut faults = [
            Fault::everywhere(What::CutBody).times(1),
            Fault::everywhere(What::EmptyBody).times(1),
            Fault::everywhere(delay),
        ];
        let mut random = Random::seeded(3);
        let plans: Vec<Plan> = (0..3).map(|_| draw(&mut faults, Route::User, &mut random)).collect();
        let decided: Vec<Option<What>> = plans.iter().map(|plan| plan.what.clone()).collect();
        assert_eq!(decided, [Some(What::CutBody), Some(What::EmptyBody), None]);
        assert!(plans.iter().all(|plan| plan.delay_after == SignedDuration::from_secs(1)));
    }

    #[test]
    fn a_probability_hits_that_part_of_the_calls() {
        let mut faults = [Fault::everywhere(What::CutBody).with_probability(0.5)];
        let hits = drawn(&mut faults, Route::User, 1000).into_iter().filter(|hit| *hit).count();
        assert!((400..600).contains(&hits), "{hits}");
    }

    #[test]
    fn rules_are_read_from_json_and_a_misspelt_one_is_refused() {
        let read = |text: &str| serde_json::from_str::<Fault>(text);
        let lost = read(r#"{"route": "create_key", "times": 1, "what": {"lost_reply": "after"}}"#).unwrap();
        assert_eq!(lost, Fault::on(Route::CreateKey, What::LostReply(Moment::After)).times(1));
        let delay = read(r#"{"what": {"delay": {"lasts": "1500ms", "moment": "before"}}}"#).unwrap();
        let lasts = SignedDuration::from_millis(1500);
        assert_eq!(delay, Fault::everywhere(What::Delay { lasts, moment: Moment::Before }));
        let refused =
            read(r#"{"what": {"refuse": {"status": 429, "headers": {"retry-after": "1"}}}}"#).unwrap();
        assert_eq!(refused.what, What::Refuse(Refused::with(429, "").header("retry-after", "1")));
        assert_eq!(read(r#"{"what": "cut_body"}"#).unwrap().what, What::CutBody);
        for wrong in [r#"{"what": "cut"}"#, r#"{"what": "cut_body", "time": 1}"#, r#"{"route": "x"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
