//! The calendar: freezes, windows, due rotations and expiries of the next 90 days, and how old the keys are.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use maud::{Markup, html};

use crate::domain::ids::CredentialName;
use crate::domain::policy::{Mode, Policy};
use crate::domain::report::{CredentialReport, StatusReport};
use crate::domain::schedule::{Freeze, Window, brief};
use crate::domain::time::later;
use crate::http::page::ages;
use crate::http::page::chart;
use crate::http::page::format;
use crate::http::page::layout::{self, Page};

pub(super) const DAYS: usize = 90;

/// Beyond this many due instants, only the next one of each credential is shown.
const OCCURRENCES: usize = 20_000;

/// Names on one day of the list.
const NAMES: usize = 8;

/// Windows with a lane of their own.
const WINDOWS: usize = 6;

/// What is planned, from the start of the first day.
pub(super) struct Calendar<'a> {
    pub(super) start: Timestamp,
    pub(super) first: Date,
    pub(super) freezes: Vec<&'a Freeze>,
    pub(super) windows: Vec<WindowLane>,
    /// By day.
    pub(super) due: Vec<Vec<&'a CredentialName>>,
    pub(super) expires: Vec<Vec<&'a CredentialName>>,
    is_cut: bool,
}

/// One window of some credentials, with its openings.
pub(super) struct WindowLane {
    pub(super) opens: String,
    pub(super) lasts: SignedDuration,
    pub(super) credentials: usize,
    pub(super) openings: Vec<Timestamp>,
}

impl<'a> Calendar<'a> {
    pub(super) fn new(report: &'a StatusReport, policy: &'a Policy, now: Timestamp) -> Self {
        let first = now.to_zoned(TimeZone::UTC).date();
        let start = first.to_zoned(TimeZone::UTC).map_or(now, |midnight| midnight.timestamp());
        let mut calendar = Self {
            start,
            first,
            freezes: Vec::new(),
            windows: Vec::new(),
            due: vec![Vec::new(); DAYS],
            expires: vec![Vec::new(); DAYS],
            is_cut: false,
        };
        let mut occurrences = 0;
        for credential in &report.credentials {
            let day = credential.key_expires_at.and_then(|at| calendar.day(at));
            if let Some(names) = day.and_then(|day| calendar.expires.get_mut(day)) {
                names.push(&credential.credential);
            }
            for day in calendar.due_days(credential, policy, now, &mut occurrences) {
                if let Some(names) = calendar.due.get_mut(day) {
                    names.push(&credential.credential);
                }
            }
        }
        calendar.add_schedules(policy);
        calendar
    }

    pub(super) fn end(&self) -> Timestamp {
        later(self.start, SignedDuration::from_hours(24 * 90))
    }

    /// The day of an instant; `None` outside the calendar.
    pub(super) fn day(&self, at: Timestamp) -> Option<usize> {
        let days = at.duration_since(self.start).as_hours().div_euclid(24);
        usize::try_from(days).ok().filter(|day| *day < DAYS)
    }

    pub(super) fn date(&self, day: usize) -> Date {
        let days = i64::try_from(day).unwrap_or(0);
        self.first.checked_add(days.days()).unwrap_or(self.first)
    }

    /// What is overdue is on the first day. Later rotations follow its schedule, as if each ended when it was due.
    fn due_days(
        &mut self,
        report: &CredentialReport,
        policy: &Policy,
        now: Timestamp,
        occurrences: &mut usize,
    ) -> Vec<usize> {
        let name = &report.credential;
        let credential = policy.credentials.get(name).filter(|it| it.mode == Mode::Rotate);
        let schedule = credential.map(|credential| &credential.schedule);
        let mut next = match (&report.rotation, report.next_due, schedule) {
            (None, Some(due), _) => due.max(now),
            (Some(_), _, Some(schedule)) => schedule.next_due(name, now),
            (_, _, _) => return Vec::new(),
        };
        let mut days = Vec::new();
        while let Some(day) = self.day(next) {
            *occurrences += 1;
            if days.last() != Some(&day) {
                days.push(day);
            }
            let Some(schedule) = schedule else { break };
            if *occurrences > OCCURRENCES {
                self.is_cut = true;
                break;
            }
            next = schedule.next_due(name, next);
        }
        days
    }

