//! The command as a user runs it, as far as it needs no server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

fn audit_guard(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-guard"));
    match command.args(args).env("PGHOST", "/nowhere").env("PGPASSWORD", "sesame").output() {
        Ok(output) => output,
        Err(error) => unreachable!("the command was built for this test: {error}"),
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("audit-guard-cli-{name}-{}", std::process::id()));
        match std::fs::create_dir_all(&path) {
            Ok(()) => Self(path),
            Err(error) => unreachable!("a folder for this test: {error}"),
        }
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
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
    for command in ["keygen", "witness", "verify", "export", "receipt"] {
        assert!(String::from_utf8_lossy(&help.stdout).contains(command), "{command}");
    }

    for mistake in [
        &[][..],
        &["--no-such-option"],
        &["verify"],
        &["verify", "--dsn", "", "--bundle", "b"],
        &["verify", "--bundle", "b", "--since", "yesterday"],
        &["witness", "--dsn", "", "--key", "k"],
        &["witness", "--dsn", "", "--key", "k", "--state", "s", "--interval", "0s"],
        &["receipt", "verify"],
    ] {
        let output = audit_guard(mistake);
        assert_eq!(output.status.code(), Some(2), "{mistake:?}");
        assert!(output.stdout.is_empty(), "{mistake:?}");
        assert!(!output.stderr.is_empty(), "{mistake:?}");
    }
}

#[test]
fn without_a_server_it_is_2_and_no_password_is_shown() {
    for dsn in
        ["", "host=/nowhere password=sesame", "postgres://ada:sesame@localhost:1/shop", "sesame sesame=1"]
    {
        let output = audit_guard(&["verify", "--dsn", dsn]);
        assert_eq!(output.status.code(), Some(2), "{dsn}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("audit-guard: ") && !said.contains("sesame"), "{said}");
    }
    assert_eq!(audit_guard(&["verify", "--bundle", "/nowhere"]).status.code(), Some(2));
    assert_eq!(audit_guard(&["receipt", "verify", "/nowhere"]).status.code(), Some(2));
}

#[test]
fn a_key_is_secret_and_never_overwritten() -> std::io::Result<()> {
    let folder = Folder::new("keygen");
    let path = folder.path("w.key");
    let output = audit_guard(&["keygen", "--name", "db1.example/audit-witness", "--key", &path]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("SELECT audit.trust_key('db1.example/audit-witness+"), "{said}");
    let secret = std::fs::read_to_string(&path)?;
    assert!(secret.starts_with("PRIVATE+KEY+") && !said.contains("PRIVATE+KEY"));
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);

    assert_eq!(audit_guard(&["keygen", "--name", "other", "--key", &path]).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&path)?, secret);
    for name in ["", "with blank", "with+plus"] {
        let output = audit_guard(&["keygen", "--name", name, "--key", &folder.path("x.key")]);
        assert_eq!(output.status.code(), Some(2), "{name}");
    }

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    let state = folder.path("state");
    let output = audit_guard(&["witness", "--dsn", "", "--key", &path, "--state", &state, "--once"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 0600"));
    Ok(())
}

#[test]
fn a_receipt_that_is_none_is_not_intact() -> std::io::Result<()> {
    let folder = Folder::new("receipt");
    for (name, text) in [("empty", ""), ("json", "{}"), ("list", "[1]"), ("binary", "\0\0")] {
        let path = folder.path(name);
        std::fs::write(&path, text)?;
        let output = audit_guard(&["receipt", "verify", &path]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let output = audit_guard(&["receipt", "verify", &path, "--format", "json"]);
        let document: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        assert_eq!(document.map(|document| document["code"] == "modified").ok(), Some(true), "{name}");
    }
    Ok(())
}
