//! The store's table in the policy, and the source's key in the agent's configuration: as written, and checked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapters::directory::Settings;
use crate::adapters::directory::follow::FileSettings;
use crate::config_file::findings::Findings;
use crate::config_file::kinds::{AbsolutePath, At, Mode, Text};
use crate::config_file::values;

/// Readable by the owner and the group that the consumers share.
const MODE: &str = "0440";
const DIRECTORY_MODE: &str = "0750";

/// Files in a directory of this machine, for a tmpfs that is shared with consumers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Directory", extend("required" = ["path"]))]
pub(crate) struct StoreTable {
    /// The directory; it is created if it does not exist.
    #[schemars(extend("examples" = ["/run/rekeyd/secrets"]))]
    path: Option<At<AbsolutePath>>,
    /// The mode of the files.
    #[schemars(extend("default" = MODE))]
    mode: Option<At<Mode>>,
    /// The group of files and directories: its name or number.
    group: Option<At<Text>>,
    /// The mode of the directories.
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
        let rule = "rekeyd could not read back what it wrote";
        findings.error(&written.span(), rule, "let the owner read, such as in \"0440\"");
    }
    if mode & 0o022 != 0 {
        let rule = "others than the owner could replace the key";
        findings.error(&written.span(), rule, "let only the owner write, such as in \"0440\" or \"0640\"");
    } else if mode & 0o004 != 0 {
        let rule = "every user of this machine could read the key";
        findings.lint(&written.span(), rule, "share a group with the consumers and write \"0440\"");
    }
    mode
}

fn directory_mode(written: Option<&At<Mode>>, findings: &mut Findings) -> u32 {
    let mode = values::mode(written, DIRECTORY_MODE, findings);
    let Some(written) = written else { return mode };
    if mode & 0o700 != 0o700 {
        let rule = "rekeyd could not use its own directory";
        findings.error(&written.span(), rule, "let the owner do everything, such as in \"0750\"");
    }
    if mode & 0o007 != 0 {
        let rule = "every user of this machine could enter the directory";
        findings.lint(&written.span(), rule, "share a group with the consumers and write \"0750\"");
    } else if mode & 0o020 != 0 {
        let rule = "others than the owner could replace the key";
        findings.lint(&written.span(), rule, "let only the owner write, such as in \"0750\"");
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
