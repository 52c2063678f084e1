//! Progress bars for running downloads, on a terminal.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cache::{JobKey, JobState};
use crate::reconcile::Context;
use crate::size::Size;
use crate::store::directory::Directory;

/// How often the bars are redrawn.
const EVERY: Duration = Duration::from_millis(200);

/// The bars of a run; `None` if the output is not a terminal.
pub(super) struct Bars(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Bars {
    /// Shows the downloads of a context until [`Self::stop`] is called.
    pub(super) fn start(context: &Arc<Context<Directory>>, terminal: bool) -> Self {
        if !terminal {
            return Self(None);
        }
        let (stop, mut stopped) = oneshot::channel();
        let context = context.clone();
        let task = tokio::spawn(async move {
            let mut bars = Drawn::default();
            while tokio::time::timeout(EVERY, &mut stopped).await.is_err() {
                bars.draw(&context);
            }
            bars.clear();
        });
        Self(Some((stop, task)))
    }

    /// Clears the bars.
    pub(super) async fn stop(self) {
        if let Some((stop, task)) = self.0 {
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

#[derive(Default)]
struct Drawn {
    all: MultiProgress,
    bars: HashMap<JobKey, ProgressBar>,
}

impl Drawn {
    fn draw(&mut self, context: &Context<Directory>) {
        let wanted = context.downloads.all();
        for key in &wanted {
            if let Some(JobState::Running { bytes, total, .. }) = context.jobs.look(key) {
                self.bar(key, total).set_position(bytes);
            }
        }
        self.bars.retain(|key, bar| {
            let runs = matches!(context.jobs.look(key), Some(JobState::Queued | JobState::Running { .. }));
            if !runs {
                bar.finish_and_clear();
            }
            runs
        });
    }

    fn bar(&mut self, key: &JobKey, total: u64) -> &ProgressBar {
        self.bars.entry(key.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(total));
            if let Some(style) = style() {
                bar.set_style(style);
            }
            let path = key.url.url().path();
            bar.with_message(path.rsplit('/').next().unwrap_or(path).to_owned())
        })
    }

    fn clear(&self) {
        let _ = self.all.clear();
    }
}

/// A bar with a message, sizes, the rate and the remaining time.
pub(super) fn style() -> Option<ProgressStyle> {
    let style = ProgressStyle::with_template("{msg:40!} {wide_bar} {done:>24} {rate:>13} {eta:>4}").ok()?;
    Some(style.with_key("done", done).with_key("rate", rate))
}

fn done(state: &ProgressState, text: &mut dyn Write) {
    let _ = write!(text, "{}/{}", Size(state.pos()), Size(state.len().unwrap_or_default()));
}

fn rate(state: &ProgressState, text: &mut dyn Write) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and shown coarsely"
    )]
    let bytes = state.per_sec() as u64;
    let _ = write!(text, "{}/s", Size(bytes));
}
