//! The `peerless` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    peerless::run(std::env::args_os()).into()
}