    fn add_schedules(&mut self, policy: &'a Policy) {
        let mut windows: BTreeMap<(String, SignedDuration), (&Window, usize)> = BTreeMap::new();
        for credential in policy.credentials.values() {
            for freeze in &credential.schedule.freezes {
                if freeze.from < self.end() && freeze.until > self.start && !self.freezes.contains(&freeze) {
                    self.freezes.push(freeze);
                }
            }
            if let Some(window) = &credential.schedule.window {
                let key = (window.opens.describe(), window.lasts);
                windows.entry(key).or_insert((window, 0)).1 += 1;
            }
        }
        self.freezes.sort_by_key(|freeze| freeze.from);
        let mut lanes: Vec<_> = windows.into_iter().collect();
        lanes.sort_by_key(|(_, (_, credentials))| std::cmp::Reverse(*credentials));
        for ((opens, lasts), (window, credentials)) in lanes.into_iter().take(WINDOWS) {
            let mut openings = Vec::new();
            let mut from = self.start;
            while let Some(opening) = window.opens.next_after(from).filter(|at| *at < self.end()) {
                // An opening of each minute would not be seen.
                openings.push(opening);
                from = later(opening, SignedDuration::from_hours(1));
            }
            self.windows.push(WindowLane { opens, lasts, credentials, openings });
        }
    }
}

pub(super) fn page(report: &StatusReport, policy: &Policy, now: Timestamp) -> Page {
    let calendar = Calendar::new(report, policy, now);
    let body = html! {
        h1 { "The next 90 days" }
        p.lede { (summary(&calendar)) }
        (chart::section(&calendar, now))
        @if calendar.is_cut { p.where { "There are too many rotations to show them all: of some credentials, only the next one is here." } }
        (ages::section(report, now))
        (by_day(&calendar))
    };
    Page {
        status: StatusCode::OK,
        section: Some(layout::CALENDAR),
        title: "calendar".to_owned(),
        at: Some(now),
        body,
    }
}

fn summary(calendar: &Calendar<'_>) -> String {
    let rotations: usize = calendar.due.iter().map(Vec::len).sum();
    let expiries: usize = calendar.expires.iter().map(Vec::len).sum();
    format!(
        "{} due, {}, {}.",
        format::count(rotations, "rotation is", "rotations are"),
        format::count(expiries, "key expires", "keys expire"),
        format::count(calendar.freezes.len(), "freeze", "freezes"),
    )
}

/// The same as text: every day on which something happens.
fn by_day(calendar: &Calendar<'_>) -> Markup {
    html! {
        section aria-labelledby="by-day" {
            h2 #by-day { "Day by day" }
            @if !calendar.freezes.is_empty() || !calendar.windows.is_empty() {
                dl.facts {
                    @for freeze in &calendar.freezes {
                        dt { "Freeze" }
                        dd { (freeze.name) ", " (stamp(freeze.from)) " to " (stamp(freeze.until)) }
                    }
                    @for window in &calendar.windows {
                        dt { "Window" }
                        dd { (format::inline(&window.opens)) ", for " (brief(window.lasts)) ": " (format::count(window.credentials, "credential", "credentials")) }
                    }
                }
            }
            @let days = (0..DAYS).filter(|day| !names(&calendar.due, *day).is_empty() || !names(&calendar.expires, *day).is_empty());
            @let days: Vec<usize> = days.collect();
            @if days.is_empty() { p { "Nothing is due, and no key expires." } }
            @else {
                table.days {
                    caption.unseen { "Due rotations and expiries by day, in UTC" }
                    thead { tr { th scope="col" { "Day" } th scope="col" { "Due" } th scope="col" { "Expires" } } }
                    tbody {
                        @for day in days {
                            tr {
                                th scope="row" { (calendar.date(day).strftime("%a %Y-%m-%d").to_string()) }
                                td { (links(names(&calendar.due, day))) }
                                td { (links(names(&calendar.expires, day))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn names<'c, 'a>(days: &'c [Vec<&'a CredentialName>], day: usize) -> &'c [&'a CredentialName] {
    days.get(day).map_or(&[], Vec::as_slice)
}

fn links(names: &[&CredentialName]) -> Markup {
    html! {
        @for (index, name) in names.iter().take(NAMES).enumerate() {
            @if index > 0 { ", " }
            a href={ "/credentials/" (name) } { (name) }
        }
        @if names.len() > NAMES { " and " (format::grouped(names.len() - NAMES)) " more" }
    }
}

fn stamp(at: Timestamp) -> Markup {
    html! { time.full datetime=(format!("{at:.0}")) { (at.strftime("%Y-%m-%d %H:%M UTC").to_string()) } }
}

#[cfg(test)]
mod tests;
