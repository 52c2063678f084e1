//! The report of a pass: status, events, and the time of the next pass. Pure.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::apply::Outcomes;
use super::check::Checked;
use super::events::events;
use super::observed::Observed;
use super::plan::{Phase, Plan, Step};
use super::policy::{Hold, is_suspended, request};
use super::target_status;
use super::version_status::versions;
use super::want::{Want, WantedVersion};
use crate::api::{Artifact, CachedImageStatus, Class, Progress, TargetStatus, WantedImage, time};
use crate::cache::{Entry, VerifiedBlob};
use crate::reconcile::conditions::{Finding, Status, merge, request_ignored, shorten};
use crate::reconcile::exchange::Desired;
use crate::reconcile::report::Report;
use crate::reconcile::step::StepError;
use crate::reconcile::versions::is_content_of;
use crate::size::Size;

/// How often the progress in the status is updated.
const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// How often it is checked whether there is space for an image that did not fit.
const ROOM_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The report of a pass.
pub(super) fn report(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    desired: &Desired,
    now: Timestamp,
) -> Report<CachedImageStatus> {
    let before = &observed.status;
    let after = After::of(observed, plan, outcomes, now);
    let tries = &plan.tries;
    let mut status = CachedImageStatus {
        observed_generation: checked.generation,
        conditions: Vec::new(),
        image: image(before, &observed.want, now),
        artifact: after.published.as_ref().map(|(entry, blob)| artifact(entry, blob, &observed.root)),
        progress: progress(&plan.phase).or_else(|| observed.targets.progress()),
        failures: (tries.failures > 0).then_some(tries.failures),
        mismatches: (tries.mismatches > 0).then_some(tries.mismatches),
        last_failure_time: tries.last.map(time),
        next_retry_time: tries.next.map(time),
        last_handled_reconcile_at: handled(checked, observed),
        versions: versions(checked, observed, &after.endorsed, &after.archived),
        targets: target_status::statuses(checked, observed, desired, now),
    };
    let mut findings = findings(observed, plan, outcomes, &after, &status.targets);
    findings.extend(ignored(checked, observed));
    status.conditions = merge(&before.conditions, findings, checked.generation, now);
    let requeue_at = requeue_at(checked, observed, plan, outcomes, now);
    let events = events(checked, observed, plan, outcomes, desired, &status.targets);
    Report { status, events, requeue_at }
}

/// A suspended object handles no request, so the request is still open when the object is resumed.
fn handled(checked: &Checked, observed: &Observed) -> Option<String> {
    if is_suspended(checked, observed) {
        observed.status.last_handled_reconcile_at.clone()
    } else {
        request(checked, observed)
    }
}

/// The condition of the image's own request, which waits until the image and its subscription are resumed.
fn ignored(checked: &Checked, observed: &Observed) -> Option<Finding> {
    let request = checked.requested_at.as_deref().filter(|_| is_suspended(checked, observed))?;
    let handled = observed.status.last_handled_reconcile_at.as_deref().and_then(|told| told.strip_prefix(request));
    // The request of the subscription follows after a space.
    let is_handled = handled.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    (!is_handled).then(|| request_ignored(request))
}

/// The versions on the volume after the steps that were done.
struct After {
    /// The published entry, and its bytes.
    published: Option<(Entry, VerifiedBlob)>,
    endorsed: Vec<Entry>,
    archived: Vec<Entry>,
}

impl After {
    fn of(observed: &Observed, plan: &Plan, outcomes: &Outcomes, now: Timestamp) -> Self {
        let mut after = Self {
            published: observed.entries.endorsed.last().cloned().zip(observed.published.clone()),
            endorsed: observed.entries.endorsed.clone(),
            archived: observed.entries.expired.clone(),
        };
        for step in plan.steps.iter().take(outcomes.done) {
            after.take(step, outcomes.published.as_deref(), now);
        }
        if let Want::Image(wanted) = &observed.want {
            let current = after.endorsed.iter().find(|entry| wanted.image.sha512() == Some(entry.digest));
            if let (Some(entry), Some(blob)) = (current, &observed.blob) {
                after.published = Some((entry.clone(), blob.clone()));
            }
        }
        if after.endorsed.is_empty() {
            after.published = None;
        }
        after
    }

