//! What came out of a check, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Format;
use crate::failure::Exit;

/// How many findings are told one by one; a ledger of which everything is wrong says so in few lines, too.
const TOLD: usize = 1000;

/// Something that was found, in the shape of audit.verdict.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leaf_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    pub(crate) detail: String,
}

impl Finding {
    /// A finding about the ledger as a whole.
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, stream: None, id: None, leaf_index: None, field: None, detail: detail.into() }
    }

    /// How bad it is.
    fn exit(&self) -> Exit {
        match self.code {
            "ok" | "internally_consistent" | "acknowledged_gap" => Exit::Intact,
            "unchecked" | "stale" | "unknown_schema" => Exit::Unchecked,
            _ => Exit::Tampered,
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    /// All of them, also those that are not kept.
    count: u64,
    worst: Option<(Exit, &'static str)>,
    /// How many of each code.
    counts: BTreeMap<&'static str, u64>,
    rows_checked: u64,
    leaves_checked: u64,
    /// What else a reader has to know.
    pub(crate) remarks: Vec<String>,
}

impl Report {
    pub(crate) fn new(rows_checked: u64, leaves_checked: u64, remarks: Vec<String>) -> Self {
        Self { rows_checked, leaves_checked, remarks, ..Self::default() }
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.count += 1;
        *self.counts.entry(finding.code).or_default() += 1;
        let severity = |exit: Exit| match exit {
            Exit::Tampered => 3,
            Exit::Usage => 2,
            Exit::Unchecked => 1,
            Exit::Intact => 0,
        };
        let exit = finding.exit();
        if self.worst.is_none_or(|(worst, _)| severity(exit) > severity(worst)) {
            self.worst = Some((exit, finding.code));
        }
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        }
    }

    /// Counts findings that were not kept.
    pub(crate) fn add_untold(&mut self, count: u64) {
        self.count += count;
    }

    /// Whether nothing was found that speaks against the ledger.
    pub(crate) fn is_intact(&self) -> bool {
        self.worst.is_none_or(|(exit, _)| exit == Exit::Intact)
    }

    /// Prints it. `good` is the code, `summary` the sentence when nothing was found.
    pub(crate) fn print(&self, format: Format, good: &'static str, summary: &str) -> Exit {
        let exit = self.worst.map_or(Exit::Intact, |(exit, _)| exit);
        let code = match self.worst {
            Some((exit, code)) if exit != Exit::Intact => code,
            _ => good,
        };
        match format {
            Format::Json => {
                let document = serde_json::json!({
                    "code": code,
                    "exit": exit.code(),
                    "detail": summary,
                    "leaves_checked": self.leaves_checked,
                    "rows_checked": self.rows_checked,
                    "remarks": self.remarks,
                    "findings": self.findings,
                    "findings_total": self.count,
                });
                println!("{document:#}");
            }
            Format::Text => {
                let word = match exit {
                    Exit::Intact => "intact",
                    Exit::Tampered => "TAMPERED",
                    Exit::Usage | Exit::Unchecked => "not fully checked",
                };
                let found = self.counts.iter().map(|(code, count)| format!("{} {code}", grouped(*count)));
                match found.collect::<Vec<_>>().join(", ") {
                    _ if exit == Exit::Intact => println!("{word} ({code}): {summary}"),
                    found => println!("{word}: {found}; {summary}"),
                }
                self.findings.iter().for_each(|finding| println!("{}", line(finding)));
                if self.count > self.findings.len() as u64 {
                    println!("  ... and {} more", grouped(self.count - self.findings.len() as u64));
                }
                self.remarks.iter().for_each(|remark| println!("  {remark}"));
            }
        }
        exit
    }
}

fn line(finding: &Finding) -> String {
    let mut line = format!("  {}", finding.code);
    for part in [&finding.stream, &finding.id].into_iter().flatten() {
        line.push_str(&format!(" {}", one_line(part)));
    }
    if let Some(leaf) = finding.leaf_index {
        line.push_str(&format!(" (leaf {})", grouped(leaf)));
    }
    if let Some(field) = &finding.field {
        line.push_str(&format!(", {}", one_line(field)));
    }
    line.push_str(&format!(": {}", one_line(&finding.detail)));
    line
}

/// Text from a database goes to a terminal without its control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// 812204 as 812,204.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_groups() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_worst_finding_counts() {
        let mut report = Report::default();
        assert!(report.is_intact());
        report.push(Finding::new("acknowledged_gap", ""));
        assert!(report.is_intact());
        report.push(Finding::new("unchecked", ""));
        report.push(Finding::new("modified", ""));
        report.push(Finding::new("stale", ""));
        assert_eq!(report.worst, Some((Exit::Tampered, "modified")));
    }

    #[test]
    fn nothing_reaches_the_terminal_that_controls_it() {
        let finding = Finding { id: Some("\u{1b}[2J\n".to_owned()), ..Finding::new("modified", "a\rb") };
        assert!(!line(&finding).contains(|c: char| c.is_control()));
    }
}
