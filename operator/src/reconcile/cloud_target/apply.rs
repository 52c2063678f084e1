//! Makes the changes of the plan at the cloud, and starts conversions. Decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::conversions::Start;
use super::hooks;
use super::observe::Observed;
use super::plan::{Plan, Requests};
use super::refusal::Refusal;
use super::request::Asked;
use crate::api::ObjectKey;
use crate::cache::{ConversionKey, Volume};
use crate::cloud::{AnyOutcome, Keeper, Reason, StoredRecord, Verdict};
use crate::imagelist::ImageId;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{Answer, Last, Session, state_path};
use crate::store::ResourceStore;

/// How often a cloud is checked without a change, to repair changes that were made there.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// The wait after a pass that could not reach the cloud.
const RETRY: SignedDuration = SignedDuration::from_secs(30);
/// The shortest and the longest wait between two checks of a running import.
const SOONEST: SignedDuration = SignedDuration::from_secs(1);
const LATEST: SignedDuration = SignedDuration::from_secs(30);

/// The results of the plan.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// The last answer of the cloud; `None` if it was not called.
    pub answer: Option<Answer>,
    /// When it is called again.
    pub next: Option<Timestamp>,
    /// Whether the cloud is copying an image, or one is being converted. Both end by themselves.
    pub copying: bool,
}

/// Makes the changes of the plan at the cloud, and starts conversions.
pub(super) async fn apply<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    requests: &Requests,
    plan: Plan,
    session: &mut Session,
    now: Timestamp,
) -> Outcomes {
    let Requests::Ask { requests: asked, .. } = requests else {
        *session = Session { credentials: std::mem::take(&mut session.credentials), ..Session::default() };
        return Outcomes::default();
    };
    convert(context, checked, observed, asked, now);
    if let Some(answer) = answer(context, checked, observed, asked, plan, now).await {
        let importing = answer.outcomes.iter().flatten().any(is_importing);
        session.importing = importing.then(|| session.importing.unwrap_or(now));
        let next = next(&answer, session.importing, now);
        let asked = asked.iter().map(|asked| asked.request.clone()).collect();
        session.last = Some(Arc::new(Last { asked, requested_at: checked.requested_at.clone(), answer, next }));
    }
    let last = session.last.as_ref();
    let copying = last.is_some_and(|last| last.answer.outcomes.iter().flatten().any(|outcome| outcome.copying));
    let converting = asked.iter().any(|asked| asked.refusal.as_ref().is_some_and(Refusal::ends_by_itself));
    Outcomes {
        answer: last.map(|last| last.answer.clone()),
        next: asked.iter().filter_map(|asked| asked.again).chain(last.map(|last| last.next)).min(),
        copying: copying || converting,
    }
}

/// The answer of the cloud; `None` if it is not called.
async fn answer<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    asked: &[Asked],
    plan: Plan,
    now: Timestamp,
) -> Option<Answer> {
    match plan {
        Plan::Steps(cloud, steps) => {
            let steps = hooks::ask(context, checked, observed, asked, steps, now).await;
            let keeper = StateKeeper { volume: &context.volume, target: &checked.key };
            let mut outcomes = steps.apply(&keeper, now).await.into_iter();
            let outcomes = asked.iter().map(|asked| asked.request.as_ref().and_then(|_| outcomes.next())).collect();
            Some(Answer { cloud: Ok(cloud), outcomes, at: now })
        }
        Plan::Unreachable(error) => Some(Answer { cloud: Err(error), outcomes: vec![None; asked.len()], at: now }),
        Plan::Rest => None,
    }
}

/// Starts the requested conversions, and cancels those that no target wants any more.
fn convert<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    requests: &[Asked],
    now: Timestamp,
) {
    let conversions = context.jobs.conversions();
    let wanted = observed.wanted.iter().filter_map(|wanted| wanted.needed.as_ref().map(|needed| needed.key));
    want_conversions(context, &checked.key, wanted.collect());
    for (Start { source, form }, wanted) in
        requests.iter().zip(&observed.wanted).filter_map(|(asked, wanted)| Some((asked.start.as_ref()?, wanted)))
    {
        let key = ConversionKey { source: *source.digest(), form: *form };
        if let Err(error) = wanted.desired.asked.then(|| conversions.forgive(&key)).transpose() {
            tracing::warn!(conversion = %key, %error, "an earlier failure still counts");
        }
        conversions.start(source, *form, now);
    }
}

/// Sets the conversions that a target wants, and cancels those that no target wants any more.
pub(super) fn want_conversions<S: ResourceStore>(
    context: &Context<S>,
    target: &ObjectKey,
    keys: BTreeSet<ConversionKey>,
) {
    for key in context.publications.want_conversions(target, keys) {
        context.jobs.conversions().cancel(&key);
    }
}

fn is_importing(outcome: &AnyOutcome) -> bool {
    matches!(outcome.verdict, Verdict::Waiting { reason: Reason::Importing, .. })
}

/// When the cloud is called again if nothing changes.
fn next(answer: &Answer, importing: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let pause = match (&answer.cloud, importing) {
        (Err(_), _) => RETRY,
        (Ok(_), Some(since)) => {
            SignedDuration::from_secs(now.duration_since(since).as_secs() / 10).clamp(SOONEST, LATEST)
        }
        (Ok(_), None) => LOOK_AGAIN,
    };
    let retries = answer.outcomes.iter().flatten().filter_map(|outcome| match outcome.verdict {
        Verdict::Waiting { until, .. } => until,
        Verdict::Published { .. } | Verdict::Retired => None,
    });
    let later = now.checked_add(pause).unwrap_or(now);
    retries.filter(|at| *at > now).fold(later, Timestamp::min)
}

/// Writes the records of published images to the state on the volume.
struct StateKeeper<'a> {
    volume: &'a Volume,
    target: &'a ObjectKey,
}

impl Keeper for StateKeeper<'_> {
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String> {
        let path = state_path(self.target, identifier).map_err(|error| error.to_string())?;
        self.volume.write_state(&path, record).map_err(|error| error.to_string())
    }
}
