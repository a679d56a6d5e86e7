//! Numbers, texts, addresses and lists of them as bytes, and back.
//!
//! [`Put`] appends a value, [`Take`] reads it again. What is made of other values gets both by the
//! macros of `shape`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::key::{Key, PeerKey, TorrentKey};
use crate::piece::Geometry;

/// The most payload that one record stands for: far over any runtime's scratch buffer, and over the
/// longest run of a web seed.
pub(super) const PAYLOAD_LEN_MAX: usize = 64 * 1024 * 1024;

/// What can be written down.
pub(crate) trait Put {
    fn put(&self, out: &mut Writer);
}

/// What can be read again.
pub(super) trait Take: Sized {
    /// `None` where the bytes end too early or are not one.
    fn take(from: &mut Reader<'_>) -> Option<Self>;
}

/// Appends to a recording.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// In LEB128: seven bits a byte, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    pub(super) fn len(&mut self, len: usize) {
        self.number(len as u64);
    }

    /// Sixteen bits that are as likely large as small.
    pub(super) fn short(&mut self, number: u16) {
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.extend_from_slice(bytes);
    }
}

/// Takes a recording apart.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// How the bytes of the recorded session's torrents divide.
    geometries: &'a dyn Fn(TorrentKey) -> Option<Geometry>,
    /// The torrent that the record is about, as far as it is read.
    torrent: Option<TorrentKey>,
    /// How much payload may still stand for bytes.
    payload_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], geometries: &'a dyn Fn(TorrentKey) -> Option<Geometry>) -> Self {
        Self { rest: bytes, geometries, torrent: None, payload_left: PAYLOAD_LEN_MAX }
    }

    /// What is still to be read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The same for these bytes, which are a part of what was read.
    pub(super) const fn part(&self, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, ..*self }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.skip(1)?.first().copied()
    }

    /// The next bytes, as they are.
    pub(super) fn skip(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if (bits << shift) >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.skip(2)?.try_into().ok()?))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.small()?;
        self.skip(len)
    }

    /// The length of payload that is not in the recording: the sum of all within one record is bounded.
    pub(super) fn payload_len(&mut self) -> Option<usize> {
        let len = self.small()?;
        self.payload_left = self.payload_left.checked_sub(len)?;
        Some(len)
    }

    /// How the torrent's bytes divide that the record is about. Of one that is gone anything may be
    /// said: nobody listens.
    pub(super) fn geometry(&self) -> Geometry {
        let known = self.torrent.and_then(self.geometries).filter(|known| known.piece_count() > 0);
        known.unwrap_or(Geometry::LARGEST)
    }
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, out: &mut Writer) {
        (**self).put(out);
    }
}

impl Put for () {
    fn put(&self, _: &mut Writer) {}
}

impl Take for () {
    fn take(_: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

impl Put for u8 {
    fn put(&self, out: &mut Writer) {
        out.byte(*self);
    }
}

impl Take for u8 {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        from.byte()
    }
}

impl Put for bool {
    fn put(&self, out: &mut Writer) {
        out.byte((*self).into());
    }
}

impl Take for bool {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($name:ident),*) => {$(
        impl Put for $name {
            fn put(&self, out: &mut Writer) {
                out.number(*self as u64);
            }
        }

        impl Take for $name {
            fn take(from: &mut Reader<'_>) -> Option<Self> {
                from.small()
            }
        }
    )*};
}

numbers!(u16, u32, u64, usize);

macro_rules! tuples {
    ($($($name:ident $place:tt)*;)*) => {$(
        impl<$($name: Put),*> Put for ($($name,)*) {
            fn put(&self, out: &mut Writer) {
                $(self.$place.put(out);)*
            }
        }

        impl<$($name: Take),*> Take for ($($name,)*) {
            fn take(from: &mut Reader<'_>) -> Option<Self> {
                Some(($($name::take(from)?,)*))
            }
        }
    )*};
}

tuples! {
    A 0 B 1;
    A 0 B 1 C 2;
}

impl<T: Put> Put for [T] {
    fn put(&self, out: &mut Writer) {
        out.len(self.len());
        self.iter().for_each(|item| item.put(out));
    }
}

impl<T: Put> Put for Vec<T> {
    fn put(&self, out: &mut Writer) {
        self.as_slice().put(out);
    }
}

impl<T: Take> Take for Vec<T> {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.number()?;
        // Never reserves by a number from outside: the list grows as its items are found.
        let mut items = Self::new();
        for _ in 0..count {
            items.push(T::take(from)?);
        }
        Some(items)
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, out: &mut Writer) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
}

impl<T: Take> Take for Option<T> {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        if bool::take(from)? { T::take(from).map(Some) } else { Some(None) }
    }
}

impl<T: Put, E: Put> Put for Result<T, E> {
    fn put(&self, out: &mut Writer) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }
}

impl<T: Take, E: Take> Take for Result<T, E> {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        if bool::take(from)? { T::take(from).map(Ok) } else { E::take(from).map(Err) }
    }
}

