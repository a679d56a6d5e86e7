//! Serves a torrent from memory: what is left of seeding when nothing is read, chosen or limited.

use std::io::{self, IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::{fs, thread};

use peerless_core::metainfo::Metainfo;

use crate::wire::{self, BITFIELD, Frames, PIECE, REQUEST, UNCHOKE};

/// Blocks in one write.
const BLOCKS_MAX: usize = 64;

pub(crate) fn give(torrent: &Metainfo, file: &Path, addr: &str) -> io::Result<()> {
    let payload: &'static [u8] = fs::read(file)?.leak();
    let listener = TcpListener::bind(addr)?;
    // A thread for each peer: there are few.
    for stream in listener.incoming() {
        let (stream, torrent) = (stream?, torrent.clone());
        thread::spawn(move || {
            // It ends as leeches end it: by leaving.
            let _gone = serve(stream, &torrent, payload);
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, torrent: &Metainfo, payload: &[u8]) -> io::Result<()> {
    wire::shake_hands(&mut stream, torrent, *b"-BA0001-give-give-gi")?;
    let bits = peerless_core::bitfield::Bitfield::full(torrent.geometry().piece_count()).to_wire();
    let bits_len = u32::try_from(bits.len() + 1).map_err(io::Error::other)?;
    let mut hello = bits_len.to_be_bytes().to_vec();
    hello.push(BITFIELD);
    hello.extend_from_slice(&bits);
    hello.extend_from_slice(&[0, 0, 0, 1, UNCHOKE]);
    stream.write_all(&hello)?;

    let mut frames = Frames::new(64 * 1024);
    let mut asked: Vec<([u8; 13], &[u8])> = Vec::new();
    while frames.fill(&mut stream)? > 0 {
        while let Some(message) = frames.next() {
            let message = &frames.bytes()[message];
            if message[0] == REQUEST {
                asked.push(answer(torrent, payload, message)?);
            }
        }
        for part in asked.chunks(BLOCKS_MAX) {
            send(&mut stream, part)?;
        }
        asked.clear();
    }
    Ok(())
}

/// The header and the payload that a request asks for.
fn answer<'a>(torrent: &Metainfo, payload: &'a [u8], request: &[u8]) -> io::Result<([u8; 13], &'a [u8])> {
    let [index, begin, len] = [1, 5, 9].map(|at| wire::number(request, at));
    let start = u64::from(index) * u64::from(torrent.geometry().piece_len()) + u64::from(begin);
    let start = usize::try_from(start).map_err(io::Error::other)?;
    let data = payload.get(start..start + len as usize);
    let data = data.ok_or_else(|| io::Error::other("a request past the end"))?;
    let mut header = [0; 13];
    header[..4].copy_from_slice(&(9 + len).to_be_bytes());
    header[4] = PIECE;
    header[5..].copy_from_slice(&request[1..9]);
    Ok((header, data))
}

fn send(stream: &mut TcpStream, blocks: &[([u8; 13], &[u8])]) -> io::Result<()> {
    let mut slices = Vec::with_capacity(2 * blocks.len());
    for (header, data) in blocks {
        slices.push(IoSlice::new(header));
        slices.push(IoSlice::new(data));
    }
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let len = stream.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, len);
    }
    Ok(())
}
