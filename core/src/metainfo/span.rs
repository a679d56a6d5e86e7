//! The shape of a bencoded file, checked before anything is built from it.
