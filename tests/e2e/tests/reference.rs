//! The reference page in docs is what its generator gives for the extension as it is.

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;

/// What `make reference` runs.
const GENERATOR: &str = include_str!("../../../scripts/lib/reference.sql");
/// What it wrote the last time.
const PAGE: &str = include_str!("../../../docs/reference.md");

#[test]
fn page_is_current() -> Result<()> {
    let cluster = Cluster::start(&[("fsync", "off")])?;
    let mut client = cluster.database("reference")?;
    let expected: String = client.query_one(GENERATOR, &[])?.try_get(0)?;
    // One line tells more than two pages.
    for (number, (expected, found)) in expected.lines().zip(PAGE.lines()).enumerate() {
        assert_eq!(expected, found, "line {} of docs/reference.md: run make reference", number + 1);
    }
    assert_eq!(expected + "\n", PAGE, "docs/reference.md ends elsewhere: run make reference");
    Ok(())
}

/// Whatever is shown to users is explained: nothing on the page lacks its comment.
#[test]
fn nothing_is_unexplained() {
    for (number, line) in PAGE.lines().enumerate() {
        assert!(!line.ends_with("|  |"), "line {}: no comment: {line}", number + 1);
    }
    assert!(!PAGE.contains("## Further functions"), "scripts/lib/reference.sql does not place a function");
}
