//! What peerless promises (docs/promises.md), each as a property of random scenarios.
//!
//! What fails is shrunk and printed as a scenario that decides everything; its number is kept in
//! `regressions/`, from where every later run tries it first. `PROPTEST_CASES` sets the number of
//! cases, for a longer search.

mod bounded;
mod fair;
mod it_finishes;
mod never_lies;
mod no_leaks;
mod quiet;
mod scenarios;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// So many cases, unless `PROPTEST_CASES` says otherwise; finds go to this file.
fn config(cases: u32, finds: &'static str) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    ProptestConfig {
        cases,
        // Long enough to make a find small, and no machine is held up by one that takes its time.
        max_shrink_time: 60_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(finds))),
        ..ProptestConfig::default()
    }
}
