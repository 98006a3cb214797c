//! The layout of every page: head, header, footer, and the script that refreshes the content.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::domain::sanitize::one_line;
use crate::http::page::format;
use crate::telemetry::metrics;

/// The refresh interval in seconds, with and without JavaScript.
const REFRESH: u32 = 10;

const SECTIONS: [(&str, &str); 3] = [("/", "Credentials"), (CALENDAR, "Calendar"), (ACTIVITY, "Activity")];
pub(super) const FLEET: &str = "/";
pub(super) const CALENDAR: &str = "/calendar";
pub(super) const ACTIVITY: &str = "/activity";

pub(super) struct Page {
    pub(super) status: StatusCode,
    /// The entry of the navigation that it is.
    pub(super) section: Option<&'static str>,
    /// The state, for the title of the tab.
    pub(super) title: String,
    /// The time of the data.
    pub(super) at: Option<Timestamp>,
    pub(super) body: Markup,
}

impl Page {
    fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (self.title) " · rekeyd" }
                    link rel="icon" href="/page.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/page.css";
                    script src="/page.js" defer {}
                    noscript { meta http-equiv="refresh" content=(REFRESH); }
                }
                body data-every=(REFRESH) {
                    a.skip href="#live" { "Skip to content" }
                    header.top #top {
                        a.home href="/" { "rekeyd" }
                        nav.sections aria-label="Pages" {
                            @for (way, text) in SECTIONS {
                                a href=(way) aria-current=[(self.section == Some(way)).then_some("page")] { (text) }
                            }
                        }
                        @if let Some(at) = self.at {
                            p #as-of { "as of " (format::clock(at)) }
                        }
                    }
                    div #stale role="status" aria-live="polite" {}
                    main #live tabindex="-1" { (self.body) }
                    footer {
                        p { "Read-only. Run commands on the machine of rekeyd." }
                        p { "rekeyd " (metrics::VERSION) " · times are UTC" span.zone {} " · refreshes every " (REFRESH) " s" }
                    }
                }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        // Many texts come from outside: control characters must not change how the page is shown.
        (self.status, kind, one_line(&self.render().into_string())).into_response()
    }
}
