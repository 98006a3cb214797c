//! How Chromium shows it: narrow and wide, light and dark. The pictures are left beside the test programs.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::past::Past;
use super::sight::{Sight, crowd};
use crate::support::browser::Browser;

/// The least contrast of text with what it stands on, large text aside.
const CONTRAST: &str = include_str!("contrast.js");

pub(super) fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page").join(format!("{name}.png"))
}

async fn remember(past: &mut Past) {
    past.parked("dubbing-worker", "aws:prod/dubbing-worker serves a value that rekeyd did not put there")
        .await;
    past.leaked("podcast-studio", "the provider found the key in public and has disabled it").await;
    past.blocked("archive-import").await;
    past.rotated("voice-agent", 9).await;
    for (index, name) in ["audiobooks", "call-center", "game-npc", "newsroom", "subtitles"].iter().enumerate()
    {
        past.idle(name, 3 + 4 * i64::try_from(index).unwrap()).await;
    }
}

/// Looks at one page in every way, and finds nothing wrong.
async fn look(browser: &mut Browser, url: &str, name: &str) {
    for (width, height) in [(1440, 900), (360, 740)] {
        for scheme in ["light", "dark"] {
            browser.size(width, height).await;
            browser.prefer("prefers-color-scheme", scheme).await;
            browser.open(url).await;
            let overflow = browser.eval("document.documentElement.scrollWidth - innerWidth").await;
            assert_eq!(overflow, json!(0), "{name} is wider than {width}");
            let contrast = browser.eval(CONTRAST).await;
            assert_eq!(contrast, json!([]), "{name} in {scheme} has text that is hard to read");
            browser.picture(true, &picture(&format!("{name}-{width}-{scheme}"))).await;
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let elsewhere: Vec<String> = browser.asked().into_iter().filter(|it| !it.starts_with(&origin)).collect();
    assert_eq!(elsewhere, Vec::<String>::new(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_and_each_credential_are_legible_in_every_window() {
    let sight = Sight::open(remember).await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    sight.acknowledge().await;
    sight
        .command(&[
            "pause",
            "--workspace",
            "prod",
            "--only",
            "revoking",
            "--reason",
            "an incident at the provider",
        ])
        .await;
    let mut browser = Browser::start().await;
    look(&mut browser, &format!("{}/", sight.url), "fleet").await;
    for name in ["speech-gateway", "dubbing-worker", "podcast-studio", "voice-agent", "archive-import"] {
        look(&mut browser, &format!("{}/credentials/{name}", sight.url), name).await;
    }
    browser.open(&format!("{}/", sight.url)).await;
    let first = browser.eval("document.querySelector('.card h3').innerText").await;
    assert!(first.as_str().unwrap().starts_with("podcast-studio"), "a leak comes first: {first}");
    browser.open(&format!("{}/credentials/archive-import", sight.url)).await;
    let title: Value = browser.eval("document.title").await;
    assert_eq!(title, "archive-import needs attention · rekeyd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_credentials_are_quick_to_come_and_to_use() {
    let sight = Sight::with(&crowd(1000), async |past| {
        past.crowd(1000).await;
        for number in 0..30 {
            past.parked(
                &format!("parked-{number:02}"),
                "aws:prod/x serves a value that rekeyd did not put there",
            )
            .await;
        }
    })
    .await;
    let begun = std::time::Instant::now();
    let first = sight.get("/").await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(first.len() < 150_000, "{} bytes", first.len());
    assert!(
        first.contains("<h1 aria-live=\"polite\">30 of 1,031 credentials need attention</h1>"),
        "{first}"
    );
    assert_eq!((first.matches("<article").count(), first.matches("<tr role=\"row\" id=").count()), (1, 100));
    assert!(
        first.contains("30 credentials parked: foreign value") && first.contains("/credentials/parked-29"),
        "{first}"
    );
    let last = sight.get("/?page=11").await;
    assert!(
        last.contains("1,001 to 1,001 of 1,001") && last.matches("<tr role=\"row\" id=").count() == 1,
        "{last}"
    );
    assert!(sight.get("/?page=10").await.contains("row-service-0950"));
    let each = sight.get("/?show=attention").await;
    assert_eq!(each.matches("<tr role=\"row\" id=\"row-parked-").count(), 30, "{each}");
    let found = sight.get("/?q=SERVICE-0042&show=out_of_sync").await;
    assert!(
        found.contains("1 of 1,031 credentials") && found.contains("/credentials/service-0042"),
        "{found}"
    );
    assert_eq!(found.matches("<tr role=\"row\" id=").count(), 1);
    let mut browser = Browser::start().await;
    look(&mut browser, &format!("{}/", sight.url), "thousand").await;
    look(&mut browser, &format!("{}/?q=042", sight.url), "thousand-filtered").await;
    look(&mut browser, &format!("{}/calendar", sight.url), "thousand-calendar").await;
    look(&mut browser, &format!("{}/activity", sight.url), "thousand-activity").await;
}
