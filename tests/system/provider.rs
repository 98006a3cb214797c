//! The provider in a machine: rekeyd's sandbox as a service with one service account, and queries of its state.

use serde_json::Value;

use crate::machine::Machine;

pub(crate) const URL: &str = "http://127.0.0.1:9810";
pub(crate) const ADMIN_KEY: &str = "/opt/admin-key";
pub(crate) const ACCOUNT: &str = "tts-backend";

/// Starts the sandbox. Its account has one key that rekeyd did not create.
pub(crate) fn start(machine: &Machine) {
    let sandbox = format!(
        "systemd-run --quiet --unit=sandbox /opt/rekeyd-sandbox sandbox --listen 127.0.0.1:9810 \
         --admin-key-file {ADMIN_KEY} --empty-account {ACCOUNT}"
    );
    machine.ok(&sandbox);
    machine.until("the sandbox listens", &request("GET", "truth", ""));
    create_by_hand(machine);
}

fn create_by_hand(machine: &Machine) {
    let account = truth(machine)["accounts"][0]["service_account_user_id"].as_str().unwrap().to_owned();
    let key = r#"{"name": "made by hand", "permissions": ["text_to_speech"]}"#;
    machine.ok(&request("POST", &format!("accounts/{account}/keys"), key));
}

pub(crate) fn truth(machine: &Machine) -> Value {
    let answer = machine.ok(&request("GET", "truth", ""));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The fingerprints of the account's keys that are accepted.
pub(crate) fn accepted(machine: &Machine) -> Vec<String> {
    let truth = truth(machine);
    let keys = truth["accounts"][0]["keys"].as_array().unwrap();
    let enabled = keys.iter().filter(|key| key["state"] == "enabled");
    enabled.map(|key| key["fingerprint"].as_str().unwrap().to_owned()).collect()
}

/// An operator replaces the account's keys by one made by hand.
pub(crate) fn is_cleared_by_hand(machine: &Machine) {
    let left = truth(machine);
    create_by_hand(machine);
    for key in left["accounts"][0]["keys"].as_array().unwrap() {
        if key["state"] != "deleted" {
            machine.ok(&request("DELETE", &format!("keys/{}", key["key_id"].as_str().unwrap()), ""));
        }
    }
}

/// Delays key creation from now on.
pub(crate) fn is_slow(machine: &Machine, seconds: u64) {
    let delay = format!(
        r#"[{{"route": "create_key", "what": {{"delay": {{"lasts": "PT{seconds}S", "moment": "after"}}}}}}]"#
    );
    machine.ok(&request("PUT", "faults", if seconds == 0 { "[]" } else { &delay }));
}

/// HTTP in Bash, because a minimal Debian has no HTTP client.
fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        r#"exec 3<>/dev/tcp/127.0.0.1/9810 && printf '%s\r\n' '{method} /sandbox/{path} HTTP/1.0' 'Content-Type: application/json' 'Content-Length: {length}' '' >&3 && printf '%s' '{body}' >&3 && {{ read -r _ code _ <&3; case "$code" in 2*) sed '1,/^\r$/d' <&3;; *) cat <&3; exit 1;; esac; }}"#
    )
}
