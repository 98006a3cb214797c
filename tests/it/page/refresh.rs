//! The page in a browser while things change: it follows, keeps the reader's place, and says when nobody answers.

use std::time::Duration;

use serde_json::json;

use super::looks::picture;
use super::sight::{Sight, crowd};
use crate::support::browser::Browser;

/// Longer than the refresh interval of the page.
const A_WHILE: Duration = Duration::from_secs(25);

/// What its timer does every few seconds.
const NOW: &str = "document.dispatchEvent(new Event('visibilitychange'))";

/// Until a refresh has brought it: what is told of the fleet may be a second old.
async fn refreshed(browser: &mut Browser, wanted: &str) {
    browser.until(&format!("({NOW}, {wanted})"), A_WHILE).await;
}

const STAND: &str = "(() => {
    const link = document.querySelector('#row-service-0090 a');
    link.marked = true;
    link.scrollIntoView({ block: 'center' });
    link.focus({ preventScroll: true });
    document.querySelector('#q').value = 'half a wor';
    return scrollY;
})()";

const KEPT: &str = "[scrollY, document.activeElement.marked === true, document.querySelector('#q').value]";

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_keeps_the_readers_place_and_shows_what_is_new() {
    let sight = Sight::with(&crowd(100), async |past| past.crowd(100).await).await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    let mut browser = Browser::start().await;
    browser.size(1280, 800).await;
    browser.open(&format!("{}/", sight.url)).await;
    let stood = browser.eval(STAND).await;
    assert!(stood.as_f64().unwrap() > 500.0, "{stood}");
    // Below what the reader looks at, so that nothing has to move.
    sight.command(&["pause", "service-0099", "--reason", "<i>an audit</i>"]).await;
    refreshed(&mut browser, "document.body.innerText.includes('<i>an audit</i>')").await;
    let kept = browser.eval(KEPT).await;
    assert_eq!(kept[1], json!(true), "the focus is where it was");
    assert_eq!(kept[2], json!("half a wor"), "what was being typed is still there");
    // What has come above pushes the row down; the browser's own anchoring keeps it in sight.
    let seen = "(() => { const at = document.activeElement.getBoundingClientRect(); return at.top > 0 && at.bottom < innerHeight; })()";
    assert_eq!(browser.eval(seen).await, json!(true), "the reader still sees the same row: {kept}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_folded_stays_folded_and_a_copied_command_is_said_to_be() {
    let sight = Sight::in_overlap().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/credentials/speech-gateway", sight.url)).await;
    browser.eval("document.querySelector('details.story').open = false").await;
    sight.command(&["pause", "speech-gateway", "--reason", "an audit"]).await;
    refreshed(&mut browser, "document.body.innerText.includes('an audit')").await;
    assert_eq!(browser.eval("document.querySelector('details.story').open").await, json!(false));
    sight.acknowledge().await;
    refreshed(&mut browser, "document.querySelector('#consumers + table').innerText.includes('new key')")
        .await;
    let grant =
        json!({ "origin": sight.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.call("Browser.grantPermissions", grant).await;
    browser.call("Page.bringToFront", json!({})).await;
    browser.eval("document.querySelector('.copy').click()").await;
    browser.until("document.querySelector('.copy').textContent === 'Copied'", A_WHILE).await;
    let copied = browser.eval("navigator.clipboard.readText()").await;
    assert_eq!(copied, "rekeyd resume speech-gateway");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_does_not_answer_is_said_to_be_silent_until_it_answers_again() {
    let mut sight = Sight::in_overlap().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/", sight.url)).await;
    assert_eq!(browser.eval("document.querySelector('#stale').checkVisibility()").await, json!(false));
    sight.kill().await;
    // Nothing but its own timer tells it.
    browser
        .until(
            "document.querySelector('#stale').innerText.startsWith('rekeyd has not responded since ')",
            A_WHILE,
        )
        .await;
    let told = "[document.querySelector('#stale').checkVisibility(), document.querySelector('#stale').ariaLive, \
                document.title.startsWith('no response · '), document.body.innerText.includes('speech-gateway')]";
    assert_eq!(browser.eval(told).await, json!([true, "polite", true, true]));
    browser.picture(false, &picture("stale")).await;
    sight.start().await;
    refreshed(&mut browser, "document.querySelector('#stale').textContent === ''").await;
    assert_eq!(browser.eval("document.title").await, "no problems · rekeyd");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_a_script_and_from_the_keyboard() {
    let sight = Sight::in_overlap().await;
    let mut browser = Browser::start().await;
    browser.prefer("prefers-reduced-motion", "reduce").await;
    browser.open(&format!("{}/", sight.url)).await;
    let moves =
        "[...document.querySelectorAll('*')].some((it) => getComputedStyle(it).transitionDuration !== '0s')";
    assert_eq!(browser.eval(moves).await, json!(false), "something moves");
    let mut visited = Vec::new();
    for _ in 0..4 {
        for kind in ["keyDown", "keyUp"] {
            let tab = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            browser.call("Input.dispatchKeyEvent", tab).await;
        }
        let outlined = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert_eq!(browser.eval(outlined).await, json!(true), "the focus is not to be seen");
        visited.push(browser.eval("document.activeElement.textContent").await);
    }
    assert_eq!(visited[..2], [json!("Skip to content"), json!("rekeyd")]);
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.open(&format!("{}/", sight.url)).await;
    let plain = "[document.querySelector('noscript meta')?.content, document.documentElement.className, \
                 document.querySelector('.copy')?.checkVisibility() ?? false]";
    assert_eq!(browser.eval(plain).await, json!(["10", "", false]));
    browser.open(&format!("{}/?q=speech#list", sight.url)).await;
    assert_eq!(browser.eval("document.querySelectorAll('#list tbody tr').length").await, json!(1));
}