    fn take(&mut self, step: &Step, path: Option<&Path>, now: Timestamp) {
        match step {
            Step::Publish { version, blob, returns: _ } => {
                let path = path.unwrap_or(blob.path()).to_owned();
                let entry = Entry { version: version.clone(), digest: *blob.digest(), path, archived_time: None };
                self.archived.retain(|other| !other.is_version_of(&entry));
                self.endorsed.push(entry);
            }
            Step::Archive(entry) => {
                self.endorsed.retain(|other| other != entry);
                self.archived.push(Entry { archived_time: Some(now), ..entry.clone() });
            }
            Step::RemoveArchived(entry) => self.archived.retain(|other| other != entry),
            Step::Finalize(_) | Step::ForgetJob(_) | Step::CancelJob(_) | Step::StartDownload { .. } => {}
        }
    }
}

fn artifact(entry: &Entry, blob: &VerifiedBlob, root: &Path) -> Artifact {
    let path = entry.path.strip_prefix(root).unwrap_or(&entry.path);
    Artifact {
        version: entry.version.to_string(),
        sha512: entry.digest.to_string(),
        size: blob.size(),
        virtual_size: blob.virtual_size(),
        format: blob.format().to_string(),
        path: shorten(&path.display().to_string(), 4096),
        last_verified_time: time(blob.last_verified_time()),
    }
}

fn image(before: &CachedImageStatus, want: &Want, now: Timestamp) -> Option<WantedImage> {
    match want {
        Want::Image(wanted) => Some(wanted_image(before, wanted, now)),
        Want::Kept { .. } | Want::Unclear { .. } => before.image.clone(),
        Want::Out { .. } => None,
    }
}

fn wanted_image(before: &CachedImageStatus, wanted: &WantedVersion, now: Timestamp) -> WantedImage {
    let image = &wanted.image;
    let since = before.image.as_ref().filter(|before| is_content_of(image, before));
    WantedImage {
        version: image.version.to_string(),
        title: shorten(&image.title, 256),
        vo: wanted.vo.as_deref().map(|vo| shorten(vo, 256)),
        os: shorten(&image.os, 256),
        os_version: shorten(&image.os_version, 256),
        arch: shorten(&image.arch, 256),
        hypervisor: shorten(&image.hypervisor, 256),
        format: image.format.as_deref().map(|format| shorten(format, 256)),
        size: image.size(),
        sha512: image.sha512().map(|digest| digest.to_string()),
        sha256: image.digest.sha256().map(|digest| digest.digits()),
        uri: image.uri.to_string(),
        list_version: wanted.list_version.to_string(),
        created: time(wanted.list_created),
        expires: time(wanted.expires),
        wanted_since: since.map_or_else(|| time(now), |before| before.wanted_since.clone()),
    }
}

fn progress(phase: &Phase) -> Option<Progress> {
    match phase {
        Phase::Downloading { bytes, total, bytes_per_second } => {
            Some(Progress::new("Download", *bytes, *total, *bytes_per_second))
        }
        Phase::Current | Phase::Failed { .. } | Phase::Held(_) | Phase::Unchanged | Phase::Out | Phase::Deleting => {
            None
        }
    }
}

