//! What clap has to say, in our form: an error is one line.

use clap::CommandFactory;
use clap::error::ErrorKind;
use peerless_core::text::escaped;

use crate::args::Cli;
use crate::exit::Exit;
use crate::out;

/// Prints help or version where they were asked for, else the error; the exit code to end with.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "all other kinds are errors, also those to come")]
pub fn report(error: &clap::Error) -> Exit {
    match error.kind() {
        // clap knows where to print these and whether in colour.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            out::tell(&format!("peerless: usage: {}; see 'peerless --help'", one_line(&error.to_string())));
            Exit::Usage
        }
    }
}

/// For a call with no arguments at all: the help, on stderr.
#[must_use]
pub fn report_nothing() -> Exit {
    out::tell(&Cli::command().render_help().to_string());
    Exit::Usage
}

/// The first paragraph of clap's message, which says what is wrong; the rest is advice.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.lines().map(str::trim).collect();
    escaped(words.join(" ").trim_start_matches("error: ")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn line(args: &[&str]) -> String {
        one_line(&Cli::try_parse_from(args).unwrap_err().to_string())
    }

    #[test]
    fn an_error_is_one_line_that_names_the_argument() {
        assert_eq!(line(&["peerless", "--nonsense"]), "unexpected argument '--nonsense' found");
        let missing = line(&["peerless", "verify"]);
        assert!(missing.contains("<TORRENT>") && !missing.contains('\n'), "{missing}");
    }

    #[test]
    fn control_characters_in_arguments_are_escaped() {
        let line = line(&["peerless", "x", "--port", "\u{1b}[2J"]);
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
