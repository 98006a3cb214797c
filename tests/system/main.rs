//! The package and its units under a real systemd, on Debian releases booted as containers; and the image, run by podman.
//! Both need root.
//! `make system-test` installs the prerequisites and runs these tests; plain `cargo test` skips them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

mod bill;
mod container;
mod document;
mod handbook;
mod harness;
mod machine;
mod package;
mod provider;
mod service;

use crate::machine::{Machine, Release};

fn story(release: Release) {
    let machine = Machine::boot(release);
    package::installed_without_a_policy_it_waits_for_one(&machine);
    service::it_starts_says_so_and_publishes(&machine);
    service::a_bad_policy_is_refused_and_a_good_one_taken(&machine);
    service::operators_give_orders_and_nobody_else(&machine);
    service::killed_it_is_started_again_and_knows_what_it_did(&machine);
    service::what_no_longer_turns_is_killed_by_the_watchdog(&machine);
    service::stopped_in_mid_rotation_it_goes_on_afterwards(&machine);
    service::a_wrong_policy_is_not_started_again_and_again(&machine);
    service::an_encrypted_admin_key_is_handed_over(&machine);
    package::an_upgrade_in_mid_rotation_loses_nothing(&machine);
    package::removed_it_keeps_its_state_and_purged_it_leaves_nothing(&machine);
    handbook::the_document_leads_to_an_application_with_fresh_keys(&machine);
}

#[test]
fn debian_12_runs_it_as_the_documents_say() {
    story(Release::Bookworm);
}

#[test]
fn debian_13_runs_it_as_the_documents_say() {
    story(Release::Trixie);
}

#[test]
fn the_image_rotates_keys_read_only_and_without_root() {
    container::it_rotates_beside_an_agent_and_stops_in_order();
    container::without_certificate_authorities_it_says_so();
    container::it_says_what_it_is_and_what_it_is_made_of();
    container::the_compose_file_is_understood();
}
