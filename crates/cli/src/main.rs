//! The command `audit-guard`: signs the head of a database's ledger from elsewhere, and checks rows, bundles
//! and receipts without trusting the database.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

mod binary;
mod bundle;
mod connect;
mod copy;
mod database;
mod export;
mod facts;
mod failure;
mod files;
mod keys;
mod leaf;
mod parse;
mod plan;
mod progress;
mod receipt;
mod report;
mod tiles;
mod verify;
mod witness;

/// Checks an audit_guard trail from outside the database.
///
/// A database can show that its trail is consistent with itself; that it was not rewritten as a whole only
/// somebody else can show, who kept what it said earlier. `witness` is that somebody: it runs on another
/// machine and signs what the database says, as long as it never takes back anything. `verify` derives
/// everything again from the rows and compares it with such a signed checkpoint.
///
/// Exit codes: 0 intact, 1 tampered, 2 wrong usage or no connection, 3 something could not be checked.
#[derive(Parser)]
#[command(name = "audit-guard", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(Keygen),
    Witness(Witness),
    Verify(Verify),
    Export(Export),
    Receipt(Receipt),
}

/// Make the key with which a witness signs
///
/// Writes the private key to a file that only you can read, and prints the public one with the SQL that makes
/// a database accept it.
#[derive(Args)]
struct Keygen {
    /// Who signs, such as db1.example/audit-witness: no blanks, no plus sign
    #[arg(long)]
    name: String,
    /// Where the private key goes; an existing file is not overwritten
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Sign the head of a database's ledger, as long as it takes nothing back
///
/// Runs on another machine than the database. Signs a head only if everything that was signed before is still
/// in it, keeps it in the state folder and posts it to the database with audit.import_checkpoint(). Connects
/// as a role that is member of audit_writer.
#[derive(Args)]
struct Witness {
    #[command(flatten)]
    database: Database,
    /// The private key that keygen made
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What was signed so far; made when it is not there. Keep it: it is what the database is held to
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Look once and leave: 0 signed or nothing new, 1 refused to sign, 2 no connection, 3 signed, not posted
    #[arg(long, conflicts_with = "interval")]
    once: bool,
    /// How long to wait between two looks: 500ms, 5s, 1m
    #[arg(long, default_value = "5s", value_parser = parse::duration)]
    interval: Duration,
    /// What a shell runs on an alarm; AUDIT_GUARD_ALARM and AUDIT_GUARD_MESSAGE tell what it is, and the same
    /// comes as JSON on its standard input
    #[arg(long, value_name = "CMD")]
    on_alarm: Option<String>,
    /// Go on with this origin, which a declared discontinuity gave to the ledger
    #[arg(long, value_name = "ORIGIN")]
    accept_origin: Option<String>,
}

/// Derive the ledger again from the rows and compare
///
/// Reads rows and seals with SELECT only, as a role that is member of audit_reader, or from a bundle without
/// any database; no function of the audited server has a say.
#[derive(Args)]
struct Verify {
    #[command(flatten)]
    source: Source,
    /// A signed checkpoint that was kept elsewhere, such as the witness's state/checkpoint. Without one, a
    /// ledger that was rewritten as a whole looks intact
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// A public key that may sign checkpoints; without one, those count that the database or bundle names
    #[arg(long, value_name = "VERIFIER_KEY")]
    key: Vec<String>,
    /// How many connections work at a time
    #[arg(long, value_parser = parse::workers)]
    workers: Option<usize>,
    /// Check the rows of this stream only, such as audit_log
    #[arg(long)]
    stream: Option<String>,
    /// Check rows from this time on (2026-03-01 or 2026-03-01T12:00:00Z)
    #[arg(long, value_parser = parse::time)]
    since: Option<DateTime<Utc>>,
    /// Check rows before this time
    #[arg(long, value_parser = parse::time)]
    until: Option<DateTime<Utc>>,
    /// How to tell the outcome
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Write rows, tiles and checkpoint to a folder that can be checked without a database
///
/// Continues a bundle that is there already. Afterwards audit.record_export() notes it, if the role may.
#[derive(Args)]
struct Export {
    #[command(flatten)]
    database: Database,
    /// The folder
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
}

/// Check a receipt that audit.receipt() gave
#[derive(Args)]
struct Receipt {
    #[command(subcommand)]
    command: ReceiptCommand,
}

#[derive(Subcommand)]
enum ReceiptCommand {
    Verify(ReceiptVerify),
}

/// Check that a receipt is what a signed checkpoint stands for
#[derive(Args)]
struct ReceiptVerify {
    /// The receipt, a JSON document; - reads standard input
    file: PathBuf,
    /// A signed checkpoint that was kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// A public key that may sign checkpoints
    #[arg(long, value_name = "VERIFIER_KEY")]
    key: Vec<String>,
    /// How to tell the outcome
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Args)]
struct Database {
    /// Connection string as for psql; what it leaves out comes from PGHOST and the other variables, the
    /// password best from PGPASSFILE or ~/.pgpass
    #[arg(long)]
    dsn: String,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Connection string as for psql; what it leaves out comes from PGHOST and the other variables, the
    /// password best from PGPASSFILE or ~/.pgpass
    #[arg(long)]
    dsn: Option<String>,
    /// A folder that export wrote
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> ExitCode {
    // A wrong argument is explained, and left with 2.
    let outcome = match Arguments::parse().command {
        Command::Keygen(arguments) => keys::generate(&arguments.name, &arguments.key),
        Command::Witness(arguments) => witness::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Export(arguments) => export::run(&arguments.database.dsn, &arguments.bundle),
        Command::Receipt(Receipt { command: ReceiptCommand::Verify(arguments) }) => {
            receipt::verify(&arguments)
        }
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            eprintln!("audit-guard: {failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}
