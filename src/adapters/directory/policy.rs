//! The store's table in the policy, and the source's key in the agent's configuration: as written, and checked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapters::directory::Settings;
use crate::adapters::directory::follow::FileSettings;
use crate::config_file::findings::Findings;
use crate::config_file::kinds::{AbsolutePath, At, Mode, Text};
use crate::config_file::values;

/// Readable for the owner and the consumers' group.
const MODE: &str = "0440";
const DIRECTORY_MODE: &str = "0750";

/// Files in a local directory, typically a tmpfs that consumers can read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Directory", extend("required" = ["path"]))]
pub(crate) struct StoreTable {
    /// Path of the directory; created if missing.
    #[schemars(extend("examples" = ["/run/rekeyd/secrets"]))]
    path: Option<At<AbsolutePath>>,
    /// Mode of the files.
    #[schemars(extend("default" = MODE))]
    mode: Option<At<Mode>>,
    /// Group of files and directories: name or number.
    group: Option<At<Text>>,
    /// Mode of the directories.
    #[schemars(extend("default" = DIRECTORY_MODE))]
    directory_mode: Option<At<Mode>>,
}

/// `None` only where a problem was reported.
pub(crate) fn check_store(written: &StoreTable, findings: &mut Findings) -> Option<Settings> {
    let mode = file_mode(written.mode.as_ref(), findings);
    let directory_mode = directory_mode(written.directory_mode.as_ref(), findings);
    let group = values::text(written.group.as_ref(), findings);
    let path = values::path(written.path.as_ref(), findings)?;
    Some(Settings { path, mode, directory_mode, group })
}

fn file_mode(written: Option<&At<Mode>>, findings: &mut Findings) -> u32 {
    let mode = values::mode(written, MODE, findings);
    let Some(written) = written else { return mode };
    if mode & 0o400 == 0 {
        let rule = "rekeyd could not read the files that it writes";
        findings.error(&written.span(), rule, "make them readable for the owner, such as \"0440\"");
    }
    if mode & 0o022 != 0 {
        let rule = "other users could replace the key";
        findings.error(
            &written.span(),
            rule,
            "make them writable for the owner only, such as \"0440\" or \"0640\"",
        );
    } else if mode & 0o004 != 0 {
        let rule = "every user of this machine could read the key";
        findings.warning(&written.span(), rule, "share a group with the consumers, and use \"0440\"");
    }
    mode
}

fn directory_mode(written: Option<&At<Mode>>, findings: &mut Findings) -> u32 {
    let mode = values::mode(written, DIRECTORY_MODE, findings);
    let Some(written) = written else { return mode };
    if mode & 0o700 != 0o700 {
        let rule = "rekeyd could not use its own directory";
        findings.error(&written.span(), rule, "give the owner full access, such as \"0750\"");
    }
    if mode & 0o007 != 0 {
        let rule = "every user of this machine could enter the directory";
        findings.warning(&written.span(), rule, "share a group with the consumers, and use \"0750\"");
    } else if mode & 0o020 != 0 {
        let rule = "other users could replace the key";
        findings.warning(&written.span(), rule, "make it writable for the owner only, such as \"0750\"");
    }
    mode
}

/// A file: a secret of the directory store, or any other.
pub(crate) type SourceTable = At<AbsolutePath>;

/// `None` only where a problem was reported.
pub(crate) fn check_source(written: &SourceTable, findings: &mut Findings) -> Option<FileSettings> {
    let path: PathBuf = values::path(Some(written), findings)?;
    Some(FileSettings { path })
}