impl<T: Put> Put for Box<T> {
    fn put(&self, out: &mut Writer) {
        (**self).put(out);
    }
}

impl<T: Take> Take for Box<T> {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}

/// Bytes that are as long whatever they say.
impl<const N: usize> Put for [u8; N] {
    fn put(&self, out: &mut Writer) {
        out.0.extend_from_slice(self);
    }
}

impl<const N: usize> Take for [u8; N] {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        from.skip(N)?.try_into().ok()
    }
}

impl Put for str {
    fn put(&self, out: &mut Writer) {
        out.bytes(self.as_bytes());
    }
}

impl Put for String {
    fn put(&self, out: &mut Writer) {
        self.as_str().put(out);
    }
}

impl Take for String {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        std::str::from_utf8(from.bytes()?).ok().map(Self::from)
    }
}

impl Put for Path {
    fn put(&self, out: &mut Writer) {
        out.bytes(self.as_os_str().as_encoded_bytes());
    }
}

impl Put for PathBuf {
    fn put(&self, out: &mut Writer) {
        self.as_path().put(out);
    }
}

impl Take for PathBuf {
    /// On Unix a path is any bytes; elsewhere one that is no text loses what is none.
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let bytes = from.bytes()?;
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            Some(Self::from(std::ffi::OsStr::from_bytes(bytes)))
        }
        #[cfg(not(unix))]
        Some(Self::from(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl Put for Duration {
    fn put(&self, out: &mut Writer) {
        out.number(u64::try_from(self.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Take for Duration {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        from.number().map(Self::from_nanos)
    }
}

impl Put for IpAddr {
    fn put(&self, out: &mut Writer) {
        match self {
            Self::V4(ip) => out.bytes(&ip.octets()),
            Self::V6(ip) => out.bytes(&ip.octets()),
        }
    }
}

impl Take for IpAddr {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let octets = from.bytes()?;
        match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(v4), _) => Some(v4.into()),
            (_, Ok(v6)) => Some(v6.into()),
            _ => None,
        }
    }
}

impl Put for SocketAddr {
    fn put(&self, out: &mut Writer) {
        (self.ip(), self.port()).put(out);
    }
}

impl Take for SocketAddr {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        <(IpAddr, u16)>::take(from).map(Self::from)
    }
}

impl Put for PeerKey {
    fn put(&self, out: &mut Writer) {
        (self.index(), self.generation()).put(out);
    }
}

impl Take for PeerKey {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        <(u32, u32)>::take(from).map(|(index, generation)| Self::new(index, generation))
    }
}

impl Put for TorrentKey {
    fn put(&self, out: &mut Writer) {
        (self.index(), self.generation()).put(out);
    }
}

impl Take for TorrentKey {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let (index, generation) = Take::take(from)?;
        let torrent = Self::new(index, generation);
        from.torrent = Some(torrent);
        Some(torrent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt;

    fn again<T: Put + Take + PartialEq + fmt::Debug>(value: &T) {
        let mut out = Writer::default();
        value.put(&mut out);
        let mut reader = Reader::new(&out.0, &|_| None);
        assert_eq!(T::take(&mut reader).as_ref(), Some(value));
        assert!(reader.rest().is_empty());
        let (_, cut) = out.0.split_last().unwrap();
        assert_ne!(T::take(&mut Reader::new(&out.0[..cut.len()], &|_| None)).as_ref(), Some(value));
    }

    type Things = (Vec<u64>, Option<String>, Result<Vec<(u8, bool, u16)>, [u8; 3]>);

    proptest! {
        #[test]
        fn values_go_round(numbers: Vec<u64>, text: Option<String>, list: Result<Vec<(u8, bool, u16)>, [u8; 3]>) {
            again::<Things>(&(numbers, text, list));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes, &|_| None);
            while Things::take(&mut reader).is_some() && SocketAddr::take(&mut reader).is_some() {}
            prop_assert!(reader.rest().len() <= bytes.len());
        }
    }

    #[test]
    fn a_number_over_64_bits_is_refused() {
        let number = |bytes: &[u8]| Reader::new(bytes, &|_| None).number();
        assert_eq!(number(&[0xFF; 11]), None);
        assert_eq!(number(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]), None);
    }

    #[test]
    fn addresses_and_paths_go_round() {
        for addr in ["192.0.2.1:6881", "[2001:db8::1]:1"] {
            again::<SocketAddr>(&addr.parse().unwrap());
        }
        again(&PathBuf::from("/home/müller"));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            again(&PathBuf::from(std::ffi::OsStr::from_bytes(b"/no/\xFF\xFEtext")));
        }
    }

    #[test]
    fn payload_that_is_not_there_is_bounded_in_all() {
        let mut out = Writer::default();
        (0..3).for_each(|_| out.len(PAYLOAD_LEN_MAX / 2));
        let mut reader = Reader::new(&out.0, &|_| None);
        let lens: Vec<_> = (0..3).map(|_| reader.payload_len().is_some()).collect();
        assert_eq!(lens, [true, true, false]);
    }
}
