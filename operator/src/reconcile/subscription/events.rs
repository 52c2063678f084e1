//! The events of a pass. Each is published once. Pure.

use super::apply::Outcomes;
use super::check::Checked;
use super::fetched::Fetched;
use super::observe::Observed;
use super::plan::{Newest, Plan};
use super::problem::FetchProblem;
use super::removal::REMOVAL_BLOCKED;
use super::step::Step;
use crate::api::Kind;
use crate::reconcile::conditions::Finding;
use crate::reconcile::exchange::ListInForce;
use crate::size::Count;
use crate::store::ObjectEvent;
use crate::trust::Sha256Digest;

/// The events of this pass that the pass before did not have.
pub(super) fn events(checked: &Checked, observed: &Observed, plan: &Plan, outcomes: &Outcomes) -> Vec<ObjectEvent> {
    let told = [
        accepted(plan, outcomes),
        fetch_failed(observed),
        fetched_again(observed),
        set_aside(plan),
        not_taken(observed, plan),
    ];
    let told = told.into_iter().flatten();
    told.map(|(warning, reason, message)| ObjectEvent {
        kind: Kind::Subscription,
        key: checked.key.clone(),
        warning,
        reason: reason.to_owned(),
        message,
    })
    .collect()
}

/// Whether it is a warning, the reason, and the message with the figures.
type Told = (bool, &'static str, String);

fn accepted(plan: &Plan, outcomes: &Outcomes) -> Option<Told> {
    let list = plan.list.as_ref().filter(|_| plan.newly_accepted && outcomes.import.is_none())?;
    Some((false, "ListAccepted", accepted_message(plan, list)))
}

/// Who signed the list that was accepted, and how many images it has.
pub(super) fn accepted_message(plan: &Plan, list: &ListInForce) -> String {
    let counts = &plan.children.counts;
    let listed = Count(counts.listed.try_into().unwrap_or(usize::MAX), "image");
    format!("{}: {listed} listed, {} selected", signed_by(list), counts.selected)
}

fn fetch_failed(observed: &Observed) -> Option<Told> {
    let problem = fetch_problem(observed)?;
    let told_before = failed_before(observed).is_some_and(|before| before.reason == problem.reason);
    (!told_before).then(|| (true, problem.reason, problem.message.clone()))
}

fn fetched_again(observed: &Observed) -> Option<Told> {
    let failed =
        failed_before(observed).filter(|_| matches!(observed.fetched, Fetched::NotModified | Fetched::Message(_)))?;
    Some((false, "Recovered", format!("the list is fetched again, after {}", failed.reason)))
}

fn set_aside(plan: &Plan) -> Option<Told> {
    plan.steps.iter().find_map(|step| match step {
        Step::SetMemoryAside(path) => {
            Some((true, "StateSetAside", format!("{} could not be read and was set aside", path.display())))
        }
        Step::StoreList { .. }
        | Step::Remember(_)
        | Step::RememberLearned(_)
        | Step::Finalize(_)
        | Step::ApplyImage(_)
        | Step::DeleteImage(_) => None,
    })
}

/// The event for a newest message that is not accepted, if the reason is new.
fn not_taken(observed: &Observed, plan: &Plan) -> Option<Told> {
    let before = observed.status.candidate.as_ref().map(|before| (before.digest.as_str(), before.reason.as_str()));
    let is_new = |digest: &Sha256Digest, reason: &str| before != Some((digest.to_string().as_str(), reason));
    match &plan.newest {
        Newest::Refused { digest, refusal, .. } => {
            is_new(digest, refusal.reason()).then(|| (true, "ListRefused", refusal.to_string()))
        }
        Newest::Blocked(blocked) => {
            is_new(&blocked.digest, REMOVAL_BLOCKED).then(|| (true, REMOVAL_BLOCKED, blocked.message()))
        }
        Newest::NotSeen | Newest::InForce | Newest::NotJudged => None,
    }
}

/// The fetch error of an earlier pass, while the server was not asked again.
pub(super) fn failed_before(observed: &Observed) -> Option<Finding> {
    let failed = observed.status.conditions.iter().find(|condition| condition.type_ == "FetchFailed")?;
    Some(Finding::holds("FetchFailed", &failed.reason, &failed.message))
}

/// Who signed the list, as text; with AutoEndorse, that it is the first signer.
pub(super) fn signed_by(list: &ListInForce) -> String {
    let signers = list.accepted.signers().iter();
    let names: Vec<String> = signers
        .map(|signer| match &signer.endorser {
            Some(endorser) => endorser.clone(),
            None => {
                format!("{} (issuer {}), the first signer that was seen (AutoEndorse)", signer.subject, signer.issuer)
            }
        })
        .collect();
    format!("list {} is signed by {}", list.accepted.list().version, names.join(" and "))
}

pub(super) fn fetch_problem(observed: &Observed) -> Option<&FetchProblem> {
    match &observed.fetched {
        Fetched::Failed(problem) => Some(problem),
        Fetched::NotAsked | Fetched::NotModified | Fetched::Message(_) => None,
    }
}
