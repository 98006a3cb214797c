//! rekeyd.service, step by step: each step starts and ends with a running, idle daemon.

use crate::machine::Machine;
use crate::provider;

const POLICY: &str = r#"
[daemon]
settle = "2s"

[workspaces.prod]
base_url = "http://127.0.0.1:9810"
admin_key = { systemd_credential = "elevenlabs-admin-key" }
mints_per_hour = 1000

[stores.local.directory]
path = "/var/lib/rekeyd/secrets"

[credentials.tts-backend]
service_account = "tts-backend"
every = "30d"
overlap = { at_least = "1s" }
quarantine = "1s"
wait_for.confirm = false
publish_to = [{ store = "local", secret = "tts-backend" }]
"#;

/// The engine's loop runs every five seconds.
const SHORT_WATCHDOG: &str = "[Service]\nWatchdogSec=12s\nRestartSec=500ms\n";

const DROP_INS: &str = "/etc/systemd/system/rekeyd.service.d";

/// A script that succeeds if the newest rotation is in this phase.
pub(crate) fn phase(name: &str) -> String {
    let history = "rekeyd history tts-backend --limit 1 --output json --policy /etc/rekeyd/policy.toml";
    format!(r#"{history} | grep -o '"phase": "[a-z_]*"' | tail -n 1 | grep '"{name}"'"#)
}

/// Every rotation is done, and the provider accepts only the published key.
#[track_caller]
pub(crate) fn rests_with_one_key(machine: &Machine) {
    machine.until("the rotation is done", &phase("done"));
    assert_eq!(provider::accepted(machine), [published(machine)]);
}

fn published(machine: &Machine) -> String {
    machine.ok("sha256sum < /var/lib/rekeyd/secrets/tts-backend | cut -c1-16")
}

fn rotations(machine: &Machine) -> usize {
    let history = "rekeyd history tts-backend --limit 1000 --output json --policy /etc/rekeyd/policy.toml";
    machine.ok(history).matches("\"begun_at\"").count()
}

fn is_ready_again(machine: &Machine, before: &str) {
    let script = format!(
        "pid=$(systemctl show rekeyd --value --property MainPID); \
         systemctl is-active --quiet rekeyd && [ $pid != 0 ] && [ $pid != {before} ]"
    );
    machine.until("it is started again", &script);
}

pub(crate) fn it_starts_says_so_and_publishes(machine: &Machine) {
    provider::start(machine);
    machine
        .ok(&format!("install -m 0400 {} /etc/rekeyd/credentials/elevenlabs-admin-key", provider::ADMIN_KEY));
    machine.write("/etc/rekeyd/policy.toml", POLICY);
    machine.write(&format!("{DROP_INS}/short.conf"), SHORT_WATCHDOG);
    // Returns once the daemon is ready.
    machine.ok("systemctl daemon-reload && systemctl start rekeyd");
    assert_eq!(machine.property("SubState"), "running");
    assert_eq!(machine.property("StatusText"), "the policy is in force, with 1 credentials");
    rests_with_one_key(machine);
    // A dynamic user that alone can read its state.
    let owner = machine.ok("stat --format '%u %G' /proc/$(systemctl show rekeyd --value --property MainPID)");
    let (user, group) = owner.split_once(' ').unwrap();
    assert!((61184..=65519).contains(&user.parse().unwrap()), "{user} is no dynamic user");
    assert_eq!(group, "rekeyd-operators");
    assert_eq!(machine.ok("stat --format %a /var/lib/private/rekeyd"), "700");
    // It logs in the journal's native protocol.
    let errors = machine.ok("journalctl --quiet --unit rekeyd --priority err --output cat");
    assert_eq!(errors, "");
    machine.ok("journalctl --quiet --unit rekeyd --priority info --output cat | grep -q ready");
}

pub(crate) fn a_bad_policy_is_refused_and_a_good_one_taken(machine: &Machine) {
    let reload = |policy: String, code: i32, said: &str| {
        machine.write("/etc/rekeyd/policy.toml", &policy);
        assert_eq!(machine.tried("systemctl reload rekeyd").0, Some(code), "{said}");
        let status = format!("systemctl show rekeyd --value --property StatusText | grep -F '{said}'");
        machine.until("the reload is over", &status);
        assert_eq!(machine.property("SubState"), "running");
    };
    let before = machine.property("MainPID");
    let (refused, taken) = ("refused, the one before stays in force: error: `", "the policy is in force");
    reload(POLICY.replace("every", "evry"), 1, refused);
    reload(POLICY.replace("30d", "29d"), 0, taken);
    assert_eq!(machine.property("MainPID"), before);
    if machine.release.has_notify_reload() {
        machine.ok(&format!("cp /usr/share/rekeyd/drop-ins/notify-reload.conf {DROP_INS}/"));
        machine.ok("systemctl daemon-reload && systemctl restart rekeyd");
        assert_eq!(machine.property("Type"), "notify-reload");
        reload(POLICY.replace("every", "evry"), 0, refused);
        reload(POLICY.to_owned(), 0, taken);
    }
    assert_eq!(machine.property("NRestarts"), "0");
}

pub(crate) fn operators_give_orders_and_nobody_else(machine: &Machine) {
    machine.ok("useradd alice && useradd bob && usermod --append --groups rekeyd-operators alice");
    assert_eq!(machine.ok("stat --format %a:%G /run/rekeyd/rekeyd.sock"), "660:rekeyd-operators");
    let before = rotations(machine);
    machine.ok("runuser --user alice -- rekeyd rotate tts-backend --wait");
    assert_eq!(rotations(machine), before + 1);
    let (code, said) = machine.tried("runuser --user bob -- rekeyd rotate tts-backend");
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("Permission denied") && said.contains("may use the socket"), "{said}");
    rests_with_one_key(machine);
    assert_eq!(rotations(machine), before + 1);
    // The daemon identifies the operator despite the unit's sandbox.
    machine.ok("runuser --user alice -- rekeyd pause tts-backend --reason trying");
    let by = "rekeyd status --policy /etc/rekeyd/policy.toml --output json | grep --only-matching '\"uid [0-9]*[^\"]*\"' | sort --unique";
    let alice = machine.ok("id --user alice");
    assert_eq!(machine.ok(by), format!("\"uid {alice} (alice)\""));
    machine.ok("runuser --user alice -- rekeyd resume tts-backend");
}

