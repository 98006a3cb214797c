//! One rotation is one trace, and everything that is said of it elsewhere leads there and back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rekeyd::adapters::sqlite::{ReadOnlyJournal, SqliteJournal};
use rekeyd::demo::fixture::Pace;
use rekeyd::domain::rotation::Rotation;
use rekeyd::ports::journal::{AuditReader, JournalReader, RotationHistory};
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use serde_json::{Value, json};

use crate::support::rehearsal::Rehearsal;
use crate::traces::collector::{Collector, HEADER, attributes, hex};

/// A phase that a rotation was in, as its journal tells.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stay {
    phase: String,
    start: u64,
    end: u64,
}

/// The phases that each rotation left, and how it ended, by its id: its journal is folded up to each of its entries. The
/// log would not do, where the program died between an entry and its line.
pub(super) fn stays(rehearsal: &Rehearsal) -> BTreeMap<String, (BTreeSet<Stay>, Option<String>)> {
    let journal = SqliteJournal::open_read_only(&rehearsal.stage.journal()).unwrap();
    let chapters = rehearsal.stage.credentials().flat_map(|name| journal.history(name, 10_000).unwrap());
    let of_chapter = |chapter: RotationHistory| {
        let entries: Vec<_> = chapter.entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
        let nanoseconds = |at: Timestamp| u64::try_from(at.as_nanosecond()).unwrap();
        let (mut left, mut phase, mut start) = (BTreeSet::new(), "due", nanoseconds(entries[0].0));
        for length in 1..=entries.len() {
            let now = Rotation::fold(entries[..length].iter().cloned()).unwrap().phase.name().label();
            let end = nanoseconds(entries[length - 1].0);
            if now != phase {
                left.insert(Stay { phase: phase.to_owned(), start, end });
                (phase, start) = (now, end);
            }
        }
        let is_over = ["done", "aborted", "rolled_back"].contains(&phase);
        (chapter.rotation.to_string(), (left, is_over.then(|| phase.to_owned())))
    };
    chapters.map(of_chapter).collect()
}

