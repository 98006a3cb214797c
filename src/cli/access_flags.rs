//! The flags of `rekeyd doctor` that print access policies, as each kind of store declares them.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::ports::access_policy::{AccessOption, AccessPolicyForm, AccessScope};
use crate::ports::store_kind::StoreKind;
use crate::stores::KINDS;

/// Only one access policy is printed at a time.
const GROUP: &str = "access_policy";

#[derive(Default)]
pub(super) struct AccessFlags {
    pub(super) wanted: Option<AccessWanted>,
}

/// The access policy to print.
pub(super) struct AccessWanted {
    pub(super) kind: &'static StoreKind,
    pub(super) form: &'static AccessPolicyForm,
    pub(super) scope: AccessScope,
}

fn forms() -> impl Iterator<Item = (&'static StoreKind, &'static AccessPolicyForm)> {
    KINDS.iter().filter_map(|kind| Some((*kind, kind.access_policy.as_ref()?)))
}

fn option(form: &AccessPolicyForm, option: &'static AccessOption) -> Arg {
    let accepted = |text: &str| (option.accepts)(text).map(|()| text.to_owned());
    let action = if option.is_repeatable { ArgAction::Append } else { ArgAction::Set };
    Arg::new(option.flag)
        .long(option.flag)
        .value_name(option.value_name)
        .help(format!("With --{}: {}", form.flag, option.help))
        .requires(form.flag)
        .action(action)
        .value_parser(accepted)
}

impl Args for AccessFlags {
    fn augment_args(command: Command) -> Command {
        forms().fold(command, |command, (_, form)| {
            let flag = Arg::new(form.flag).long(form.flag).help(form.help).action(ArgAction::SetTrue);
            let command = command.arg(flag.group(GROUP).conflicts_with("write_probe"));
            command.args(form.options.iter().map(|it| option(form, it)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AccessFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Some((kind, form)) = forms().find(|(_, form)| matches.get_flag(form.flag)) else {
            return Ok(Self::default());
        };
        let mut scope = AccessScope::default();
        for option in form.options {
            for value in matches.get_many::<String>(option.flag).into_iter().flatten() {
                scope.add(option.flag, value.clone());
            }
        }
        Ok(Self { wanted: Some(AccessWanted { kind, form, scope }) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
