//! Shows running work: bars on a terminal, else lines of JSON.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::bars::style;
use crate::cli::table::render;
use crate::cli::{now, print, written};
use crate::events::EventType;
use crate::serve::{ProgressPage, RunningWork};
use crate::size::Size;
use crate::text::{printable, printable_json};

/// What identifies work.
type Key = (String, String, EventType, Option<String>);

fn key(work: &RunningWork) -> Key {
    (work.namespace.clone(), work.name.clone(), work.event, work.target.clone())
}

/// A view of the running work.
pub(super) enum View {
    /// A bar for each image.
    Bars(Box<Bars>),
    /// A line for each change.
    Lines(BTreeMap<Key, RunningWork>),
}

impl View {
    pub(super) fn new(terminal: bool) -> Self {
        if terminal { Self::Bars(Box::new(Bars::new())) } else { Self::Lines(BTreeMap::new()) }
    }

    /// Shows what has changed. Returns whether anybody still reads it.
    pub(super) fn show(&mut self, page: &ProgressPage) -> anyhow::Result<bool> {
        match self {
            Self::Bars(bars) => {
                bars.show(page);
                Ok(true)
            }
            Self::Lines(known) => written(changes(known, page, now())?.as_bytes()),
        }
    }

    /// Removes the bars.
    pub(super) fn clear(&self) {
        match self {
            Self::Bars(bars) => {
                let _ = bars.all.clear();
            }
            Self::Lines(_) => {}
        }
    }
}

/// Shows a page: a table on a terminal, else lines.
pub(super) fn show_once(page: &ProgressPage, terminal: bool) -> anyhow::Result<()> {
    if !terminal {
        return written(changes(&mut BTreeMap::new(), page, now())?.as_bytes()).map(drop);
    }
    let size = |bytes: Option<u64>| bytes.map(|bytes| Size(bytes).to_string()).unwrap_or_default();
    let row = |work: &RunningWork| {
        let rate = work.bytes_per_second.map(|rate| format!("{}/s", Size(rate))).unwrap_or_default();
        let [target, reason] = [&work.target, &work.reason].map(|text| text.clone().unwrap_or_default());
        let (namespace, name, event) = (work.namespace.clone(), work.name.clone(), work.event.to_string());
        vec![namespace, name, event, target, reason, size(work.done), size(work.total), rate]
    };
    let head = ["namespace", "name", "event", "target", "reason", "done", "total", "rate"];
    let table = render(head.into_iter(), page.running.iter().map(row).collect());
    print(&if page.running.is_empty() { format!("{}\n", summary(page)) } else { format!("{table}{}\n", summary(page)) })
}

/// One line about everything.
fn summary(page: &ProgressPage) -> String {
    let ProgressPage { queued, left_out, running } = page;
    let left_out = if *left_out > 0 { format!(", {left_out} of them not shown") } else { String::new() };
    format!("{} running{left_out}, {queued} downloads wait", running.len() + page.left_out)
}

/// One line of the output.
#[derive(Serialize)]
struct Line<'w> {
    time: Timestamp,
    state: &'static str,
    #[serde(flatten)]
    work: &'w RunningWork,
}

/// A line for each work whose figures have changed, and one for each that has ended.
fn changes(known: &mut BTreeMap<Key, RunningWork>, page: &ProgressPage, time: Timestamp) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut line = |state, work: &RunningWork| -> anyhow::Result<()> {
        text.push_str(&printable_json(&serde_json::to_string(&Line { time, state, work })?));
        text.push('\n');
        Ok(())
    };
    let running: BTreeMap<Key, RunningWork> = page.running.iter().map(|work| (key(work), work.clone())).collect();
    // What is left out of the page may still run.
    if page.left_out == 0 {
        for (_, ended) in known.iter().filter(|(key, _)| !running.contains_key(*key)) {
            line("ended", ended)?;
        }
    }
    let without_rate = |work: &RunningWork| RunningWork { bytes_per_second: None, ..work.clone() };
    for (key, work) in &running {
        if known.get(key).is_none_or(|before| without_rate(before) != without_rate(work)) {
            line("running", work)?;
        }
    }
    *known = running;
    Ok(text)
}

