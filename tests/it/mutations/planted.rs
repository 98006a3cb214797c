//! The bugs: where each is planted, and which test of the simulation must notice it.

pub(super) struct Bug {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    /// Stands there once.
    pub(super) right: &'static str,
    /// What takes its place; `AWAKE` is whether the bug is awake.
    pub(super) wrong: &'static str,
    pub(super) caught_by: &'static str,
}

pub(super) const PLANTED: &[Bug] = &[
    Bug {
        name: "revokes_without_reading_back",
        file: "src/engine/effects/precheck.rs",
        right: "if let Some(overwritten) = self.overwritten().await? {",
        wrong: "if !AWAKE && let Some(overwritten) = self.overwritten().await? {",
        caught_by: "a_destination_that_was_put_back_to_the_old_key_keeps_it_alive",
    },
    Bug {
        name: "reads_unknown_as_idle",
        file: "src/domain/gate/idle.rs",
        right: "    match when_unknown {\n        WhenUnknown::Hold => {",
        wrong: "    let when_unknown = if AWAKE { WhenUnknown::Time } else { when_unknown };\n    match when_unknown {\n        WhenUnknown::Hold => {",
        caught_by: "evidence_that_shows_nothing_is_never_idle",
    },
    Bug {
        name: "believes_a_source_that_has_not_been_seen_to_look",
        file: "src/domain/usage.rs",
        right: "self.newest.filter(|newest| *newest > from)",
        wrong: "self.newest.or(AWAKE.then_some(now)).filter(|newest| AWAKE || *newest > from)",
        caught_by: "evidence_that_shows_nothing_is_never_idle",
    },
    Bug {
        name: "uses_the_old_key",
        file: "src/engine/effects/verify.rs",
        right: "        let workspace_client = self.workspace_client()?;\n        for _ in 0..ACCEPTANCES {",
        wrong: "        let workspace_client = self.workspace_client()?;\n        if AWAKE {\n            let (destination, _, store) = self.place(0)?;\n            let held = store.read(destination, crate::ports::secret_store::VersionRef::Current).await?;\n            if let Some(old) = held.and_then(|held| held.value) {\n                workspace_client.issuer.authenticate(&old).await?;\n            }\n        }\n        for _ in 0..ACCEPTANCES {",
        caught_by: "a_straggler_is_waited_for_and_then_released",
    },
    Bug {
        name: "forgets_to_clear_the_expiry",
        file: "src/engine/effects/undo.rs",
        right: "self.rotation.dead_man.filter(|dead_man| !dead_man.is_left())",
        wrong: "self.rotation.dead_man.filter(|dead_man| !AWAKE && !dead_man.is_left())",
        caught_by: "an_old_key_that_was_rolled_back_to_does_not_expire_later",
    },
    Bug {
        name: "forgets_to_move_the_expiry",
        file: "src/domain/dead_man.rs",
        right: "(lag > margin / 2).then_some(wanted)",
        wrong: "(!AWAKE && lag > margin / 2).then_some(wanted)",
        caught_by: "an_old_key_that_may_expire_never_does_while_it_is_needed",
    },
    Bug {
        name: "forgets_the_expiry_while_it_publishes_again",
        file: "src/engine/effects/expire.rs",
        right: "        if !publishing || !rotation.keeps_the_old_key_alive() {",
        wrong: "        if AWAKE || !publishing || !rotation.keeps_the_old_key_alive() {",
        caught_by: "an_old_key_does_not_expire_while_the_new_one_is_published_again",
    },
    Bug {
        name: "does_not_wait_for_the_way_back",
        file: "src/engine/effects/gates.rs",
        right: "        Ok(verdicts.iter().any(|verdict| !verdict.satisfied).then_some(next))",
        wrong: "        Ok((!AWAKE && verdicts.iter().any(|verdict| !verdict.satisfied)).then_some(next))",
        caught_by: "evidence_that_shows_nothing_is_never_idle",
    },
    Bug {
        name: "believes_any_clock",
        file: "src/engine/context.rs",
        right: "if skew.unsigned_abs() <= self.timing.clock_skew_max.unsigned_abs() {",
        wrong: "if AWAKE || skew.unsigned_abs() <= self.timing.clock_skew_max.unsigned_abs() {",
        caught_by: "a_clock_that_jumps_revokes_nothing_early",
    },
    Bug {
        name: "forgets_a_lost_key",
        file: "src/engine/effects/minting.rs",
        right: "        let is_lost = |key: &&Key| key.nonce() == Some(nonce);",
        wrong: "        let is_lost = |key: &&Key| !AWAKE && key.nonce() == Some(nonce);",
        caught_by: "an_adopted_key_is_rotated_whatever_dies",
    },
    Bug {
        name: "revokes_what_is_held",
        file: "src/engine/effects/gates.rs",
        right: "if self.held(HoldKind::Revoking).is_some() {",
        wrong: "if !AWAKE && self.held(HoldKind::Revoking).is_some() {",
        caught_by: "what_is_paused_at_any_moment_does_not_happen_and_ends_after_it_is_resumed",
    },
    Bug {
        name: "mints_what_is_held",
        file: "src/engine/admission.rs",
        right: ".stops(what, workspace, name, emergency).cloned()",
        wrong: ".stops(what, workspace, name, emergency).cloned().filter(|_| !AWAKE || what == HoldKind::Revoking)",
        caught_by: "what_is_paused_at_any_moment_does_not_happen_and_ends_after_it_is_resumed",
    },
    Bug {
        name: "answers_a_pause_before_calls_under_way_have_ended",
        file: "src/engine/controller/hold_changes.rs",
        right: "let running = if pauses { names } else { BTreeSet::new() };",
        wrong: "let running = if !AWAKE && pauses { names } else { BTreeSet::new() };",
        caught_by: "a_pause_is_answered_when_what_was_under_way_has_ended",
    },
    Bug {
        name: "begins_without_a_slot",
        file: "src/engine/admission.rs",
        right: "Ok((!has_slot).then_some(",
        wrong: "Ok((!AWAKE && !has_slot).then_some(",
        caught_by: "no_more_rotations_are_under_way_than_may_be_and_each_gets_its_turn",
    },
    Bug {
        name: "begins_all_first_rotations_at_once",
        file: "src/engine/admission.rs",
        right: "        if reason.is_first() {\n            let slots",
        wrong: "        if !AWAKE && reason.is_first() {\n            let slots",
        caught_by: "first_rotations_run_a_few_at_a_time_and_each_is_over_before_the_next",
    },
    Bug {
        name: "does_not_bake",
        file: "src/domain/waves.rs",
        right: "latest.filter(|(until, _)| now < *until)?",
        wrong: "latest.filter(|(until, _)| !AWAKE && now < *until)?",
        caught_by: "each_wave_waits_until_the_one_before_is_done_and_has_been_for_a_while",
    },
    Bug {
        name: "holds_what_was_lifted_against_what_comes_after",
        file: "src/engine/breaker.rs",
        right: "let lifted = context.journal.lifted(scope, what).await?;",
        wrong: "let lifted = context.journal.lifted(scope, what).await?.filter(|_| !AWAKE);",
        caught_by: "after_so_many_bad_keys_no_more_are_made_until_somebody_says_so",
    },
];
