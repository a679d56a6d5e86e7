//! Keys that outlive what they name.
//!
//! A completion may arrive for a peer or torrent that is gone. Its key then finds nothing, also
//! when the place has been taken again, because each key carries its place's generation.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

/// A key into a [`Slab`].
pub trait Key: Copy + Ord + Hash + fmt::Debug {
    /// The key of the place `index` in its `generation`.
    fn new(index: u32, generation: u32) -> Self;
    /// The place.
    fn index(self) -> u32;
    /// How often the place had been taken before.
    fn generation(self) -> u32;
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            index: u32,
            generation: u32,
        }

        impl Key for $name {
            fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }
            fn index(self) -> u32 {
                self.index
            }
            fn generation(self) -> u32 {
                self.generation
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}.{}"), self.index, self.generation)
            }
        }
    };
}

key! {
    /// Names one connection to a peer. Never reused within a session.
    PeerKey, "p"
}

key! {
    /// Names one torrent of a session. Never reused within a session.
    TorrentKey, "t"
}

/// Values found by key; a removed value's key finds nothing ever after.
#[derive(Debug)]
pub struct Slab<K, V> {
    places: Vec<Place<V>>,
    free: Vec<u32>,
    len: usize,
    key: PhantomData<K>,
}

#[derive(Debug)]
struct Place<V> {
    generation: u32,
    value: Option<V>,
}

impl<K, V> Default for Slab<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0, key: PhantomData }
    }
}

impl<K: Key, V> Slab<K, V> {
    /// Stores what `make` builds from its own key.
    ///
    /// # Panics
    /// With 2^32 values stored at once.
    pub fn insert_with(&mut self, make: impl FnOnce(K) -> V) -> K {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.places.len()).expect("fewer than 2^32 values at once");
            self.places.push(Place { generation: 0, value: None });
            index
        });
        let place = &mut self.places[index as usize];
        let key = K::new(index, place.generation);
        place.value = Some(make(key));
        self.len += 1;
        key
    }

    /// The value of `key`, if it is still here.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let place = self.places.get(key.index() as usize)?;
        place.value.as_ref().filter(|_| place.generation == key.generation())
    }

    /// The value of `key`, if it is still here.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.places.get_mut(key.index() as usize)?;
        place.value.as_mut().filter(|_| place.generation == key.generation())
    }

    /// Takes the value of `key` out, if it is still here.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let place = self.places.get_mut(key.index() as usize)?;
        if place.generation != key.generation() {
            return None;
        }
        let value = place.value.take()?;
        self.len -= 1;
        // A place whose generations are used up is left empty for good.
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.free.push(key.index());
        }
        Some(value)
    }

    /// Every value with its key, by place.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        (0_u32..).zip(&self.places).filter_map(|(index, place)| {
            place.value.as_ref().map(|value| (K::new(index, place.generation), value))
        })
    }

    /// Every key, by place.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// How many values are stored.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_key_never_finds_the_next_tenant() {
        let mut slab: Slab<PeerKey, &str> = Slab::default();
        let old = slab.insert_with(|_| "old");
        assert_eq!(slab.remove(old), Some("old"));
        let new = slab.insert_with(|_| "new");
        assert_eq!(old.index(), new.index());
        assert_eq!((slab.get(old), slab.get(new)), (None, Some(&"new")));
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_value_knows_its_own_key() {
        let mut slab: Slab<TorrentKey, TorrentKey> = Slab::default();
        let key = slab.insert_with(|key| key);
        assert_eq!(slab.get(key), Some(&key));
        assert_eq!(slab.keys(), [key]);
    }
}
