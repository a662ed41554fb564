//! What goes to standard error: progress, warnings, errors.

use crate::args::{Global, Progress};
use crate::diagnosis::Diagnosis;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use strata_ops::{Action, Event, Reporter};

/// A bar appears only when something takes longer than this.
const PATIENCE: Duration = Duration::from_millis(250);

/// Standard error.
#[derive(Debug)]
pub(crate) struct Console {
    how: Progress,
    quiet: bool,
    verbose: bool,
    bar: Option<Mutex<Bar>>,
}

/// How many packages are done; drawn below the lines.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    since: Option<Instant>,
    hidden: bool,
}

impl Console {
    /// Takes from the options how much to say.
    pub(crate) fn new(global: &Global) -> Self {
        let bars = global.progress == Progress::Auto && !global.quiet && io::stderr().is_terminal();
        Self {
            how: global.progress,
            quiet: global.quiet || global.progress == Progress::None,
            verbose: global.verbose,
            bar: bars.then(|| {
                let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
                Mutex::new(Bar { bar, since: None, hidden: true })
            }),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.with_bar(|state| state.bar.finish_and_clear());
    }

    /// Says what went wrong: `error:`, `caused by:`, `hint:`.
    pub(crate) fn diagnosis(&self, diagnosis: &Diagnosis) {
        if self.how == Progress::Json {
            self.json(json!({"event": "error", "error": diagnosis.to_json()}));
        } else {
            self.line(&diagnosis.to_string());
        }
    }

    fn with_bar(&self, change: impl FnOnce(&mut Bar)) {
        if let Some(bar) = &self.bar {
            change(&mut bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        }
    }

    /// Writes a line above the bar. Nothing can be done if standard error is closed.
    fn line(&self, text: &str) {
        let write = || {
            let _ = writeln!(io::stderr().lock(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).bar.suspend(write),
            None => write(),
        }
    }

    fn json(&self, event: Value) {
        let _ = writeln!(io::stderr().lock(), "{event}");
    }

    fn count(&self, event: &Event<'_>) {
        self.with_bar(|state| {
            match event {
                // Tags are written along the way; the bar counts what takes time.
                Event::Expect(action, total) if *action != Action::Tag => {
                    state.bar.set_length(*total as u64);
                    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
                    state.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    state.since = Some(Instant::now());
                }
                Event::Started(_, package) => state.bar.set_message((*package).to_owned()),
                Event::Finished { .. } | Event::Failed(..) => state.bar.inc(1),
                _ => {}
            }
            if state.hidden && state.since.is_some_and(|since| since.elapsed() > PATIENCE) {
                state.bar.set_draw_target(ProgressDrawTarget::stderr());
                state.hidden = false;
            }
        });
    }
}

impl Reporter for Console {
    fn event(&self, event: Event<'_>) {
        if self.how == Progress::Json {
            return self.json(to_json(&event));
        }
        self.count(&event);
        if let Some(text) = self.text(&event) {
            self.line(&text);
        }
    }
}

impl Console {
    fn text(&self, event: &Event<'_>) -> Option<String> {
        let said = !self.quiet;
        match event {
            Event::Warning(text) => Some(format!("warning: {text}")),
            Event::Phase(text) => said.then(|| (*text).to_owned()),
            Event::Finished { action, package, bytes, elapsed, detail } => said.then(|| {
                let seconds = elapsed.as_secs_f64();
                let speed = if *bytes > 0 {
                    let megabytes = *bytes as f64 / 1e6;
                    format!(", {megabytes:.1} MB, {:.1} MB/s", megabytes / seconds.max(0.001))
                } else {
                    String::new()
                };
                let detail = if self.verbose { format!(" {detail}") } else { String::new() };
                format!("{} {package} ({seconds:.2} s{speed}){detail}", past(*action))
            }),
            // What went wrong is said in the end, with what to do about it.
            Event::Failed(action, package, _) => {
                said.then(|| format!("could not {} {package}", verb(*action)))
            }
            Event::Started(action, package) => {
                self.verbose.then(|| format!("{} {package}…", present(*action)))
            }
            Event::Detail(text) => self.verbose.then(|| (*text).to_owned()),
            Event::Expect(..) => None,
        }
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Push => "push",
        Action::Tag => "tag",
        Action::Install => "install",
        Action::Uninstall => "uninstall",
        Action::Copy => "copy",
    }
}

fn present(action: Action) -> &'static str {
    match action {
        Action::Push => "pushing",
        Action::Tag => "tagging",
        Action::Install => "installing",
        Action::Uninstall => "uninstalling",
        Action::Copy => "copying",
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Push => "pushed",
        Action::Tag => "tagged",
        Action::Install => "installed",
        Action::Uninstall => "removed",
        Action::Copy => "copied",
    }
}

fn to_json(event: &Event<'_>) -> Value {
    match event {
        Event::Phase(text) => json!({"event": "phase", "text": text}),
        Event::Expect(action, total) => json!({"event": "expect", "action": verb(*action), "total": total}),
        Event::Started(action, package) => {
            json!({"event": "started", "action": verb(*action), "package": package})
        }
        Event::Finished { action, package, bytes, elapsed, detail } => json!({
            "event": "finished", "action": verb(*action), "package": package, "bytes": bytes,
            "seconds": elapsed.as_secs_f64(), "detail": detail,
        }),
        Event::Failed(action, package, message) => {
            json!({"event": "failed", "action": verb(*action), "package": package, "message": message})
        }
        Event::Warning(text) => json!({"event": "warning", "text": text}),
        Event::Detail(text) => json!({"event": "detail", "text": text}),
    }
}
