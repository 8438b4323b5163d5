//! How far a long run has come, on a terminal only.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with rate and time left; nothing at all when standard error is no terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `total` units, such as "leaves".
    pub(crate) fn new(total: u64, unit: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let template = format!(
            "{{bar:30}} {{percent:>3}} %  {{human_pos}} of {{human_len}} {unit}  {{per_sec}}  \
             {{eta_precise}} left"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self(bar)
    }

    /// So many more are done.
    pub(crate) fn advance(&self, units: u64) {
        self.0.inc(units);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
