//! Examples for `--help` and the manual: each line is parsed by a test, so that none can grow stale.

use clap::{Command, CommandFactory};

use crate::cli::Arguments;

/// Which command, and lines to type.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("run", &["rekeyd run --policy /etc/rekeyd/policy.toml"]),
    ("check", &["rekeyd check policy.toml", "rekeyd check --output json policy.toml"]),
    ("init", &["rekeyd init --dry-run --store aws:eu-west-1", "rekeyd init --store dir:/run/rekeyd-secrets"]),
    (
        "doctor",
        &["rekeyd doctor --policy /etc/rekeyd/policy.toml", "rekeyd doctor --iam --policy policy.toml"],
    ),
    ("schema", &["rekeyd schema"]),
    (
        "status",
        &[
            "rekeyd status --policy /etc/rekeyd/policy.toml",
            "rekeyd status tts-backend --why --policy /etc/rekeyd/policy.toml",
            "rekeyd status --exit-code --output json --journal /var/lib/rekeyd/journal.db",
        ],
    ),
    ("consumers", &["rekeyd consumers --policy /etc/rekeyd/policy.toml"]),
    (
        "plan",
        &[
            "rekeyd plan --policy /etc/rekeyd/policy.toml",
            "rekeyd plan tts-backend --policy /etc/rekeyd/policy.toml",
            "rekeyd plan --exit-code --output json --policy policy.toml",
        ],
    ),
    (
        "forecast",
        &[
            "rekeyd forecast --for 90d --policy policy.toml",
            "rekeyd forecast --output ics --policy policy.toml",
        ],
    ),
    (
        "rehearse",
        &[
            "rekeyd rehearse --policy policy.toml",
            "rekeyd rehearse --for 30d --never web --policy policy.toml",
            "rekeyd rehearse --acks-after 2h --crash-every 6h --timeline --policy policy.toml",
        ],
    ),
    (
        "audit",
        &[
            "rekeyd audit --credential tts-backend --policy /etc/rekeyd/policy.toml",
            "rekeyd audit verify --policy /etc/rekeyd/policy.toml",
            "rekeyd audit export --since 2026-11-01T00:00:00Z --policy /etc/rekeyd/policy.toml",
        ],
    ),
    ("history", &["rekeyd history tts-backend --limit 3 --policy /etc/rekeyd/policy.toml"]),
    ("rotate", &["rekeyd rotate tts-backend --wait", "rekeyd rotate tts-backend --emergency"]),
    ("retry", &["rekeyd retry tts-backend", "rekeyd retry tts-backend --overwrite"]),
    ("abort", &["rekeyd abort tts-backend"]),
    ("rollback", &["rekeyd rollback tts-backend --check", "rekeyd rollback tts-backend"]),
    ("reinstate", &["rekeyd reinstate tts-backend"]),
    ("accept", &["rekeyd accept tts-backend"]),
    ("repair", &["rekeyd repair tts-backend"]),
    ("pause", &["rekeyd pause --all --why 'launch day'", "rekeyd pause tts-backend --only revoking"]),
    ("resume", &["rekeyd resume --all", "rekeyd resume --workspace prod"]),
    ("reload", &["rekeyd reload"]),
    ("sweep", &["rekeyd sweep"]),
    ("agent", &["rekeyd agent --config agent.toml --exec -- /usr/bin/my-service"]),
    ("sandbox", &["rekeyd sandbox --account tts-backend"]),
    ("demo", &["rekeyd demo --for 1m"]),
    ("notify", &["rekeyd notify test --policy /etc/rekeyd/policy.toml"]),
    ("healthcheck", &["rekeyd healthcheck --url http://127.0.0.1:9809/readyz"]),
    ("completions", &["rekeyd completions bash"]),
    ("man", &["rekeyd man ./man"]),
];

/// The command line with its examples.
pub(super) fn command() -> Command {
    let mut command = Arguments::command();
    for (name, lines) in EXAMPLES {
        let text = lines.iter().fold("Examples:".to_owned(), |text, line| format!("{text}\n  {line}"));
        command = command.mut_subcommand(name, |of| of.after_help(text));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_an_example_and_every_example_is_understood() {
        for of in command().get_subcommands().filter(|of| !of.is_hide_set()) {
            let listed = EXAMPLES.iter().any(|(name, _)| *name == of.get_name());
            assert!(listed, "`rekeyd {}` has no example", of.get_name());
        }
        for line in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            let words = line.replace("'launch day'", "launch-day");
            let parsed = command().try_get_matches_from(words.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
