//! `peerless man`: one page for the program and all of its commands.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::out;

/// What each exit code means; in the words of the contract.
const EXIT_CODES: &str = "\
.SH \"EXIT STATUS\"
.TP
0
all that was asked is done and verified
.TP
1
other error
.TP
2
wrong usage
.TP
3
input not found or unreadable
.TP
4
input is not a valid torrent, magnet link or scenario
.TP
5
gave up: \\-\\-stop\\-timeout, or the limit of a scenario
.TP
6
network failed: can't listen
.TP
7
interrupted with work unfinished; the same command goes on
.TP
8
data does not match the torrent
.TP
9
disk full
.TP
10
other disk error
.TP
11
refused to overwrite, or another process holds this download
.TP
12
a replay diverged
";

/// Prints the page, in roff.
///
/// # Errors
/// When stdout can't be written.
pub fn run() -> Result<Exit, Failure> {
    out::print(&page().map_err(|error| Failure::new(Exit::Other, "manual page", error))?)?;
    Ok(Exit::Done)
}

fn page() -> std::io::Result<String> {
    let mut program = Cli::command();
    program.build();
    let mut page = Vec::new();
    Man::new(program.clone()).render(&mut page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        section(command, &mut page)?;
    }
    page.extend_from_slice(EXIT_CODES.as_bytes());
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A command's own section: how it is called, what it does, its options.
fn section(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let title = format!("peerless {}", command.get_name()).to_uppercase();
    page.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
    let man = Man::new(command.clone());
    for render in [Man::render_synopsis_section, Man::render_description_section, Man::render_options_section]
    {
        let mut part = Vec::new();
        render(&man, &mut part)?;
        // Sections of the page become parts of this command's section.
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        page.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command() {
        let page = page().unwrap();
        for command in Cli::command().get_subcommands() {
            let title = format!("PEERLESS {}\"", command.get_name().to_uppercase());
            assert!(page.contains(&title), "{title}");
        }
        assert!(page.contains("EXIT STATUS") && page.contains("stop\\-timeout"));
    }
}
