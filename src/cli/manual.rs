//! `rekeyd man`: the manual pages, one per command and one for the policy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::examples;
use crate::cli::exit::{CommandError, Exit};

mod policy;

const SECTION: &str = "8";
/// When the pages were last revised, as every reader of manuals takes it.
const DATE: &str = "2026-11-29";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Directory to write the pages to; created if missing
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let directory = &arguments.directory;
    match write(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let why = format!("cannot write the manual pages to {}: {error}", directory.display());
            CommandError::other(why).report(false)
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let command = examples::command();
    let shown: Vec<&Command> = command.get_subcommands().filter(|of| !of.is_hide_set()).collect();
    let of_all = command.clone().subcommand_required(true);
    write_page(directory, "rekeyd.8", &page(of_all, "rekeyd", true)?)?;
    for of in shown {
        let name = format!("rekeyd-{}", of.get_name());
        // The synopsis shows the command as typed.
        let of = of.clone().name(name.clone()).bin_name(name.replacen('-', " ", 1));
        write_page(directory, &format!("{name}.{SECTION}"), &page(of, &name, false)?)?;
    }
    write_page(directory, "rekeyd-policy.5", &policy::page()?)
}

/// Pages are ASCII, for any locale: other characters are written as code points.
fn write_page(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let mut page = String::new();
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_ascii() {
            page.push(character);
        } else {
            page += &format!("\\[u{:04X}]", u32::from(character));
        }
    }
    fs::write(directory.join(name), page)
}

fn page(command: Command, name: &str, is_first: bool) -> io::Result<Vec<u8>> {
    let command = command.version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    let source = format!("rekeyd {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).title(name).section(SECTION).source(source).manual("rekeyd").date(DATE);
    let mut text = Vec::new();
    man.render(&mut text)?;
    exit_codes(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let others = if is_first {
        "rekeyd-policy(5), and rekeyd-COMMAND(8) for each command"
    } else {
        "rekeyd(8), rekeyd-policy(5)"
    };
    roff.text([roman(others)]);
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn exit_codes(text: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    let all = Exit::ALL.iter().map(|exit| (*exit as u8, exit.meaning()));
    for (code, meaning) in [(0, "done")].into_iter().chain(all) {
        roff.control("TP", ["6"]);
        roff.text([bold(code.to_string())]);
        roff.text([roman(meaning.replace('`', ""))]);
    }
    roff.to_writer(text)
}
