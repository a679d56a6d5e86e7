//! Which files of a torrent `--files` means.

use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use peerless_core::metainfo::Metainfo;
use peerless_core::priority::Priority;
use peerless_core::text::escaped;

use crate::exit::{Exit, Failure};

/// One `--files`: numbers as `info` shows them, or a glob.
#[derive(Clone, Debug)]
pub enum FileSpec {
    /// Runs of numbers from 1 up, each from its first to its last.
    Numbers(Vec<(usize, usize)>),
    /// With a slash it is matched with the file's path, with or without the torrent's name in front;
    /// without one, with the file's name. `*` and `?` stand for no slash, `**` for anything.
    Glob(GlobMatcher),
}

impl FromStr for FileSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("numbers like 1-3,7 or a glob are wanted".to_owned());
        }
        if text.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '-')) {
            return text.split(',').map(run).collect::<Result<_, _>>().map(Self::Numbers);
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        glob.map(|glob| Self::Glob(glob.compile_matcher())).map_err(|error| error.to_string())
    }
}

/// A number, or two with a `-` between them.
fn run(text: &str) -> Result<(usize, usize), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(format!("{text:?} is no number from 1 up and no run of them like 1-3")),
    }
}

/// The priorities that make these files the wanted ones; all if there is no spec.
///
/// # Errors
/// When a number is none of a file, or a glob matches none.
pub fn choose(specs: &[FileSpec], metainfo: &Metainfo) -> Result<Vec<Priority>, Failure> {
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let files = metainfo.layout().files();
    let mut priorities = vec![Priority::SKIP; files.len()];
    let shown: Vec<usize> =
        (0..files.len()).filter(|&at| !files.get(at).is_some_and(|f| f.padding)).collect();
    for spec in specs {
        let chosen: Vec<usize> = match spec {
            FileSpec::Numbers(runs) => numbered(runs, &shown, metainfo)?,
            FileSpec::Glob(glob) => {
                let path = |at: &usize| files.get(*at).map_or("", |file| file.path.as_str());
                shown.iter().copied().filter(|at| matches(glob, path(at))).collect()
            }
        };
        if let (true, FileSpec::Glob(glob)) = (chosen.is_empty(), spec) {
            return Err(refusal(metainfo, &format!("no file matches {}", escaped(glob.glob().glob()))));
        }
        for at in chosen {
            priorities.get_mut(at).into_iter().for_each(|priority| *priority = Priority::NORMAL);
        }
    }
    Ok(priorities)
}

/// The files of these numbers, out of those that are shown.
fn numbered(runs: &[(usize, usize)], shown: &[usize], metainfo: &Metainfo) -> Result<Vec<usize>, Failure> {
    let mut files = Vec::new();
    for (first, last) in runs {
        let Some(run) = shown.get(first - 1..*last) else {
            return Err(refusal(metainfo, &format!("it has no file {last}, but {}", shown.len())));
        };
        files.extend_from_slice(run);
    }
    Ok(files)
}

fn matches(glob: &GlobMatcher, path: &str) -> bool {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (_, below) = path.split_once('/').unwrap_or(("", path));
    match glob.glob().glob().contains('/') {
        true => glob.is_match(path) || glob.is_match(below),
        false => glob.is_match(name),
    }
}

fn refusal(metainfo: &Metainfo, why: &str) -> Failure {
    Failure::new(Exit::Usage, format_args!("--files: {}", escaped(metainfo.name())), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::metainfo::{Content, Create};

    fn chosen(specs: &[&str]) -> Result<String, String> {
        let files = ["a.mkv", "extra/b.MKV", "extra/b.srt", "readme"];
        let parts = |path: &str| path.split('/').map(str::to_owned).collect();
        let create = Create::new(
            "n".to_owned(),
            Content::Folder(files.iter().map(|path| (parts(path), 1)).collect()),
            16384,
        );
        let metainfo = Metainfo::parse(create.encode(&[[7; 20]])).unwrap();
        let specs = specs.iter().map(|spec| spec.parse()).collect::<Result<Vec<FileSpec>, _>>()?;
        let priorities = choose(&specs, &metainfo).map_err(|failure| failure.to_string())?;
        Ok(priorities.iter().map(|priority| if priority.is_wanted() { 'x' } else { '.' }).collect())
    }

    #[test]
    fn numbers_and_globs_are_put_together() {
        for (specs, want) in [
            (&[][..], ""),
            (&["1"], "x..."),
            (&["2-3,1"], "xxx."),
            (&["4", "1"], "x..x"),
            (&["*.mkv"], "x..."),
            (&["*.[mM]*"], "xx.."),
            (&["extra/*"], ".xx."),
            (&["n/extra/*.srt", "readme"], "..xx"),
            (&["n/**"], "xxxx"),
            (&["n/*"], "x..x"),
            (&["{a,b}.*"], "xxx."),
        ] {
            assert_eq!(chosen(specs).as_deref(), Ok(want), "{specs:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for spec in ["5", "1-5", "0", "2-1", "1,,2", "-", "", "*.avi", "[", "99999999999999999999999"] {
            assert!(chosen(&[spec]).is_err(), "{spec}");
        }
        assert_eq!(chosen(&["5"]), Err("--files: n: it has no file 5, but 4".to_owned()));
    }
}
