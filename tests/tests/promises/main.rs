//! What peerless promises (docs/promises.md), each as a property of random scenarios.

mod no_leaks;
