//! How old the keys are.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::{CredentialReport, StatusReport};
use crate::domain::time::age;
use crate::http::page::format::{self, count, grouped};

/// Each with the days that it ends before; the last one has no end.
const GROUPS: [(&str, i64); 8] = [
    ("under 7 d", 7),
    ("7–13 d", 14),
    ("14–29 d", 30),
    ("30–59 d", 60),
    ("60–89 d", 90),
    ("90–179 d", 180),
    ("180–364 d", 365),
    ("from 365 d", i64::MAX),
];

const COLUMN: i64 = 100;
const HEIGHT: i64 = 120;
const WIDTH: i64 = COLUMN * 8;

/// The number of keys in each group.
fn numbers(report: &StatusReport, now: Timestamp) -> [usize; 8] {
    let mut numbers = [0; 8];
    for since in report.credentials.iter().filter_map(|it| it.key_since) {
        let days = now.duration_since(since).as_hours() / 24;
        let group = GROUPS.iter().position(|(_, end)| days < *end);
        if let Some(number) = group.and_then(|group| numbers.get_mut(group)) {
            *number += 1;
        }
    }
    numbers
}

pub(super) fn section(report: &StatusReport, now: Timestamp) -> Markup {
    let numbers = numbers(report, now);
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let height = |number: usize| i64::try_from(number * 100 / most).unwrap_or(100).max(1);
    let oldest = report.credentials.iter().filter(|it| it.key_since.is_some()).min_by_key(|it| it.key_since);
    let told: Vec<String> = GROUPS
        .iter()
        .zip(numbers)
        .map(|((label, _), number)| format!("{label}: {}", grouped(number)))
        .collect();
    html! {
        section aria-labelledby="ages" {
            h2 #ages { "Age of the keys" }
            @if let Some(oldest) = oldest { (oldest_key(oldest, now)) }
            div.drawing role="region" aria-label="Keys by age" tabindex="0" {
                svg.ages role="img" aria-label={ (count(numbers.iter().sum(), "key", "keys")) ": " (told.join(", ")) } viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 44) } {
                    rect.base x="0" y=(HEIGHT + 20) width=(WIDTH) height="1" {}
                    @for (index, ((label, _), number)) in (0i64..).zip(GROUPS.iter().zip(numbers)) {
                        @let middle = index * COLUMN + COLUMN / 2;
                        @if number > 0 {
                            rect.age x=(index * COLUMN + 12) y=(HEIGHT + 20 - height(number)) width=(COLUMN - 24) height=(height(number)) {}
                            text.caption.peak x=(middle) y=(HEIGHT + 14 - height(number)) { (grouped(number)) }
                        }
                        text.caption.peak x=(middle) y=(HEIGHT + 38) { (label) }
                    }
                }
            }
        }
    }
}

fn oldest_key(oldest: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        @if let Some(since) = oldest.key_since {
            p { "The oldest one, of " (format::link(oldest)) ", has been in service for " (age(since, now)) "." }
        }
    }
}
