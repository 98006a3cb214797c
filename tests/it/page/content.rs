//! What the pages say and do not say, to whoever asks without a browser.

use std::sync::atomic::Ordering::SeqCst;

use reqwest::Method;
use serde_json::json;

use crate::http::harness::Harness;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// As a person reads it: without tags, spaces folded.
fn read(html: &str) -> String {
    let texts: Vec<&str> = html.split('<').map(|part| part.split_once('>').map_or(part, |it| it.1)).collect();
    texts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_shows_problems_first_with_the_next_command() {
    let harness = Harness::open().await;
    let seen = harness.get("/").await;
    assert_eq!(
        (seen.status, seen.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    assert!(seen.text.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{}", seen.text);
    assert!(seen.text.contains("<title>1 needs attention · rekeyd</title>"), "{}", seen.text);
    let text = read(&seen.text);
    let places: Vec<usize> = [
        "1 of 2 credentials needs attention",
        "Needs attention",
        "wide parked",
        "Impact: None. The old key works.",
        "rekeyd abort wide",
        "Workspaces",
        "Keys created this hour 1 of 20",
        "Other credentials: 1",
        "both keys work, waiting on: ",
    ]
    .map(|wanted| text.find(wanted).unwrap_or_else(|| panic!("no `{wanted}` in {text}")))
    .to_vec();
    assert!(places.is_sorted(), "{places:?} {text}");
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_page_names_the_lagging_consumers_and_has_the_history() {
    let harness = Harness::open().await;
    let print = harness.served("tts");
    let ack = harness.ack("tts", "tok_api_planted", json!({ "fingerprint": print })).await;
    assert_eq!(ack.status, 200, "{}", ack.text);
    let seen = harness.get("/credentials/tts").await;
    assert!(seen.text.contains("<title>tts waiting · rekeyd</title>"), "{}", seen.text);
    assert!(seen.text.contains("aria-current=\"step\"><span class=\"phase\">overlap"), "{}", seen.text);
    let text = read(&seen.text);
    for wanted in [
        "None. Both keys work.",
        "acks waiting",
        "batch : ",
        "api new key",
        "batch not reported",
        "created key",
        "Rollback",
        "local:secret-of-tts , current",
    ] {
        assert!(text.contains(wanted), "no `{wanted}` in {text}");
    }
    let seen = harness.get("/credentials/wide").await.text;
    let here = seen.find("aria-current=\"step\"><span class=\"phase\">parked").unwrap();
    let ahead = seen.find("<li class=\"ahead\"><span class=\"phase\">due").unwrap();
    assert!(here < ahead, "it goes on from where it was parked: {seen}");
    let parked = read(&seen);
    for wanted in ["Next command rekeyd abort wide", "Runbook: unrestricted", "Action: Restrict the old key"]
    {
        assert!(parked.contains(wanted), "no `{wanted}` in {parked}");
    }
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_is_text_and_nothing_else() {
    let harness = Harness::open().await;
    let why = "</p><script>alert(1)</script><img src=x onerror='a'>\" & more";
    for scope in [json!({ "all": true, "why": why }), json!({ "credential": "tts", "why": why })] {
        assert_eq!(harness.order(Method::POST, "/v1/pause", Some(scope)).await.status, 200);
    }
    for path in ["/", "/credentials/tts", "/credentials/wide"] {
        // What was observed may be a second old.
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        let text = loop {
            let text = harness.get(path).await.text;
            if text.contains("alert(1)") {
                break text;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path}: {text}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        assert!(
            text.contains("&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror='a'&gt;"),
            "{text}"
        );
        assert!(!text.contains("<img") && text.matches("<script").count() == 1, "{text}");
    }
    let query = "/?q=%22%3E%3Cscript%3Ealert(2)%3C/script%3E&show=%3Cb%3E&page=%3Cb%3E";
    let text = harness.get(query).await.text;
    assert!(text.contains("value=\"&quot;&gt;&lt;script&gt;alert(2)&lt;/script&gt;\""), "{text}");
    assert!(text.contains("0 of 2 credentials"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_origin_may_be_asked_or_frame_it() {
    let harness = Harness::open().await;
    for (path, status, kind) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/credentials/tts", 200, "text/html; charset=utf-8"),
        ("/calendar", 200, "text/html; charset=utf-8"),
        ("/activity?before=x", 200, "text/html; charset=utf-8"),
        ("/credentials/sk_pasted_by_mistake", 404, "text/html; charset=utf-8"),
        ("/credentials/%FF", 404, "text/html; charset=utf-8"),
        ("/page.css", 200, "text/css; charset=utf-8"),
        ("/page.js", 200, "text/javascript; charset=utf-8"),
        ("/page.svg", 200, "image/svg+xml"),
    ] {
        let seen = harness.get(path).await;
        assert_eq!(seen.status, status, "{path}: {}", seen.text);
        for (header, value) in [
            ("content-type", kind),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(seen.headers[header], value, "{path}");
        }
        assert!(!seen.text.contains("sk_pasted"), "{}", seen.text);
        for foreign in ["href=\"http", "src=\"http", "url(", "@import", " style=", " on"] {
            let is_markup = kind.starts_with("text/html") || kind.starts_with("text/css");
            let found = seen
                .text
                .split('>')
                .any(|tag| tag.rsplit_once('<').is_some_and(|(_, tag)| tag.contains(foreign)));
            assert!(!(is_markup && found), "{path} has {foreign}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acts() {
    let harness = Harness::open().await;
    for path in ["/", "/credentials/tts", "/credentials/wide", "/calendar", "/activity"] {
        let text = harness.get(path).await.text;
        assert!(!text.contains("method=\"post\"") && !text.contains("formaction"), "{text}");
        let ways: Vec<&str> =
            text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let is_page =
            |way: &&str| ["/", "/?", "/credentials/", "/page.", "#"].iter().any(|it| way.starts_with(it));
        assert!(!ways.is_empty() && ways.iter().all(is_page), "{ways:?}");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let seen = harness.send(harness.request(method, path)).await;
            assert_eq!((seen.status, seen.code().as_str()), (405, "method_not_allowed"), "{path}");
        }
    }
    let events = harness.events("wide").await.len();
    harness.get("/credentials/wide/abort").await;
    assert_eq!(harness.events("wide").await.len(), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_narrowed_by_the_address_alone() {
    let harness = Harness::open().await;
    for (query, names) in [
        ("q=TT", vec!["tts"]),
        ("q=unrestricted", vec!["wide"]),
        ("q=prod", vec!["wide", "tts"]),
        ("show=attention", vec!["wide"]),
        ("show=waiting", vec!["tts"]),
        ("show=parked&q=tts", vec![]),
        ("show=nonsense&q=w+i", vec![]),
        ("page=x&q=", vec![]),
    ] {
        let text = harness.get(&format!("/?{query}")).await.text;
        let rows: Vec<&str> = text
            .split("<tr role=\"row\" id=\"row-")
            .skip(1)
            .map(|row| row.split('"').next().unwrap())
            .collect();
        match query {
            "page=x&q=" => assert_eq!(rows, ["tts"], "no filter at all: {text}"),
            _ => assert_eq!(rows, names, "{query}"),
        }
    }
    let text = harness.get("/?q=t+s&show=parked").await.text;
    assert!(text.contains("value=\"t s\"") && text.contains("<option value=\"parked\" selected>"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_read_is_a_page_that_says_what_to_do() {
    let harness = Harness::open().await;
    harness.journal.is_broken.store(true, SeqCst);
    for path in ["/", "/credentials/tts"] {
        let begun = tokio::time::Instant::now();
        let seen = loop {
            let seen = harness.get(path).await;
            if seen.status == 503 || begun.elapsed() > std::time::Duration::from_secs(10) {
                break seen;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        assert_eq!((seen.status, seen.headers["content-security-policy"].to_str().unwrap()), (503, POLICY));
        let text = read(&seen.text);
        for wanted in ["Cannot read the journal", "the disk is gone", "findmnt -o", "Free disk space"] {
            assert!(text.contains(wanted), "no `{wanted}` in {text}");
        }
    }
    let unknown = harness.get("/credentials/none").await;
    assert_eq!(unknown.status, 503);
    harness.journal.is_broken.store(false, SeqCst);
    assert_eq!(harness.get("/credentials/tts").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_daemon_itself_stands_above_everything() {
    let harness = Harness::open().await;
    harness.status.send_modify(|status| status.reload_refused = Some("line 3".to_owned()));
    harness.clock.1.store(3600, SeqCst);
    let begun = tokio::time::Instant::now();
    let text = loop {
        let text = harness.get("/").await.text;
        if text.contains("has stalled") || begun.elapsed() > std::time::Duration::from_secs(10) {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(text.contains("<title>engine stalled · rekeyd</title>"), "{text}");
    let text = read(&text);
    for wanted in ["The engine loop has stalled", "The newest policy was rejected"] {
        assert!(
            text.contains(wanted) || text.contains(&wanted.replace("&#39;", "'")),
            "no `{wanted}` in {text}"
        );
    }
}