/// The bars of a terminal.
pub(super) struct Bars {
    all: MultiProgress,
    works: BTreeMap<Key, ProgressBar>,
    summary: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let summary = all.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            summary.set_style(style);
        }
        Self { all, works: BTreeMap::new(), summary }
    }

    fn show(&mut self, page: &ProgressPage) {
        let running: BTreeMap<Key, &RunningWork> = page.running.iter().map(|work| (key(work), work)).collect();
        self.works.retain(|key, bar| {
            let runs = running.contains_key(key);
            if !runs {
                bar.finish_and_clear();
            }
            runs
        });
        for (key, work) in running {
            let bar = self
                .works
                .entry(key)
                .or_insert_with(|| self.all.insert_before(&self.summary, ProgressBar::no_length()));
            draw(bar, work);
        }
        self.summary.set_message(summary(page));
        self.summary.tick();
    }
}

fn draw(bar: &ProgressBar, work: &RunningWork) {
    bar.set_message(label(work));
    if let (Some(done), Some(total)) = (work.done, work.total) {
        // The style is set once, because it has the measurements of the rate.
        if bar.length().is_none()
            && let Some(style) = style()
        {
            bar.set_style(style);
        }
        bar.set_length(total);
        bar.set_position(done);
        return;
    }
    if let Ok(style) = ProgressStyle::with_template("{msg:40!} {spinner} {prefix}") {
        bar.set_style(style);
    }
    let about = work.message.as_deref().or(work.reason.as_deref()).unwrap_or_default();
    bar.set_prefix(printable(about).into_owned());
    bar.tick();
}

/// What is done, and to which image.
fn label(work: &RunningWork) -> String {
    let title = work.title.as_deref().unwrap_or(&work.name);
    let version = work.version.as_deref().unwrap_or_default();
    let target = work.target.as_deref().map(|target| format!(" for {target}")).unwrap_or_default();
    printable(&format!("{} {title} {version}{target}", work.event)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(name: &str, done: u64) -> RunningWork {
        RunningWork {
            event: EventType::Download,
            namespace: "n".to_owned(),
            name: name.to_owned(),
            target: None,
            title: Some("t\u{202e}".to_owned()),
            version: None,
            reason: None,
            message: None,
            done: Some(done),
            total: Some(10),
            bytes_per_second: Some(done),
        }
    }

    fn lines(known: &mut BTreeMap<Key, RunningWork>, left_out: usize, running: &[RunningWork]) -> Vec<String> {
        let page = ProgressPage { queued: 0, left_out, running: running.to_vec() };
        let text = changes(known, &page, Timestamp::UNIX_EPOCH).unwrap();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["title"], &line["total"]), (&"t\u{202e}".into(), &10.into()));
            format!("{} {} {}", line["state"].as_str().unwrap(), line["name"].as_str().unwrap(), line["done"])
        };
        assert!(!text.contains('\u{202e}'));
        text.lines().map(line).collect()
    }

    #[test]
    fn each_change_is_one_line() {
        let mut known = BTreeMap::new();
        assert_eq!(lines(&mut known, 0, &[work("a", 1), work("b", 2)]), ["running a 1", "running b 2"]);
        let slower = RunningWork { bytes_per_second: Some(0), ..work("a", 1) };
        assert_eq!(lines(&mut known, 0, &[slower, work("b", 3)]), ["running b 3"]);
        assert_eq!(lines(&mut known, 0, &[work("b", 10)]), ["ended a 1", "running b 10"]);
        assert_eq!(lines(&mut known, 1, &[]), [""; 0], "it may be left out");
    }
}
