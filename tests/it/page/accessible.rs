//! What axe-core finds wrong with the pages for people with a keyboard, a screen reader or little sight: nothing.

use std::path::Path;

use serde_json::json;

use super::sight::{Sight, crowd};
use crate::support::browser::Browser;

/// `make test` brings it.
const AXE: &str = "target/axe/axe_playwright_python/axe.min.js";

const RUN: &str = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((told) =>
    [told.passes.length > 20, told.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(' ').slice(0, 400)}`)])";

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_wrong_with_any_page() {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
    let axe = std::fs::read_to_string(axe).expect("axe-core (`make test` brings it)");
    let sight = Sight::with(&crowd(12), async |past| {
        past.crowd(12).await;
        past.parked("dubbing-worker", "aws:prod/x serves a value that rekeyd did not put there").await;
        past.leaked("podcast-studio", "the provider found the key in public and has disabled it").await;
        past.rotated("voice-agent", 9).await;
        for number in 0..5 {
            past.blocked(&format!("blocked-{number}")).await;
        }
    })
    .await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    let mut browser = Browser::start().await;
    for (width, scheme) in [(1440, "light"), (360, "dark")] {
        browser.size(width, 900).await;
        browser.prefer("prefers-color-scheme", scheme).await;
        for path in [
            "/",
            "/?q=service&sort=-next",
            "/calendar",
            "/activity",
            "/credentials/speech-gateway",
            "/credentials/dubbing-worker",
            "/credentials/voice-agent",
        ] {
            browser.open(&format!("{}{path}", sight.url)).await;
            browser.eval(&format!("{axe}; true")).await;
            assert_eq!(browser.eval(RUN).await, json!([true, []]), "{path} at {width}, {scheme}");
        }
    }
    // That it would find something.
    browser.eval("document.querySelector('#q, a.home').removeAttribute('href'); document.documentElement.removeAttribute('lang')").await;
    assert_ne!(browser.eval(RUN).await[1], json!([]));
}