fn findings(
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    after: &After,
    targets: &[TargetStatus],
) -> Vec<Finding> {
    let endorsed = endorsed(&observed.want);
    let cached = cached(observed, plan, outcomes, after);
    let published = target_status::published(targets).unwrap_or_else(|| published(after));
    let ready = ready(observed, plan, targets, &endorsed, &cached, &published);
    let ready = match target_status::retirement(targets).filter(|_| ready.status == Status::True) {
        Some((reason, message)) => Finding::fails(ready.name, reason, message),
        None => ready,
    };
    let mut findings = vec![ready, endorsed, cached, published];
    if plan.tries.are_exhausted() {
        let message = "three downloads brought wrong bytes; nothing is tried until the list changes or someone asks";
        findings.push(Finding::holds("RetryLimitExceeded", "RetryLimitExceeded", message));
    }
    if let Some((reason, message)) = storage_trouble(observed, outcomes) {
        findings.push(Finding::holds("StorageOperationFailed", reason, message));
    }
    findings.extend(moving(observed, plan, outcomes, &findings));
    findings
}

fn endorsed(want: &Want) -> Finding {
    const NAME: &str = "Endorsed";
    match want {
        Want::Image(wanted) => {
            let message = format!("version {} by list {}", wanted.image.version, wanted.list_version);
            Finding::holds(NAME, "Endorsed", message)
        }
        Want::Kept { reason, message, .. }
        | Want::Out { reason, message }
        | Want::Unclear { reason, message, told: true } => Finding::fails(NAME, *reason, message),
        Want::Unclear { reason, message, told: false } => Finding::unknown(NAME, *reason, message),
    }
}

fn cached(observed: &Observed, plan: &Plan, outcomes: &Outcomes, after: &After) -> Finding {
    const NAME: &str = "Cached";
    let held = || after.published.as_ref().map(|(entry, _)| format!("version {} is cached", entry.version));
    let stays = || held().map(|held| format!("; {held} meanwhile")).unwrap_or_default();
    if let Some(failed) = &outcomes.failed {
        return Finding::fails(NAME, failed.reason(), format!("{failed}{}", stays()));
    }
    if let Some(trouble) = &observed.trouble {
        return Finding::fails(NAME, trouble.reason(), trouble.to_string());
    }
    match &plan.phase {
        Phase::Current | Phase::Unchanged => match held() {
            Some(held) => Finding::holds(NAME, "Succeeded", held),
            None => Finding::fails(NAME, "NotCached", "no version of it is on the volume"),
        },
        Phase::Downloading { bytes, total, .. } => {
            Finding::fails(NAME, "Downloading", format!("{} of {}{}", Size(*bytes), Size(*total), stays()))
        }
        Phase::Failed { reason, message } => {
            let already = message.split("; version ").next().unwrap_or(message);
            Finding::fails(NAME, *reason, format!("{already}{}", stays()))
        }
        Phase::Held(Hold::Suspended) => {
            Finding::fails(NAME, "Suspended", format!("no new version while suspended{}", stays()))
        }
        Phase::Held(Hold::ListFrozen) => {
            let message = format!("no new version while its list cannot be verified again{}", stays());
            Finding::fails(NAME, "ListFrozen", message)
        }
        Phase::Out | Phase::Deleting => Finding::fails(NAME, "Archived", "it is not endorsed"),
    }
}

/// The condition of an image without targets: it is published if it is on the volume.
fn published(after: &After) -> Finding {
    match &after.published {
        Some(_) => Finding::holds("Published", "NoTargets", "cache only: no target is named"),
        None => Finding::fails("Published", "NotCached", "no version of it is on the volume"),
    }
}

