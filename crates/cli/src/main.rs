//! The command `audit-guard`.

use clap::Parser;

/// Companion command of the audit_guard extension for PostgreSQL.
///
/// This version only tells its version. The extension itself is installed and used through SQL; it does not
/// need this command.
#[derive(Parser)]
#[command(name = "audit-guard", version, arg_required_else_help = true)]
struct Arguments {}

fn main() {
    // Prints the version or the help and leaves with 0, or explains a wrong argument and leaves with 2.
    let Arguments {} = Arguments::parse();
}
