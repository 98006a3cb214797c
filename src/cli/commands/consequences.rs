//! The consequences of a command, from the daemon's report of the credential, for the confirmation prompt. `None` if
//! the daemon would refuse the command.

use serde_json::Value;

fn text<'r>(report: &'r Value, field: &str) -> Option<&'r str> {
    report.pointer(field).and_then(Value::as_str)
}

/// Names the new key, by its ID if there is one yet.
fn new_key(report: &Value) -> String {
    text(report, "/rotation/new_key_id")
        .map_or_else(|| "the new key".to_owned(), |key| format!("the new key {key}"))
}

pub(super) fn of_an_emergency(report: &Value) -> Option<String> {
    let name = text(report, "/credential")?;
    let (old, what) = match text(report, "/rotation/old_key_id") {
        Some(old) => (Some(old), "the rotation in progress skips all waits"),
        None => (text(report, "/key_id"), "a new key is created now, and all waits are skipped"),
    };
    let old = old.map_or_else(|| "the old key".to_owned(), |key| format!("the old key {key}"));
    let used = text(report, "/last_use/last");
    let used = used.map_or_else(String::new, |at| format!(" It was last seen in use at {at}."));
    Some(format!(
        "Emergency of `{name}`: {what}. As soon as the new key is current, {old} is revoked: consumers that still use it are rejected.{used}"
    ))
}

pub(super) fn of_rolling_back(report: &Value) -> Option<String> {
    let name = text(report, "/credential")?;
    if report.pointer("/rotation/rollback/possible").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    let detail = text(report, "/rotation/rollback/detail")?;
    let (old, new) = (text(report, "/rotation/old_key_id")?, new_key(report));
    Some(format!("Rollback of `{name}` from {new} to the old key {old}: {detail}."))
}

pub(super) fn of_aborting(report: &Value) -> Option<String> {
    let name = text(report, "/credential")?;
    let phase = text(report, "/rotation/phase")?;
    let new = new_key(report);
    let is_rollback = [Some(phase), text(report, "/rotation/parked_in")].contains(&Some("rolling_back"));
    Some(if is_rollback {
        format!("Abort of `{name}`: the rollback is cancelled, and {new} becomes current again.")
    } else {
        format!(
            "Abort of `{name}`: the rotation is cancelled, {new} is deleted, and the old key stays in use."
        )
    })
}

pub(super) fn of_overwriting(report: &Value) -> Option<String> {
    let name = text(report, "/credential")?;
    if text(report, "/rotation/phase") != Some("parked") {
        return None;
    }
    let places = report.get("destinations").and_then(Value::as_array);
    let places: Vec<&str> =
        places.into_iter().flatten().filter_map(|place| text(place, "/destination")).collect();
    Some(format!(
        "Retry of `{name}`: the value that another writer put into {} is overwritten, and rekeyd keeps no copy of it.",
        if places.is_empty() { "its destinations".to_owned() } else { places.join(", ") }
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_command_states_its_consequences() {
        let at_rest = json!({ "credential": "tts", "key_id": "old1", "rotation": null });
        let mut in_use = at_rest.clone();
        in_use["last_use"] = json!({ "last": "2026-11-29T06:00:00Z" });
        let mut under_way = json!({
            "credential": "tts", "key_id": "old1",
            "destinations": [{ "destination": "aws:tts" }],
            "rotation": {
                "phase": "parked", "parked_in": "staging", "old_key_id": "old1", "new_key_id": "new1",
                "rollback": { "possible": true, "detail": "the old key is made current again" },
            },
        });
        for (what, expected) in [
            (of_an_emergency(&at_rest), Some("a new key is created now, and all waits are skipped")),
            (
                of_an_emergency(&at_rest),
                Some("the old key old1 is revoked: consumers that still use it are rejected."),
            ),
            (of_an_emergency(&under_way), Some("in progress skips all waits")),
            (
                of_an_emergency(&in_use),
                Some("are rejected. It was last seen in use at 2026-11-29T06:00:00Z."),
            ),
            (of_rolling_back(&at_rest), None),
            (
                of_rolling_back(&under_way),
                Some("from the new key new1 to the old key old1: the old key is made current again."),
            ),
            (of_aborting(&at_rest), None),
            (of_aborting(&under_way), Some("the new key new1 is deleted, and the old key stays in use")),
            (of_overwriting(&at_rest), None),
            (of_overwriting(&under_way), Some("put into aws:tts is overwritten")),
        ] {
            let has_text = what.is_some();
            assert_eq!(has_text, expected.is_some(), "{what:?}");
            assert!(
                what.zip(expected).is_none_or(|(what, expected)| what.contains(expected)),
                "{expected:?}"
            );
        }
        under_way["rotation"]["parked_in"] = json!("rolling_back");
        assert!(of_aborting(&under_way).unwrap().contains("the rollback is cancelled"));
        under_way["rotation"]["rollback"]["possible"] = json!(false);
        assert_eq!(of_rolling_back(&under_way), None);
    }
}
