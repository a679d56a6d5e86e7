//! `peerless create PATH`: makes a torrent.

mod listing;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use peerless_core::DiskErrorKind;
use peerless_core::metainfo::{Create, Metainfo, auto_piece_len};
use peerless_core::text::escaped;

use crate::args::CreateArgs;
use crate::command::info::Info;
use crate::exit::{Exit, Failure};
use crate::progress::Task;
use crate::values::PieceLen;
use crate::{format, out};
use listing::Listing;

/// Lists, hashes and writes.
///
/// # Errors
/// When the data can't be read or shared, or the torrent can't be written.
pub fn run(args: &CreateArgs) -> Result<Exit, Failure> {
    let listing = Listing::of(&args.path)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => default_name(&args.path)?,
    };
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.torrent")));
    Failure::unless_free(&output, args.force)?;
    if listing.skipped_count > 0 {
        let (name, count) = (escaped(&name), listing.skipped_count);
        out::tell(&format!("{name}: left out, as symbolic links or special files: {count}"));
    }
    let create = plan(args, name, &listing);
    let raw = create.encode(&hash(&listing, create.piece_len)?);
    let metainfo = Metainfo::parse(raw).map_err(|error| {
        Failure::new(Exit::Other, args.path.display(), format_args!("can't be shared: {error}"))
    })?;
    check_names(args, &metainfo, &listing)?;
    write(&output, metainfo.raw(), args.force).map_err(|error| Failure::unwritable(&output, &error))?;
    let info = Info::of(&metainfo).with_output(&output);
    if args.json {
        out::print_json(&info)?;
    } else {
        let size = format::size(metainfo.geometry().total_len());
        let hash = metainfo.info_hash();
        out::print(&format!("{}: {size}, info-hash {hash}\n", escaped(&output.to_string_lossy())))?;
    }
    Ok(Exit::Done)
}

/// The last part of the path, wherever `.` and `..` lead.
fn default_name(path: &Path) -> Result<String, Failure> {
    let path = path.canonicalize().map_err(|error| Failure::unreadable(path, &error))?;
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| {
        Failure::new(Exit::Usage, path.display(), "makes no name in UTF-8: give one by --name")
    })
}

fn plan(args: &CreateArgs, name: String, listing: &Listing) -> Create {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let date = now.and_then(|since| i64::try_from(since.as_secs()).ok());
    Create {
        name,
        content: listing.content(),
        piece_len: match args.piece_length {
            PieceLen::Auto => auto_piece_len(listing.total_len()),
            PieceLen::Bytes(len) => len,
        },
        private: args.private,
        source: args.source.clone(),
        tiers: args.tiers.iter().map(|tier| tier.0.clone()).collect(),
        web_seeds: args.web_seeds.clone(),
        comment: args.comment.clone(),
        created_by: Some(format!("peerless/{}", env!("CARGO_PKG_VERSION"))),
        creation_date: date.filter(|_| !args.no_creation_date),
    }
}

fn hash(listing: &Listing, piece_len: u32) -> Result<Vec<[u8; 20]>, Failure> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut task = Task::new("hashing", listing.total_len());
    let digests =
        peerless_jobs::hash::pieces_of(&listing.files(), piece_len, threads, |done| task.update(done));
    task.finish();
    digests.map_err(|error| {
        let failure = Failure::from(&error);
        let is_input = matches!(error.kind, DiskErrorKind::NotFound | DiskErrorKind::Denied);
        if is_input { failure.with_exit(Exit::Input) } else { failure }
    })
}

/// Whoever gets the data may see other names than ours, if ours can't be used everywhere.
fn check_names(args: &CreateArgs, metainfo: &Metainfo, listing: &Listing) -> Result<(), Failure> {
    if let Some(name) = args.name.as_deref().filter(|name| *name != metainfo.name()) {
        let why = format!("can't be a name everywhere: {} would", escaped(metainfo.name()));
        return Err(Failure::new(Exit::Usage, format_args!("--name {name}"), why));
    }
    let names = listing.names();
    for (file, ours) in metainfo.layout().files().iter().zip(names) {
        let theirs = file.path.split_once('/').map_or_else(|| metainfo.name(), |(_, rest)| rest);
        if !ours.is_empty() && theirs != ours {
            out::tell(&format!("{}: will be {} on disk elsewhere", escaped(ours), escaped(theirs)));
        }
    }
    Ok(())
}

/// Writes the file whole or not at all. An old one stays until the new one is there.
pub(crate) fn write(output: &Path, raw: &[u8], force: bool) -> io::Result<()> {
    let mut part = output.as_os_str().to_owned();
    if force {
        part.push(".part");
    }
    let part = PathBuf::from(part);
    let mut open = OpenOptions::new();
    open.write(true);
    let mut file = if force {
        open.create(true).truncate(true).open(&part)?
    } else {
        open.create_new(true).open(&part)?
    };
    let written = fill(&mut file, raw).and_then(|()| if force { fs::rename(&part, output) } else { Ok(()) });
    if written.is_err() {
        // What is half written serves nobody; the first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

fn fill(file: &mut File, raw: &[u8]) -> io::Result<()> {
    file.write_all(raw)?;
    file.sync_all()
}
