//! Wakes images when their downloads start or end, and targets when their conversions start or end.

use std::sync::Arc;

use super::shared::Shared;
use crate::run::work::WorkStages;

/// Wakes the images and targets whose downloads or conversions started or ended.
pub(super) async fn follow_work(shared: Arc<Shared>) {
    let mut jobs = shared.context.jobs.changed();
    let mut stages = WorkStages::default();
    while jobs.changed().await.is_ok() {
        shared.wake_all(&stages.moved(&shared.context));
    }
}
