//! Examples for `--help` and the manual pages. A test parses each line.

use clap::{Command, CommandFactory};

use crate::cli::Arguments;

/// Commands, each with its example lines.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("run", &["rekeyd run", "rekeyd run --policy policy.toml"]),
    ("check", &["rekeyd check", "rekeyd check --output json policy.toml"]),
    ("init", &["rekeyd init --dry-run --store aws:eu-west-1", "rekeyd init --store dir:/run/rekeyd-secrets"]),
    ("doctor", &["rekeyd doctor", "rekeyd doctor --iam --policy policy.toml"]),
    ("schema", &["rekeyd schema"]),
    (
        "status",
        &[
            "rekeyd status",
            "rekeyd status tts-backend --why",
            "rekeyd status --exit-code --output json --journal /var/lib/rekeyd/journal.db",
        ],
    ),
    ("consumers", &["rekeyd consumers"]),
    (
        "plan",
        &[
            "rekeyd plan",
            "rekeyd plan tts-backend",
            "rekeyd plan --exit-code --output json --policy policy.toml",
        ],
    ),
    ("forecast", &["rekeyd forecast --for 90d", "rekeyd forecast --output ics --policy policy.toml"]),
    (
        "rehearse",
        &[
            "rekeyd rehearse",
            "rekeyd rehearse --for 30d --never web --policy policy.toml",
            "rekeyd rehearse --acks-after 2h --crash-every 6h --timeline",
        ],
    ),
    (
        "audit",
        &[
            "rekeyd audit --credential tts-backend",
            "rekeyd audit verify",
            "rekeyd audit export --since 2026-11-01T00:00:00Z",
        ],
    ),
    ("history", &["rekeyd history tts-backend --limit 3"]),
    (
        "rotate",
        &[
            "rekeyd rotate tts-backend --wait",
            "rekeyd rotate tts-backend --emergency",
            "rekeyd rotate tts-a tts-b",
        ],
    ),
    (
        "retry",
        &[
            "rekeyd retry tts-backend",
            "rekeyd retry tts-backend --overwrite",
            "rekeyd retry --workspace prod --reason mint_refused --yes",
        ],
    ),
    ("abort", &["rekeyd abort tts-backend", "rekeyd abort tts-backend --yes"]),
    ("rollback", &["rekeyd rollback tts-backend --check", "rekeyd rollback tts-backend"]),
    ("confirm", &["rekeyd confirm tts-backend", "rekeyd confirm tts-*"]),
    ("reinstate", &["rekeyd reinstate tts-backend"]),
    ("accept", &["rekeyd accept tts-backend", "rekeyd accept --all"]),
    ("repair", &["rekeyd repair tts-backend"]),
    ("pause", &["rekeyd pause --all --reason 'launch day'", "rekeyd pause tts-backend --only revoking"]),
    ("resume", &["rekeyd resume --all", "rekeyd resume --workspace prod"]),
    ("reload", &["rekeyd reload"]),
    ("account", &["rekeyd account create tts-batch --workspace prod --group GROUP_ID:editor"]),
    ("forget", &["rekeyd forget aws:prod/tts#xi_api_key"]),
    ("sweep", &["rekeyd sweep"]),
    ("agent", &["rekeyd agent --config agent.toml --exec -- /usr/bin/my-service"]),
    ("sandbox", &["rekeyd sandbox --account tts-backend"]),
    ("demo", &["rekeyd demo --for 1m"]),
    ("notify", &["rekeyd notify test"]),
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
    fn every_command_has_an_example_and_every_example_parses() {
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
