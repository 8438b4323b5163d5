//! What the end-to-end tests share: private clusters, random values and workloads, and the
//! independent judges of a change log (replay, reference trigger, soundness of the stored rows).
//!
//! Nothing here is skipped silently: a helper that cannot do its work returns an error, and the
//! test that asked for it fails.

pub mod cluster;
pub mod command;
pub mod guarded;
pub mod judge;
pub mod ledger;
pub mod logins;
pub mod replay;
pub mod session;
pub mod statements;
pub mod steps;
pub mod tables;
pub mod tamper;
pub mod travel;
pub mod values;
pub mod workload;

/// Any failure of a test's own machinery; the message says what was being done.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Failure>;

/// The seed of a run: `AG_SEED` when set, else a new one. Printed, so that a failure can be repeated.
pub fn seed(test: &str) -> Result<u64> {
    let seed = match std::env::var("AG_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => rand::random::<u32>().into(),
    };
    println!("{test}: AG_SEED={seed}");
    Ok(seed)
}
