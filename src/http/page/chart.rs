//! The calendar as a drawing: a lane for freezes, one for each window, and bars for what is due and what expires.

use jiff::Timestamp;
use jiff::civil::Weekday;
use maud::{Markup, html};

use crate::domain::ids::CredentialName;
use crate::domain::schedule::brief;
use crate::domain::time::later;
use crate::http::page::calendar::{Calendar, DAYS};
use crate::http::page::format;

/// The drawing in units: a gutter for the names of the lanes, then the days.
const GUTTER: i64 = 110;
const DAY: i64 = 10;
const WIDTH: i64 = GUTTER + DAY * 90;
const TOP: i64 = 24;
const BAND: i64 = 16;
const BARS: i64 = 56;
const GAP: i64 = 12;

/// A narrow window scrolls it sideways.
pub(super) fn section(calendar: &Calendar<'_>, now: Timestamp) -> Markup {
    let freezes = TOP + GAP;
    let windows = freezes + if calendar.freezes.is_empty() { 0 } else { BAND + GAP };
    let count = i64::try_from(calendar.windows.len()).unwrap_or(0);
    let due = windows + count * (BAND + GAP);
    let expires = due + BARS + GAP;
    let height = expires + BARS + 4;
    let label = "Freezes, windows, due rotations and expiries of the next 90 days; the list below has the same as text";
    html! {
        div.drawing role="region" aria-label="Calendar" tabindex="0" {
            svg.calendar role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (height) } {
                (weeks(calendar, height))
                rect.today x=(place(calendar, now)) y=(TOP) width="2" height=(height - TOP) { title { "now" } }
                @if !calendar.freezes.is_empty() {
                    (name("Freezes", freezes, BAND))
                    @for freeze in &calendar.freezes {
                        @let (from, until) = (place(calendar, freeze.from), place(calendar, freeze.until));
                        rect.freeze x=(from) y=(freezes) width=((until - from).max(3)) height=(BAND) { title { (freeze.name) } }
                    }
                }
                @for (index, window) in (0i64..).zip(&calendar.windows) {
                    @let y = windows + index * (BAND + GAP);
                    (name(&format!("Window of {}", window.credentials), y, BAND))
                    @for opening in &window.openings {
                        @let from = place(calendar, *opening);
                        @let until = place(calendar, later(*opening, window.lasts));
                        rect.window x=(from) y=(y) width=((until - from).max(2)) height=(BAND) {}
                    }
                    rect.over x=(GUTTER) y=(y) width=(WIDTH - GUTTER) height=(BAND) { title { (window.opens) ", for " (brief(window.lasts)) } }
                }
                (name("Due", due, BARS))
                (bars(calendar, &calendar.due, due, "due"))
                (name("Expires", expires, BARS))
                (bars(calendar, &calendar.expires, expires, "expires"))
            }
        }
    }
}

/// A line for each Monday, and the months.
fn weeks(calendar: &Calendar<'_>, height: i64) -> Markup {
    html! {
        @for (day, at) in (0..DAYS).zip(0i64..) {
            @let date = calendar.date(day);
            @let x = GUTTER + at * DAY;
            @if date.weekday() == Weekday::Monday { rect.week x=(x) y=(TOP) width="1" height=(height - TOP) {} }
            @if date.day() == 1 || (day == 0 && date.day() < 25) {
                rect.month x=(x) y="6" width="1" height=(height - 6) {}
                text.caption x=(x + 5) y="16" { (date.strftime("%B").to_string()) }
            }
        }
    }
}

/// The name of a lane, at its lower end.
fn name(text: &str, y: i64, height: i64) -> Markup {
    html! { text.caption x="0" y=(y + height - 4) { (text) } }
}

fn bars(calendar: &Calendar<'_>, days: &[Vec<&CredentialName>], y: i64, group: &str) -> Markup {
    let most = days.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let peak = days.iter().position(|names| names.len() == most);
    let height = |count: usize| i64::try_from(count * 44 / most).unwrap_or(44).max(3);
    html! {
        rect.base x=(GUTTER) y=(y + BARS - 1) width=(WIDTH - GUTTER) height="1" {}
        @for (day, at) in (0..DAYS).zip(0i64..) {
            @if let Some(count) = days.get(day).map(Vec::len).filter(|count| *count > 0) {
                @let x = GUTTER + at * DAY;
                rect class=(group) x=(x + 1) y=(y + BARS - 1 - height(count)) width=(DAY - 2) height=(height(count)) {
                    title { (calendar.date(day).to_string()) ": " (format::grouped(count)) }
                }
                @if peak == Some(day) { text.caption.peak x=(x + DAY / 2) y=(y + 8) { (format::grouped(count)) } }
            }
        }
    }
}

fn place(calendar: &Calendar<'_>, at: Timestamp) -> i64 {
    let at = at.clamp(calendar.start, calendar.end());
    GUTTER + at.duration_since(calendar.start).as_secs() * DAY / 86_400
}
