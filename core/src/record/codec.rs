//! Numbers, texts and addresses as bytes, and back.

use std::net::{IpAddr, SocketAddr};

use crate::key::Key;

/// Appends to a recording.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

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

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn key(&mut self, key: impl Key) {
        self.number(key.index().into());
        self.number(key.generation().into());
    }

    pub(super) fn addr(&mut self, addr: SocketAddr) {
        match addr.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.number(addr.port().into());
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.len(items.len());
        items.iter().for_each(|item| write(self, item));
    }
}

/// Takes a recording apart; `None` where it ends too early or is not one.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    ran_out: bool,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, ran_out: false }
    }

    /// What is still to be read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether more was wanted than there is.
    pub(super) const fn ran_out(&self) -> bool {
        self.ran_out
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            self.ran_out = true;
            return None;
        };
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

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.small()?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn key<K: Key>(&mut self) -> Option<K> {
        Some(K::new(self.small()?, self.small()?))
    }

    pub(super) fn addr(&mut self) -> Option<SocketAddr> {
        let octets = self.bytes()?;
        let ip: IpAddr = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(v4), _) => v4.into(),
            (_, Ok(v6)) => v6.into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.small()?))
    }

    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        // Never reserves by a number from outside: the list grows as its items are found.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_go_round(number: u64) {
            let mut writer = Writer::default();
            writer.number(number);
            let mut reader = Reader::new(&writer.0);
            prop_assert_eq!(reader.number(), Some(number));
            prop_assert!(reader.rest.is_empty());
            let cut = &writer.0[..writer.0.len() - 1];
            let mut reader = Reader::new(cut);
            prop_assert_eq!(reader.number(), None);
            prop_assert!(reader.ran_out());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.number().is_some() && reader.bytes().is_some() && reader.addr().is_some() {}
            prop_assert!(reader.rest.len() <= bytes.len());
        }
    }

    #[test]
    fn a_number_over_64_bits_is_refused() {
        assert_eq!(Reader::new(&[0xFF; 11]).number(), None);
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]).number(), None);
    }

    #[test]
    fn addresses_go_round() {
        for addr in ["192.0.2.1:6881", "[2001:db8::1]:1"] {
            let addr = addr.parse().unwrap();
            let mut writer = Writer::default();
            writer.addr(addr);
            assert_eq!(Reader::new(&writer.0).addr(), Some(addr));
        }
    }
}
