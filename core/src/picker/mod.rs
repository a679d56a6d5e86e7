//! Which blocks to ask which peer for.
