//! The flags of `rekeyd agent` that say where a secret is read, as each kind of store declares them.

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use toml::{Table, Value};

use crate::ports::followed::{FollowFlag, FollowForm};
use crate::stores::KINDS;

/// A secret has one source.
const GROUP: &str = "source";

/// The table `from` of the agent's configuration that the flags stand for.
#[derive(Default)]
pub(super) struct SourceFlags {
    pub(super) from: Table,
}

fn forms() -> impl Iterator<Item = &'static FollowForm> {
    KINDS.iter().filter_map(|kind| kind.followed.as_ref())
}

/// Each flag that names a secret, such as `--file or --aws-secret`.
pub(super) fn naming() -> String {
    let flags = forms().filter_map(|form| Some(format!("--{}", form.flags.first()?.flag)));
    flags.collect::<Vec<_>>().join(" or ")
}

impl Args for SourceFlags {
    /// `flags` is the group of every flag that a configuration file replaces.
    fn augment_args(command: Command) -> Command {
        let written = |it: &'static FollowFlag| {
            Arg::new(it.flag).long(it.flag).value_name(it.value_name).help(it.help).group("flags")
        };
        forms().filter_map(|form| form.flags.split_first()).fold(command, |command, (first, others)| {
            let others = others.iter().map(|it| written(it).requires(first.flag));
            command.arg(written(first).group(GROUP)).args(others)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut from = Table::new();
        for form in forms() {
            let mut table = Table::new();
            for FollowFlag { flag, key, .. } in form.flags {
                let Some(value) = matches.get_one::<String>(flag) else { continue };
                let into = if key.is_some() { &mut table } else { &mut from };
                into.insert(key.unwrap_or(form.key).to_owned(), Value::String(value.clone()));
            }
            if !table.is_empty() {
                from.insert(form.key.to_owned(), Value::Table(table));
            }
        }
        Ok(Self { from })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::examples;

    #[test]
    fn a_secret_has_one_source_and_a_configuration_file_replaces_every_flag() {
        let refused = |words: &[&str]| {
            let all = ["rekeyd", "agent"].into_iter().chain(words.iter().copied());
            examples::command().try_get_matches_from(all).map_err(|error| error.kind()).err()
        };
        for form in forms() {
            let first = format!("--{}", form.flags[0].flag);
            assert_eq!(refused(&["--credential", "tts", &first, "x"]), None);
            assert_eq!(
                refused(&["--config", "x", &first, "x"]),
                Some(ErrorKind::ArgumentConflict),
                "{first}"
            );
            for other in &form.flags[1..] {
                let other = format!("--{}", other.flag);
                assert_eq!(refused(&[&other, "x"]), Some(ErrorKind::MissingRequiredArgument), "{other}");
            }
        }
        let all: Vec<String> = forms().map(|form| format!("--{}=x", form.flags[0].flag)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(refused(&all), Some(ErrorKind::ArgumentConflict));
        assert_eq!(refused(&["--config", "x", "--to", "y"]), Some(ErrorKind::ArgumentConflict));
    }
}
