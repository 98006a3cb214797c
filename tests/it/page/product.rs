//! What makes it good to work with: counts that add up, a filter that follows, an order, local time, links, commands.

use std::time::Duration;

use serde_json::json;

use super::looks::picture;
use super::sight::{Sight, crowd};
use crate::http::harness::Harness;
use crate::support::browser::Browser;

const A_WHILE: Duration = Duration::from_secs(20);

const ROWS: &str = "[...document.querySelectorAll('#list tbody tr')].map((row) => row.id)";

/// The numbers at the top.
fn counts(html: &str) -> Vec<usize> {
    let list = html.split("<ul class=\"counts\">").nth(1).unwrap().split("</ul>").next().unwrap();
    let numbers = list.split("<strong>").skip(1).map(|it| it.split('<').next().unwrap().replace(',', ""));
    numbers.map(|number| number.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_add_up_many_with_one_cause_are_one_row_and_each_count_leads_to_as_many() {
    let sight = Sight::with(&crowd(30), async |past| {
        past.crowd(30).await;
        past.leaked("podcast-studio", "the provider found the key in public").await;
        for number in 0..25 {
            past.idle(&format!("gone-{number:02}"), 3).await;
        }
    })
    .await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    let html = sight.get("/").await;
    let numbers = counts(&html);
    assert_eq!(numbers[0], 57, "{html}");
    assert_eq!(numbers[1..].iter().sum::<usize>(), 57, "{numbers:?}");
    assert!(html.contains("25 credentials no longer in the policy"), "{html}");
    assert!(!html.contains("row-gone-00") && html.contains("cause=policy.removed"), "{html}");
    let list = html.split("<ul class=\"counts\">").nth(1).unwrap().split("</ul>").next().unwrap();
    let ways: Vec<&str> = list.split("href=\"").skip(1).map(|it| it.split('#').next().unwrap()).collect();
    for (way, number) in ways.iter().zip(&numbers).skip(1) {
        let rows = sight.get(&way.replace("&amp;", "&")).await.matches("<tr role=\"row\" id=").count();
        assert_eq!(rows, *number, "{way}");
    }
    let each = sight.get("/?cause=policy.removed").await;
    assert_eq!(each.matches("<tr role=\"row\" id=\"row-gone-").count(), 25, "{each}");
    let mut browser = Browser::start().await;
    for scheme in ["light", "dark"] {
        browser.prefer("prefers-color-scheme", scheme).await;
        for width in [1440, 360] {
            browser.size(width, 900).await;
            for (path, name) in
                [("", "sixty"), ("calendar", "sixty-calendar"), ("activity", "sixty-activity")]
            {
                browser.open(&format!("{}/{path}", sight.url)).await;
                browser.picture(true, &picture(&format!("{name}-{width}-{scheme}"))).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_follows_what_is_typed_and_the_order_is_in_the_address() {
    let sight = Sight::with(&crowd(12), async |past| past.crowd(12).await).await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/", sight.url)).await;
    let set = |id: &str, value: &str| {
        format!(
            "(() => {{ const it = document.querySelector('{id}'); it.value = '{value}'; it.focus(); \
             it.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        )
    };
    browser.eval(&set("#q", "service-000")).await;
    browser.until(&format!("{ROWS}.length === 10"), A_WHILE).await;
    browser.eval(&set("#workspace", "prod")).await;
    browser.until(&format!("{ROWS}.length === 0"), A_WHILE).await;
    browser.eval(&set("#workspace", "quiet")).await;
    browser.until(&format!("{ROWS}.length === 10"), A_WHILE).await;
    let kept = "[location.search, document.querySelector('#q').value, document.activeElement.id]";
    assert_eq!(
        browser.eval(kept).await,
        json!(["?q=service-000&workspace=quiet", "service-000", "workspace"])
    );
    browser.eval(&set("#workspace", "")).await;
    browser.eval(&set("#q", "SPEECH")).await;
    browser.until(&format!("{ROWS}.join() === 'row-speech-gateway'"), A_WHILE).await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.open(&format!("{}/?sort=-credential", sight.url)).await;
    let first = format!("[{ROWS}[0], document.querySelector('[aria-sort]').ariaSort]");
    assert_eq!(browser.eval(&first).await, json!(["row-speech-gateway", "descending"]));
    browser.eval("document.querySelector('[aria-sort] a').click()").await;
    browser.until(&format!("{ROWS}[0] === 'row-service-0000'"), A_WHILE).await;
    // The account of a credential in the policy is found by its name.
    browser.open(&format!("{}/?q=voice+of+service+7", sight.url)).await;
    assert_eq!(browser.eval(ROWS).await, json!(["row-service-0007"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn local_time_stands_beside_utc_and_ids_can_be_copied() {
    let sight = Sight::in_overlap().await;
    let mut browser = Browser::start().await;
    browser.call("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Kolkata" })).await;
    browser.open(&format!("{}/credentials/speech-gateway", sight.url)).await;
    let local = "(() => {
        const time = document.querySelector('time.full');
        const local = new Date(new Date(time.dateTime).getTime() + 5.5 * 3600e3).toISOString().slice(11, 19);
        return [time.textContent.endsWith(' UTC'), time.nextElementSibling.textContent.includes(local),
                document.querySelector('#as-of .local') !== null];
    })()";
    assert_eq!(browser.eval(local).await, json!([true, true, true]));
    let twice =
        "(document.dispatchEvent(new Event('visibilitychange')), new Promise((done) => setTimeout(() => done(
        document.querySelectorAll('#as-of .local').length), 1500)))";
    assert_eq!(browser.eval(twice).await, json!(1));
    let grant =
        json!({ "origin": sight.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.call("Browser.grantPermissions", grant).await;
    browser.call("Page.bringToFront", json!({})).await;
    browser.eval("document.querySelector('.id .copy').click()").await;
    browser.until("document.querySelector('.id .copy').textContent === 'Copied'", A_WHILE).await;
    let copied = browser.eval("navigator.clipboard.readText()").await;
    assert_eq!(copied, browser.eval("document.querySelector('.id code').textContent").await);
    assert!(
        sight
            .get("/credentials/speech-gateway")
            .await
            .contains("<dt>Service account</dt><dd>speech-gateway <span")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_the_policy_lead_to_the_workspace_the_secret_and_the_dashboard() {
    let links = r#"
[daemon.links]
workspace = "https://elevenlabs.example/app/service-accounts?id={account}"
grafana = "https://grafana.example/d/rekeyd?var-credential={credential}&var-workspace={workspace}"
secrets.local = "https://console.example/secret?name={secret}&in={store}"
"#;
    let sight = Sight::with(links, async |_| {}).await;
    let html = sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    for wanted in [
        "href=\"https://grafana.example/d/rekeyd?var-credential=speech-gateway&amp;var-workspace=prod\" rel=\"external noopener noreferrer\"",
        "href=\"https://console.example/secret?name=speech-gateway&amp;in=local\"",
        "href=\"https://elevenlabs.example/app/service-accounts?id=",
    ] {
        assert!(html.contains(wanted), "no {wanted} in {html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_is_possible_is_shown_and_no_other() {
    let harness = Harness::open().await;
    for (name, there, elsewhere) in [
        (
            "wide",
            vec!["abort wide", "retry wide", "pause wide", "history wide"],
            vec!["confirm wide", "rollback wide", "reinstate wide", "accept wide", "rotate wide<"],
        ),
        (
            "tts",
            vec!["rotate tts --emergency", "status tts --why"],
            vec!["rollback tts", "retry tts", "confirm tts", "reinstate tts", "abort tts", "repair tts"],
        ),
    ] {
        let html = harness.get(&format!("/credentials/{name}")).await.text;
        let commands: Vec<&str> = html
            .split("aria-label=\"Copy the command ")
            .skip(1)
            .map(|it| it.split('"').next().unwrap())
            .collect();
        for wanted in there {
            assert!(commands.contains(&format!("rekeyd {wanted}").as_str()), "no {wanted} in {commands:?}");
        }
        for refused in elsewhere {
            assert!(!commands.contains(&format!("rekeyd {refused}").as_str()), "{refused} in {commands:?}");
        }
        for command in commands {
            rekeyd::cli::understands(command.split(' ')).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calendar_and_the_activity_tell_what_comes_and_what_was() {
    let sight = Sight::with(&crowd(12), async |past| past.crowd(12).await).await;
    sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
    let calendar = sight.get("/calendar").await;
    for wanted in [
        "<svg class=\"calendar\"",
        "Window of 12",
        "class=\"due\"",
        "class=\"expires\"",
        "/credentials/service-0011",
    ] {
        assert!(calendar.contains(wanted), "no {wanted} in {calendar}");
    }
    assert!(
        calendar.contains("Age of the keys") && calendar.contains("12 keys: ")
            || calendar.contains("13 keys: "),
        "{calendar}"
    );
    let activity = sight.get("/activity").await;
    let promoted =
        activity.find("<strong>promoted</strong> <a href=\"/credentials/speech-gateway\">").unwrap();
    let minted = activity.find("<strong>minted</strong> <a href=\"/credentials/speech-gateway\">").unwrap();
    assert!(promoted < minted, "the newest is first: {activity}");
    assert!(!activity.contains("entry_sha256"), "{activity}");
    let older = sight.get("/activity?before=3").await;
    assert!(older.contains("id=\"act-2\"") && !older.contains("id=\"act-3\""), "{older}");
}
