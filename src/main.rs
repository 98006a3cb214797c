//! The rekeyd binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rekeyd::cli::main()
}
