//! The rekeyd binary. All code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rekeyd::cli::main()
}
