//! Progress on standard error: one moving line on a terminal, plain lines elsewhere.
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Display {
    spinner: Option<ProgressBar>,
}

impl Display {
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { spinner: None };
        }
        let spinner = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        spinner.set_style(style.expect("the template is well-formed"));
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self { spinner: Some(spinner) }
    }

    pub(crate) fn step(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(text.to_owned()),
            None => eprintln!("howdah: {text}"),
        }
    }

    pub(crate) fn note(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(format!("note: {text}")),
            None => eprintln!("howdah: note: {text}"),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
