//! The command as a user runs it.

use std::process::{Command, Output};

fn audit_guard(args: &[&str]) -> Output {
    match Command::new(env!("CARGO_BIN_EXE_audit-guard")).args(args).output() {
        Ok(output) => output,
        Err(error) => unreachable!("the command was built for this test: {error}"),
    }
}

#[test]
fn version_help_and_mistakes() {
    let version = audit_guard(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let expected = format!("audit-guard {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);

    let help = audit_guard(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("only tells its version"));

    for mistake in [&[][..], &["verify"], &["--no-such-option"]] {
        let output = audit_guard(mistake);
        assert_eq!(output.status.code(), Some(2), "{mistake:?}");
        assert!(output.stdout.is_empty(), "{mistake:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: audit-guard"), "{mistake:?}");
    }
}
