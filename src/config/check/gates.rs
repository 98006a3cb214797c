//! Checks `wait_for`: the gates before the old key is revoked, each by a function of its own.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::config::check::credentials::References;
use crate::config::defaults as silent;
use crate::config::raw::{self, At};
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::gate::command::CommandGate;
use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::gate::probes::{Probe, Reads};
use crate::domain::gate::{Gate, Idle, WhenUnknown};
use crate::domain::ids::{ConsumerName, CredentialName};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A checked `wait_for`: each key of the credential, else of the defaults.
pub(super) struct Waits {
    pub(super) gates: Vec<Gate>,
    pub(super) confirm: ConfirmWhen,
    pub(super) acks_valid_for: Option<SignedDuration>,
    pub(super) canary: Option<String>,
}

pub(super) fn waits(
    around: &References<'_>,
    own: &raw::WaitFor,
    inherited: &raw::WaitFor,
    findings: &mut Findings,
) -> Waits {
    let gates = [
        acks(around, own, inherited, findings),
        idle(own, inherited, findings),
        new_key_used(own, inherited),
        probes(own, inherited, findings),
        command(own, inherited, findings),
    ];
    let acks_valid_for = own.acks_valid_for.as_ref().or(inherited.acks_valid_for.as_ref());
    let canary = own.canary.as_ref().or(inherited.canary.as_ref());
    Waits {
        gates: gates.into_iter().flatten().collect(),
        confirm: match own.confirm.as_ref().or(inherited.confirm.as_ref()).map(At::value) {
            Some(true) => ConfirmWhen::Always,
            Some(false) => ConfirmWhen::Never,
            None => ConfirmWhen::FirstWithoutGates,
        },
        acks_valid_for: values::duration(acks_valid_for, SignedDuration::from_mins(1), findings),
        canary: values::text(canary, findings),
    }
}

fn acks(
    around: &References<'_>,
    own: &raw::WaitFor,
    inherited: &raw::WaitFor,
    findings: &mut Findings,
) -> Option<Gate> {
    let written = own.acks.as_ref().or(inherited.acks.as_ref())?;
    let consumers = consumers(around, written, findings);
    (!consumers.is_empty()).then_some(Gate::Acks(consumers))
}

fn consumers(
    around: &References<'_>,
    acks: &[At<raw::Reference>],
    findings: &mut Findings,
) -> BTreeSet<ConsumerName> {
    let declared: Vec<&str> = around.raw.consumers.keys().map(|name| name.value().as_str()).collect();
    let mut names = BTreeSet::new();
    for ack in acks {
        let name = values::reference(ack, "consumer", &declared, ConsumerName::new, findings);
        let Some(name) = name else { continue };
        let lacks_token = around
            .consumers
            .get(&name)
            .is_some_and(|consumer| consumer.token.is_none() && consumer.certificate.is_none());
        let is_explained = findings.is_explained(&format!("consumers.{name}.certificate"));
        if lacks_token && !is_explained && !findings.is_explained(&format!("consumers.{name}.token")) {
            let help = format!(
                "set `token` in `[consumers.{name}]`, for example `token = {{ file = \"/etc/rekeyd/credentials/{name}\" }}`"
            );
            findings.error(
                &ack.span(),
                format!("the consumer `{name}` has no token for acknowledgements"),
                help,
            );
        }
        names.insert(name);
    }
    names
}

fn idle(own: &raw::WaitFor, inherited: &raw::WaitFor, findings: &mut Findings) -> Option<Gate> {
    let when_unknown = own.when_unknown.as_ref().or(inherited.when_unknown.as_ref()).map(At::value);
    let when_unknown = match when_unknown {
        Some(raw::WhenUnknown::Hold) | None => WhenUnknown::Hold,
        Some(raw::WhenUnknown::Time) => WhenUnknown::Time,
    };
    let quiet = values::duration(own.idle.as_ref().or(inherited.idle.as_ref()), SECOND, findings)?;
    Some(Gate::Idle(Idle { quiet, when_unknown }))
}

fn new_key_used(own: &raw::WaitFor, inherited: &raw::WaitFor) -> Option<Gate> {
    let written = own.new_key_used.as_ref().or(inherited.new_key_used.as_ref())?;
    written.value().then_some(Gate::NewKeyUsed)
}

fn probes(own: &raw::WaitFor, inherited: &raw::WaitFor, findings: &mut Findings) -> Option<Gate> {
    let written = own.probes.as_ref().or(inherited.probes.as_ref())?;
    let probes = endpoints(written, findings);
    (!probes.is_empty()).then_some(Gate::Probes(probes))
}

fn endpoints(written: &[raw::Probe], findings: &mut Findings) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for one in written {
        let name = one.name.as_ref().and_then(|written| {
            let text = written.value().as_str();
            if CredentialName::new(text).is_err() {
                let help = "use a name of at most 64 letters, digits, `-`, `_` and `.`";
                findings.error(&written.span(), "not a probe name", help);
                return None;
            }
            if probes.iter().any(|probe| probe.name == text) {
                let help = "use a separate name for each probe";
                findings.error(&written.span(), "another probe has the same name", help);
            }
            Some(text.to_owned())
        });
        let url = values::plain_url(one.url.as_ref(), findings);
        let pointer = values::text(one.json_pointer.as_ref(), findings);
        if let (Some(pointer), Some(written)) = (&pointer, &one.json_pointer)
            && !pointer.starts_with('/')
        {
            let help = "use for example \"/elevenlabs/fingerprint\"";
            findings.error(&written.span(), "a JSON pointer must begin with `/`", help);
        }
        let header = values::text(one.header.as_ref(), findings);
        if let (Some(written), Some(_)) = (&one.header, &pointer) {
            let rule = "`json_pointer` and `header` are both set";
            findings.error(&written.span(), rule, "keep one of them");
        }
        let reads = match (pointer, header) {
            (Some(pointer), _) => Reads::JsonPointer(pointer),
            (None, Some(header)) => Reads::Header(header),
            (None, None) => Reads::Body,
        };
        let every_address = one.every_address.as_ref().is_some_and(|every| *every.value());
        if let (Some(name), Some(url)) = (name, url) {
            probes.push(Probe { name, url: url.to_string(), reads, every_address });
        }
    }
    probes
}

fn command(own: &raw::WaitFor, inherited: &raw::WaitFor, findings: &mut Findings) -> Option<Gate> {
    let of = if own.command.is_some() { own } else { inherited };
    let written = of.command.as_ref()?;
    let program = written.first()?;
    if !program.value().as_str().starts_with('/') {
        let help = "use the program's absolute path, such as \"/usr/local/bin/may-revoke\"";
        findings.error(&program.span(), "the command must have an absolute path", help);
    }
    Some(Gate::Command(CommandGate {
        command: written.iter().map(|part| part.value().as_str().to_owned()).collect(),
        time_limit: values::duration_or(
            of.command_time_limit.as_ref(),
            silent::COMMAND_TIME_LIMIT,
            SECOND,
            findings,
        ),
    }))
}