pub(crate) fn killed_it_is_started_again_and_knows_what_it_did(machine: &Machine) {
    let (before, known) = (machine.property("MainPID"), rotations(machine));
    machine.ok(&format!("kill -KILL {before}"));
    is_ready_again(machine, &before);
    assert_eq!(machine.property("NRestarts"), "1");
    assert_eq!(rotations(machine), known, "its state is lost, or it began anew");
    machine.ok("systemctl reset-failed rekeyd");
}

pub(crate) fn what_no_longer_turns_is_killed_by_the_watchdog(machine: &Machine) {
    let (before, known) = (machine.property("MainPID"), rotations(machine));
    machine.ok(&format!("kill -STOP {before}"));
    is_ready_again(machine, &before);
    machine.ok("journalctl --quiet --unit rekeyd --output cat | grep -q 'Watchdog timeout'");
    assert_eq!(machine.property("NRestarts"), "1");
    machine.ok("rekeyd rotate tts-backend --wait");
    rests_with_one_key(machine);
    assert_eq!(rotations(machine), known + 1);
    machine.ok("systemctl reset-failed rekeyd");
}

pub(crate) fn stopped_in_mid_rotation_it_goes_on_afterwards(machine: &Machine) {
    let known = rotations(machine);
    // Longer than the watchdog's interval: a draining daemon is alive.
    provider::is_slow(machine, 15);
    machine.ok("rekeyd rotate tts-backend");
    machine.until("a key is being created", &phase("minting"));
    machine.ok("systemctl stop rekeyd");
    assert_eq!(
        (machine.property("Result"), machine.property("ExecMainStatus")),
        ("success".into(), "0".into())
    );
    assert!(!machine.tried(&phase("done")).1.contains("done"), "nothing is left to be finished");
    provider::is_slow(machine, 0);
    machine.ok("systemctl start rekeyd");
    rests_with_one_key(machine);
    assert_eq!(rotations(machine), known + 1, "it began another one instead of going on");
}

pub(crate) fn a_wrong_policy_is_not_started_again_and_again(machine: &Machine) {
    machine.write("/etc/rekeyd/policy.toml", &POLICY.replace("every", "evry"));
    assert_ne!(machine.tried("systemctl restart rekeyd").0, Some(0));
    assert_eq!(
        (machine.property("ActiveState"), machine.property("ExecMainStatus")),
        ("failed".into(), "78".into())
    );
    machine.ok("journalctl --quiet --unit rekeyd --output cat -n 20 | grep -q evry");
    // Longer than RestartSec.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(
        (machine.property("ActiveState"), machine.property("NRestarts")),
        ("failed".into(), "0".into())
    );
    machine.write("/etc/rekeyd/policy.toml", POLICY);
    machine.ok("systemctl restart rekeyd");
    rests_with_one_key(machine);
}

pub(crate) fn an_encrypted_admin_key_is_handed_over(machine: &Machine) {
    let plain = "/etc/rekeyd/credentials/elevenlabs-admin-key";
    machine
        .ok(&format!("systemd-creds encrypt --name=elevenlabs-admin-key {plain} {plain}.cred && rm {plain}"));
    machine.ok(&format!("cp /usr/share/rekeyd/drop-ins/encrypted-credentials.conf {DROP_INS}/"));
    machine.ok("systemctl daemon-reload && systemctl restart rekeyd");
    machine.ok("rekeyd rotate tts-backend --wait");
    rests_with_one_key(machine);
    let key = machine.ok(&format!("cat {}", provider::ADMIN_KEY));
    assert_ne!(
        machine.tried(&format!("grep --recursive --quiet '{key}' /etc/rekeyd")).0,
        Some(0),
        "it is there in clear"
    );
}