/// That a trace has a span for each phase that was left and one for the whole if it is over; and the ids of the phases.
pub(super) fn is_whole(spans: &[Span], left: &BTreeSet<Stay>, ended: Option<&str>) -> BTreeSet<Vec<u8>> {
    let inside: Vec<&Span> = spans.iter().filter(|span| span.kind == SpanKind::Internal as i32).collect();
    let (roots, phases): (Vec<&Span>, Vec<&Span>) =
        inside.into_iter().partition(|span| span.parent_span_id.is_empty());
    assert_eq!(roots.len(), usize::from(ended.is_some()), "{roots:?}");
    let told: BTreeSet<Stay> = phases
        .iter()
        .map(|span| Stay {
            phase: span.name.clone(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
        })
        .collect();
    assert_eq!((&told, phases.len()), (left, left.len()));
    if let Some(root) = roots.first() {
        assert_eq!(
            (root.name.as_str(), attributes(&root.attributes)["rekeyd.outcome"].as_str()),
            ("rotation", ended.unwrap())
        );
        assert!(phases.iter().all(|phase| phase.parent_span_id == root.span_id));
        let whole = |pick: fn(&Stay) -> u64| left.iter().map(pick);
        assert_eq!(Some(root.start_time_unix_nano), whole(|it| it.start).min());
        assert_eq!(Some(root.end_time_unix_nano), whole(|it| it.end).max());
    }
    phases.iter().map(|phase| phase.span_id.clone()).collect()
}

fn goes_wrong(rehearsal: &Rehearsal) -> Vec<Fault> {
    let admin = rehearsal.stage.sandbox.admin_key();
    let echo =
        json!({"detail": {"code": "busy", "message": format!("xi-api-key: {admin}"), "request_id": admin}});
    let echo = Refused { body: Some(echo), ..Refused::with(503, "") };
    let ill = Refused::with(500, "ill").header("request-id", "req-of-the-illness");
    vec![
        Fault::on(Route::ListAccounts, What::Refuse(echo)).after(8).times(1),
        Fault::on(Route::DeleteKey, What::Refuse(ill)).times(1),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_one_trace_whose_calls_are_those_of_the_log_and_the_audit_log() {
    let pace = Pace::new("3s", "1s", "200ms");
    let mut rehearsal = Rehearsal::set(31, &pace).await;
    let collector = Collector::open().await;
    collector.listens_to(&mut rehearsal);
    rehearsal.launcher.filter = Some("info,rekeyd::adapters=debug".to_owned());
    rehearsal.stage.sandbox.set_faults(goes_wrong(&rehearsal));
    let daemon = rehearsal.launcher.start().await.unwrap();
    let journal = || SqliteJournal::open_read_only(&rehearsal.stage.journal()).unwrap();
    let gone = |_: &Rehearsal| {
        let records = journal().audit(0, 100_000).unwrap();
        records.iter().filter(|it| it.act.what == "old_key_gone").count() >= 3
    };
    rehearsal.until("three rotations are done", gone).await;
    daemon.stop().await.unwrap();

    let stays = stays(&rehearsal);
    assert!(stays.values().filter(|(_, ended)| ended.is_some()).count() >= 3, "{stays:?}");
    let mut parts = 0;
    for (rotation, (left, ended)) in &stays {
        let spans = collector.trace(rotation);
        let phases = is_whole(&spans, left, ended.as_deref());
        for call in spans.iter().filter(|span| span.kind == SpanKind::Client as i32) {
            // The phase that was not left yet when the daemon stopped is not told.
            let known = ended.is_none() || phases.contains(&call.parent_span_id);
            assert!(known && !call.parent_span_id.is_empty(), "{call:?}");
            assert!(call.end_time_unix_nano >= call.start_time_unix_nano);
            parts += 1;
        }
    }
    assert!(parts > 30, "{parts}");
    let all = collector.spans();
    let alone =
        all.iter().filter(|span| span.kind == SpanKind::Client as i32 && span.parent_span_id.is_empty());
    assert!(alone.clone().any(|span| span.name == "list"), "a sweep is a trace of its own");
    assert!(alone.clone().all(|span| !stays.contains_key(&dashed(&span.trace_id))));

    requests_are_those_of_the_log(&rehearsal, &collector);
    failures_are_those_of_the_audit_log(&journal(), &collector);
    let secrets = rehearsal.stage.secrets();
    for body in collector.requests() {
        let text = String::from_utf8_lossy(&body);
        let found =
            secrets.iter().chain([&rehearsal.stage.sandbox.admin_key()]).any(|it| text.contains(it.as_str()));
        assert!(!found && !text.contains(HEADER), "a secret was sent");
    }
    assert!(!rehearsal.said().contains(HEADER), "a header was logged");
    let (_, _, stage) = rehearsal.verdict(0).await;
    stage.sandbox.shutdown().await;
}

fn dashed(trace: &[u8]) -> String {
    let hex = hex(trace);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The requests that a span tells of, by the provider's ids.
fn requests(span: &Span) -> impl Iterator<Item = String> + '_ {
    let all = span.events.iter().filter(|note| note.name == "response").map(|note| &note.attributes);
    all.chain([&span.attributes]).filter_map(|it| attributes(it).get("rekeyd.request_id").cloned())
}

fn requests_are_those_of_the_log(rehearsal: &Rehearsal, collector: &Collector) {
    let mut logged: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for line in rehearsal.said().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let is_answer = line["message"].as_str().unwrap_or_default().starts_with("answer to ");
        if let Some(id) = line["request_id"].as_str().filter(|_| is_answer) {
            logged.insert((line["span"]["rotation"].as_str().map(str::to_owned), id.to_owned()));
        }
    }
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for span in collector.spans().iter().filter(|span| span.kind == SpanKind::Client as i32) {
        told.extend(requests(span).map(|id| (id, dashed(&span.trace_id))));
    }
    assert!(logged.len() > 30, "{logged:?}");
    for (rotation, id) in &logged {
        let trace = told.get(id).unwrap_or_else(|| panic!("no span tells of the request {id}"));
        assert!(rotation.as_ref().is_none_or(|rotation| rotation == trace), "{id}: {rotation:?}, {trace}");
    }
}

fn failures_are_those_of_the_audit_log(journal: &ReadOnlyJournal, collector: &Collector) {
    let records = journal.audit(0, 100_000).unwrap();
    let hindered = records.iter().filter(|it| it.act.what == "effect_failed");
    let named = hindered.filter_map(|it| Some((&it.act, it.act.details.get("request_id")?.as_str()?)));
    let mut found = 0;
    for (act, id) in named {
        let trace = collector.trace(&act.rotation.unwrap().to_string());
        let entry = act.details["entry"].to_string();
        let call = trace.iter().find(|span| {
            let is = attributes(&span.attributes);
            is.get("rekeyd.request_id").map(String::as_str) == Some(id) && is["rekeyd.entry"] == entry
        });
        let call = call.unwrap_or_else(|| panic!("no call tells of {id} and entry {entry}"));
        assert_eq!(call.status.as_ref().unwrap().code, StatusCode::Error as i32);
        let noted = trace.iter().flat_map(|span| &span.events).filter(|note| note.name == "effect_failed");
        let mut noted = noted.map(|note| attributes(&note.attributes));
        assert!(noted.any(|it| it["rekeyd.entry"] == entry && it["rekeyd.request_id"] == id));
        found += 1;
    }
    assert!(found >= 1, "the illness has a request id");
}
