//! How much a file or piece is wanted.

use std::fmt;

/// How much a file or piece is wanted: 0 to 7, where 0 means not at all.
///
/// The numbers are those of libtorrent and of the clients built on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Not to be fetched.
    pub const SKIP: Self = Self(0);

    /// Behind all others.
    pub const LOWEST: Self = Self(1);

    /// What a file has that nobody has said anything about.
    pub const NORMAL: Self = Self(4);

    /// Before all others.
    pub const TOP: Self = Self(7);

    /// The priority with this number; `None` above 7.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::TOP.0 { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether it is to be fetched at all.
    #[must_use]
    pub const fn is_wanted(self) -> bool {
        self.0 > 0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}
