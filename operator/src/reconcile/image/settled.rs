//! Decides how long a pass that changed nothing need not be made again, if nothing that it read changes. Pure.

use jiff::Timestamp;

use super::apply::Outcomes;
use super::check::Checked;
use super::observed::Observed;
use super::plan::{Phase, Plan, retention_of};
use super::want::Want;

/// The end of the time in which the same pass would change nothing: the time of the next pass, or the time at which an
/// archived version may become too old, whichever is first. `None` if anything of the image is open: a step, a download, a
/// failure, a target.
pub(super) fn until(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    requeue_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let idle = plan.steps.is_empty() && plan.phase == Phase::Current && outcomes.failed.is_none();
    let no_job = observed.job.is_none() && observed.running.is_none() && observed.trouble.is_none();
    let targets = &observed.targets;
    let no_target = targets.named.is_empty() && targets.statuses.is_empty() && targets.recorded.is_empty();
    let one = observed.entries.endorsed.len() == 1 && matches!(observed.want, Want::Image(_));
    if !(idle && no_job && no_target && one) {
        return None;
    }
    let keep_for = retention_of(checked, observed)?.keep_for;
    let archived = observed.entries.expired.iter().filter_map(|entry| entry.archived_time);
    let ages = archived.filter_map(|archived| archived.checked_add(keep_for).ok());
    // A version that is older already stays because there are so few of them, and only another entry changes that.
    let ages = ages.filter(|age| *age >= now);
    requeue_at.into_iter().chain(ages).min().filter(|_| requeue_at.is_some())
}