fn ready(
    observed: &Observed,
    plan: &Plan,
    targets: &[TargetStatus],
    endorsed: &Finding,
    cached: &Finding,
    published: &Finding,
) -> Finding {
    const NAME: &str = "Ready";
    if plan.phase == Phase::Deleting {
        let held = if plan.lets_go() { None } else { target_status::held_for(observed, targets) };
        return Finding::fails(NAME, "Deleting", held.unwrap_or_else(|| "the object goes".to_owned()));
    }
    match (&observed.want, cached.status) {
        (Want::Image(_), Status::True) if published.status != Status::True => {
            Finding { name: NAME, status: Status::False, ..published.clone() }
        }
        (Want::Image(wanted), Status::True) if published.reason == "Published" => {
            let message = format!("version {} is cached, verified and published", wanted.image.version);
            Finding::holds(NAME, "Succeeded", message)
        }
        (Want::Image(wanted), Status::True) => {
            Finding::holds(NAME, "Succeeded", format!("version {} is cached and verified", wanted.image.version))
        }
        (Want::Kept { until, message, .. }, Status::True) => {
            Finding::holds(NAME, "Kept", format!("kept until {until}: {message}"))
        }
        (Want::Image(_) | Want::Kept { .. }, _) => Finding { name: NAME, ..cached.clone() },
        (Want::Unclear { .. } | Want::Out { .. }, _) => {
            Finding { name: NAME, status: Status::False, ..endorsed.clone() }
        }
    }
}

fn storage_trouble(observed: &Observed, outcomes: &Outcomes) -> Option<(&'static str, String)> {
    if let Some(trouble) = &observed.trouble {
        return Some((trouble.reason(), trouble.to_string()));
    }
    let failed = outcomes.failed.as_ref().filter(|failed| failed.is_storage())?;
    Some((failed.reason(), failed.to_string()))
}

/// Reconciling or Stalled, at most one of them, while Ready is not True.
fn moving(observed: &Observed, plan: &Plan, outcomes: &Outcomes, findings: &[Finding]) -> Option<Finding> {
    let ready = findings.iter().find(|finding| finding.name == "Ready").filter(|ready| ready.status != Status::True)?;
    let stalled = plan.tries.are_exhausted()
        || outcomes.failed.as_ref().map(StepError::class) == Some(Class::Stalled)
        || observed.trouble.as_ref().map(crate::cache::CacheError::class) == Some(Class::Stalled);
    if stalled {
        return Some(Finding::holds("Stalled", &ready.reason, &ready.message));
    }
    match &plan.phase {
        Phase::Downloading { .. } | Phase::Deleting => {
            Some(Finding::holds("Reconciling", "Progressing", &ready.message))
        }
        Phase::Failed { .. } | Phase::Current => {
            Some(Finding::holds("Reconciling", "ProgressingWithRetry", &ready.message))
        }
        Phase::Unchanged if observed.list.is_none() => {
            Some(Finding::holds("Reconciling", "ProgressingWithRetry", &ready.message))
        }
        Phase::Held(Hold::ListFrozen) => Some(Finding::holds("Reconciling", "ProgressingWithRetry", &ready.message)),
        Phase::Held(Hold::Suspended) | Phase::Unchanged | Phase::Out => None,
    }
}

/// The time of the next pass: the next try, an update of the progress, or the end of something, whichever is first.
fn requeue_at(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    now: Timestamp,
) -> Option<Timestamp> {
    let ends = match &observed.want {
        Want::Image(wanted) => Some(wanted.expires),
        Want::Kept { until, .. } => Some(*until),
        Want::Unclear { .. } | Want::Out { .. } => None,
    };
    let short = matches!(plan.phase, Phase::Failed { reason: "NoSpace", .. });
    let room = short.then(|| now.checked_add(ROOM_EVERY).ok());
    let progress = matches!(plan.phase, Phase::Downloading { .. }).then(|| now.checked_add(PROGRESS_EVERY).ok());
    let failed = outcomes.failed.as_ref().map(|failed| match failed.veto() {
        Some(veto) => veto.again,
        None => crate::reconcile::backoff::next_try(1, now, PROGRESS_WAIT, 0.0),
    });
    let kept = checked.keep_until.filter(|until| *until > now);
    let deleted = [observed.abandoned_from, observed.alone_from];
    let ends = ends.filter(|at| *at > now);
    let others = [ends, plan.tries.next, progress.flatten(), room.flatten(), failed, kept];
    deleted.into_iter().chain(others).flatten().min()
}

/// The back-off of a step that failed.
const PROGRESS_WAIT: std::time::Duration = std::time::Duration::from_secs(30);
