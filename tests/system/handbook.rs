//! Follows docs/deploy-systemd.md to the letter, from an empty machine to an application whose key is rotated.

use crate::document::Document;
use crate::machine::Machine;
use crate::provider;
use crate::service;

/// An application that reads its key at startup and on a signal, and prints which one it uses.
const APPLICATION: &str = "[Service]
User=tts-api
RuntimeDirectory=tts-api
ExecStart=/bin/sh -c 'echo $$$$ > /run/tts-api/pid; \\
  read_key() { sha256sum < /run/rekeyd-agent-tts-api/elevenlabs-key | cut -c1-16 > /run/tts-api/uses; }; \\
  trap read_key HUP; read_key; while :; do sleep 0.2; done'

[Install]
WantedBy=multi-user.target
";

fn uses(machine: &Machine) -> String {
    machine.until("the application has a key", "cat /run/tts-api/uses")
}

pub(crate) fn the_document_leads_to_an_application_with_fresh_keys(machine: &Machine) {
    machine.ok("rm -rf /etc/systemd/system/rekeyd.service.d && systemctl daemon-reload");
    machine.ok("useradd --system --user-group tts-api && useradd carol");
    machine.write("/etc/systemd/system/tts-api.service", APPLICATION);
    let document = Document::read("docs/deploy-systemd.md");
    // The journal of the package before was purged. A key that it left behind is not adopted, as for another rekeyd's.
    provider::is_cleared_by_hand(machine);
    let adapt = |text: &str| {
        let faster = text.replace("\"1h\"", "\"1s\"").replace("\"24h\"", "\"1s\"");
        faster.replace("https://api.elevenlabs.io", provider::URL)
    };
    let admin_key = machine.ok(&format!("cat {}", provider::ADMIN_KEY));
    let follow = |heading: &str| document.follow(machine, heading, &admin_key, adapt);
    follow("1. Install");
    follow("2. The admin key");
    follow("3. Files that an application reads");
    follow("4. The policy");
    machine.until("a key is published", "test -s /run/rekeyd/secrets/tts-backend");
    follow("5. The agent beside the application");
    machine.ok("systemctl daemon-reload && systemctl start tts-api");
    let first = uses(machine);
    machine.until("its first rotation is over", &service::phase("done"));
    assert_eq!(provider::accepted(machine), std::slice::from_ref(&first));

    machine.ok("usermod --append --groups rekeyd-operators carol");
    machine.ok("runuser --user carol -- rekeyd rotate tts-backend --wait");
    assert_eq!(provider::accepted(machine), [uses(machine)]);
    assert_ne!(uses(machine), first);
    // An operator who may give commands cannot read keys.
    let (code, said) = machine.tried("runuser --user carol -- cat /run/rekeyd/secrets/tts-backend");
    assert_ne!(code, Some(0), "{said}");
    machine.ok("systemctl reload rekeyd-agent@tts-api && systemctl is-active rekeyd-agent@tts-api");

    // The agent and rekeyd stop: the application goes on with its key.
    machine.ok("systemctl stop rekeyd-agent@tts-api rekeyd");
    machine.ok("test -s /run/rekeyd-agent-tts-api/elevenlabs-key && test -s /run/rekeyd/secrets/tts-backend");
    machine.ok("systemctl start rekeyd rekeyd-agent@tts-api && useradd alice 2>/dev/null || id alice");
    follow("6. Day by day");
    assert!(machine.tried("command -v rekeyd").1.is_empty(), "it is still there");
}
