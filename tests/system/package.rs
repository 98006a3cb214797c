//! The Debian package: installed, upgraded, removed, purged.

use crate::bill;
use crate::machine::Machine;
use crate::provider;
use crate::service;

pub(crate) fn installed_without_a_policy_it_waits_for_one(machine: &Machine) {
    machine.ok("apt-get install --quiet=2 ./target/debian/rekeyd_*-1_*.deb");
    assert_eq!(machine.ok("systemctl is-enabled rekeyd"), "enabled");
    assert_eq!(
        (machine.property("ActiveState"), machine.property("Result")),
        ("inactive".into(), "success".into())
    );
    assert_eq!(machine.ok("systemctl --failed --plain --no-legend"), "");
    assert_eq!(machine.ok("stat --format %a:%U /etc/rekeyd/credentials"), "700:root");
    assert!(machine.ok("getent group rekeyd-operators").starts_with("rekeyd-operators:"));
    machine.ok("test -s /usr/share/bash-completion/completions/rekeyd");
    machine.ok("gzip --test /usr/share/man/man5/rekeyd-policy.5.gz /usr/share/man/man8/rekeyd*.8.gz");
    bill::names_every_linked_crate(&machine.ok("cat /usr/share/doc/rekeyd/sbom.cdx.json"));
    // This systemd knows every setting of the installed units.
    machine.ok(
        "systemd-analyze verify --man=no rekeyd.service rekeyd-agent@root.service 2>&1 | (! grep -i rekeyd)",
    );
    machine.ok("systemd-analyze security --no-pager --threshold=15 rekeyd.service");
}

pub(crate) fn an_upgrade_in_mid_rotation_loses_nothing(machine: &Machine) {
    provider::is_slow(machine, 3);
    let before = machine.property("MainPID");
    machine.ok("rekeyd rotate tts-backend");
    machine.until("the rotation is in its middle", &service::phase("minting"));
    machine.ok("apt-get install --quiet=2 ./target/debian/rekeyd_*-2_*.deb");
    assert!(machine.ok("dpkg-query --show rekeyd").ends_with("-2"));
    assert_eq!(machine.property("ActiveState"), "active");
    assert_ne!(machine.property("MainPID"), before, "the old program is still running");
    provider::is_slow(machine, 0);
    service::rests_with_one_key(machine);
}

pub(crate) fn removed_it_keeps_its_state_and_purged_it_leaves_nothing(machine: &Machine) {
    machine.ok("apt-get remove --quiet=2 --yes rekeyd");
    assert_eq!(machine.tried("systemctl is-active rekeyd").1, "inactive\n");
    machine.ok("test -s /var/lib/private/rekeyd/journal.db && test -s /etc/rekeyd/policy.toml");
    machine.ok("apt-get purge --quiet=2 --yes rekeyd");
    let left = "find / -xdev -name '*rekeyd*' -not -path '/proc/*' -not -path '/opt/*' -not -path '/sys/*'";
    let ours =
        "-not -path '/etc/systemd/system/rekeyd.service.d' -not -path '/var/log/*' -not -path '/var/cache/*'";
    assert_eq!(machine.ok(&format!("{left} {ours}")), "");
}
