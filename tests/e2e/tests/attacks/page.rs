//! docs/attacks.md: what was seen, as a page for readers. `make attacks` writes it; else it is compared.

use std::fmt::Write as _;
use std::path::Path;

use audit_guard_e2e::Result;

use crate::case::{Case, Level};
use crate::{Cell, Results};

const INTRODUCTION: &str = include_str!("../../../attacks/page.md");

/// Writes the page when the caller asks for it by `AG_WRITE_ATTACKS`, else says how it differs.
pub(crate) fn check(cases: &[Case], versions: &[u32], results: &Results) -> Result<Vec<String>> {
    let expected = page(cases, versions, results)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/attacks.md");
    if std::env::var_os("AG_WRITE_ATTACKS").is_some() {
        std::fs::write(file, expected)?;
        return Ok(Vec::new());
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    let differing = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
    Ok(match differing {
        Some(line) => {
            vec![format!("line {} of docs/attacks.md is not what was seen: run make attacks", line + 1)]
        }
        None if expected != found => vec!["docs/attacks.md ends elsewhere: run make attacks".to_owned()],
        None => Vec::new(),
    })
}

fn page(cases: &[Case], versions: &[u32], results: &Results) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    let columns: Vec<(u32, bool)> =
        [false, true].iter().flat_map(|preloaded| versions.iter().map(|v| (*v, *preloaded))).collect();
    for (version, preloaded) in &columns {
        write!(page, " {version} {} |", if *preloaded { "preloaded" } else { "alone" })?;
    }
    writeln!(page, "\n|---|---|---|{}", "---|".repeat(columns.len()))?;
    for case in cases {
        let who: Vec<&str> = case.actors.iter().map(|who| who.name()).collect();
        write!(page, "| {} | {} | {} |", case.number(), case.attack, who.join(", "))?;
        for (version, preloaded) in &columns {
            write!(page, " {} |", word(case, *version, *preloaded, results))?;
        }
        page.push('\n');
    }
    totals(&mut page, &columns, cases, results)?;
    reasons(&mut page, cases)?;
    Ok(page)
}

/// What a cell of the table says.
fn word(case: &Case, version: u32, preloaded: bool, results: &Results) -> &'static str {
    let at = |level| results.get(&(case.name.clone(), version, level)).copied();
    let strictly = || at(Level::Strict) == Some(Cell::Refused);
    match at(if preloaded { Level::On } else { Level::Without }) {
        Some(Cell::Refused) => "refused",
        Some(Cell::Harmless) => "harmless",
        Some(Cell::Open) if preloaded && strictly() => "strict",
        Some(Cell::Open) => "**open**",
        Some(Cell::Broken) => "?",
        None => "–",
    }
}

fn totals(page: &mut String, columns: &[(u32, bool)], cases: &[Case], results: &Results) -> Result<()> {
    for (what, told) in [
        ("refused", "refused"),
        ("strict", "refused by the strict lockdown"),
        ("harmless", "harmless"),
        ("**open**", "open"),
    ] {
        write!(page, "| | **{told}** | |")?;
        for (version, preloaded) in columns {
            let cells = cases.iter().map(|case| word(case, *version, *preloaded, results));
            write!(page, " {} |", cells.filter(|cell| *cell == what).count())?;
        }
        page.push('\n');
    }
    Ok(())
}

fn reasons(page: &mut String, cases: &[Case]) -> Result<()> {
    for (title, level) in [
        ("What gets through with the library preloaded", Level::Strict),
        ("What only the strict lockdown refuses", Level::On),
        ("What gets through without preloading", Level::Without),
        ("What is harmless", Level::Without),
    ] {
        writeln!(page, "\n## {title}\n")?;
        for case in cases {
            let reason = match title {
                "What is harmless" => case.harmless.as_deref(),
                _ => case.open_reason(level, u32::MAX),
            };
            let elsewhere = level == Level::On && case.open_reason(Level::Strict, u32::MAX).is_some();
            if let (Some(reason), false) = (reason, elsewhere) {
                writeln!(page, "* {}, {}: {reason}.", case.number(), case.attack)?;
            }
        }
    }
    Ok(())
}
