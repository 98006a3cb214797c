//! The systemd unit keeps the promises that the README makes for it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Section, key and value of every line, in order; a key may come several times.
fn settings(path: &str) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{path}: {line}"));
            settings.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    settings
}

#[test]
fn the_unit_starts_the_daemon_hands_it_its_key_and_does_not_repeat_what_cannot_help() {
    let unit = settings("systemd/rekeyd.service");
    let of = |wanted: &str| -> Vec<&str> {
        unit.iter()
            .filter(|(section, key, _)| section == "Service" && key == wanted)
            .map(|it| it.2.as_str())
            .collect()
    };
    assert_eq!(of("ExecStart"), ["/usr/bin/rekeyd run --policy /etc/rekeyd/policy.toml"]);
    assert_eq!(of("Type"), ["notify"]);
    assert_eq!(of("ExecReload"), ["/usr/bin/rekeyd reload"]);
    assert_eq!(of("Group"), ["rekeyd-operators"]);
    assert_eq!(of("WatchdogSec").len(), 1);
    assert_eq!(of("RestartPreventExitStatus"), ["78"]);
    assert_eq!(of("LoadCredential"), ["elevenlabs-admin-key:/etc/rekeyd/credentials/elevenlabs-admin-key"]);
    for directory in ["StateDirectory", "RuntimeDirectory", "ConfigurationDirectory"] {
        assert_eq!(of(directory), ["rekeyd"], "{directory}");
    }
    // A key in an environment variable would be in every child, dump and listing.
    assert_eq!(of("Environment"), Vec::<&str>::new());
    assert!(unit.iter().all(|(section, ..)| ["Unit", "Service", "Install"].contains(&section.as_str())));
}

#[test]
fn the_unit_may_do_no_more_than_it_needs() {
    let unit: BTreeMap<String, String> =
        settings("systemd/rekeyd.service").into_iter().map(|(_, key, value)| (key, value)).collect();
    let wanted = [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        // Whoever gives orders through the socket is told by their own user id.
        ("PrivateUsers", "no"),
        ("ProtectProc", "invisible"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
        ("LimitCORE", "0"),
        ("MemorySwapMax", "0"),
        ("UMask", "0077"),
        ("StateDirectoryMode", "0700"),
    ];
    for (key, value) in wanted {
        assert_eq!(unit.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn the_agents_unit_is_ready_before_its_application_starts_and_is_no_more_than_it() {
    let unit = settings("systemd/rekeyd-agent@.service");
    let has = |section: &str, key: &str, value: &str| {
        assert!(unit.iter().any(|it| it == &(section.into(), key.into(), value.into())), "{key}={value}");
    };
    has("Unit", "Before", "%i.service");
    has("Install", "WantedBy", "%i.service");
    for (key, value) in [
        ("Type", "notify"),
        ("ExecStart", "/usr/bin/rekeyd agent --config /etc/rekeyd/agents/%i.toml"),
        ("ExecReload", "/bin/sh -c 'kill -HUP $MAINPID'"),
        ("RestartPreventExitStatus", "78"),
        ("User", "%i"),
        ("RuntimeDirectory", "rekeyd-agent-%i"),
        // The last good file outlives the agent.
        ("RuntimeDirectoryPreserve", "yes"),
        ("LoadCredential", "rekeyd-token:/etc/rekeyd/credentials/agent-%i-token"),
    ] {
        has("Service", key, value);
    }
    assert!(unit.iter().all(|(_, key, _)| key != "Environment" && key != "DynamicUser"));
    // Whatever hardens the daemon hardens the agent.
    let hardening = settings("systemd/rekeyd.service").into_iter().skip_while(|it| it.1 != "LimitCORE");
    let own = ["MemoryMax", "PrivateUsers", "RemoveIPC", "WantedBy"];
    for (section, key, value) in hardening.filter(|it| !own.contains(&it.1.as_str())) {
        has(&section, &key, &value);
    }
}

#[test]
fn a_directory_stores_files_outlive_a_stop_of_the_service() {
    let drop_in = settings("systemd/drop-ins/directory-store.conf");
    let has = |key: &str, value: &str| drop_in.iter().any(|it| it.1 == key && it.2 == value);
    assert!(has("RuntimeDirectoryPreserve", "yes"));
    // With a dynamic user a preserved runtime directory would be one that nobody else can enter.
    assert!(has("DynamicUser", "no"));
    assert!(has("SystemCallFilter", "@chown"));
}
