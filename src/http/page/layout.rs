//! The frame of every page: its head, what stands above and below, and the script that refreshes what is between.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::domain::sanitize::one_line;
use crate::http::page::words;
use crate::telemetry::metrics;

/// How often the page asks anew, in seconds: by its script, or without one as a whole.
const EVERY: u32 = 10;

pub(super) struct Page {
    pub(super) status: StatusCode,
    /// Says the state: it is what a tab shows.
    pub(super) title: String,
    /// When what it tells was so.
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
                    noscript { meta http-equiv="refresh" content=(EVERY); }
                }
                body data-every=(EVERY) {
                    a.skip href="#live" { "Skip to the state" }
                    header.top #top {
                        a.home href="/" { "rekeyd" }
                        @if let Some(at) = self.at {
                            p #as-of { "as of " (words::clock(at)) }
                        }
                    }
                    div #stale role="status" aria-live="polite" {}
                    main #live tabindex="-1" { (self.body) }
                    footer {
                        p { "Nothing can be changed from here: orders are typed on the machine that rekeyd runs on." }
                        p { "rekeyd " (metrics::VERSION) " · times are UTC · this page asks anew every " (EVERY) " seconds" }
                    }
                }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        // Much of it was said by others: nothing in it is to be shown otherwise than it is written.
        (self.status, kind, one_line(&self.render().into_string())).into_response()
    }
}
