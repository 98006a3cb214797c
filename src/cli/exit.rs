//! How commands end: the exit codes, and what is said on standard error.

use std::error::Error;
use std::process::ExitCode;

pub(super) const FAILED: ExitCode = ExitCode::FAILURE;
