//! One subscription: its list, who signed it, the checks, and what each list changed. Pure.

use std::sync::Arc;

use askama::Template;
use jiff::Timestamp;

use super::checks::Checked;
use super::frame::{Frame, Request};
use super::health;
use super::history::{Read, Row, rows};
use super::image::ConditionRow;
use super::shown::{Address, Moment, State, Text};
use super::subscriptions::source;
use crate::api::{
    CandidateStatus, ImageCounts, ImageListSubscription, ImageListSubscriptionStatus, ListStatus, ObjectKey,
    SignerStatus, VerifyMode,
};
use crate::trust::{Check, CheckResult};

/// The page.
#[derive(Template)]
#[template(path = "subscription.html")]
pub(super) struct SubscriptionPage {
    frame: Frame,
    key: ObjectKey,
    state: State,
    findings: Vec<(State, Text, Text)>,
    source: Address,
    interval: Text,
    believed: Text,
    fetches: Vec<(&'static str, Moment)>,
    list: Option<List>,
    candidate: Option<Candidate>,
    counts: Vec<(&'static str, u32)>,
    notes: Vec<(Text, Text, Text)>,
    checks: Vec<CheckRow>,
    /// What there is to say about the checks as a whole.
    verdict: Text,
    history: Vec<Row>,
    /// Older lists that are not shown.
    more_lists: usize,
    conditions: Vec<ConditionRow>,
}

/// What a page is made of.
pub(super) struct Parts {
    pub object: Arc<ImageListSubscription>,
    pub lists: Vec<Read>,
    pub more_lists: usize,
    pub checked: Arc<Checked>,
}

struct List {
    title: Text,
    version: Text,
    identifier: Text,
    digest: Text,
    vo: Text,
    created: Moment,
    expires: Moment,
    accepted: Moment,
    signers: Vec<Signer>,
}

struct Signer {
    endorser: Text,
    credential: Text,
    subject: Text,
    issuer: Text,
    ends: Option<Moment>,
}

struct Candidate {
    reason: Text,
    message: Text,
    version: Text,
    digest: Text,
    adds: Option<u32>,
    removes: Option<u32>,
}

struct CheckRow {
    mark: &'static str,
    tone: &'static str,
    title: &'static str,
    source: &'static str,
    found: Text,
}

impl SubscriptionPage {
    /// Makes the page.
    pub(super) fn of(request: &Request, parts: &Parts) -> Self {
        let (object, now) = (&*parts.object, request.now);
        let key = ObjectKey::of(object);
        let status = object.status.clone().unwrap_or_default();
        let found = health::of_subscription(object, now);
        let (checks, verdict) = checks(&parts.checked);
        Self {
            frame: Frame::of(request, &key.name, "Subscriptions"),
            state: health::state(&found),
            findings: health::shown(&found),
            source: Address::of(&source(&object.spec.source)),
            interval: Text::of(&object.spec.interval),
            believed: believed(object),
            fetches: fetches(&status, now),
            list: status.list.as_ref().map(|list| List::of(list, now)),
            candidate: status.candidate.as_ref().map(Candidate::of),
            counts: status.images.iter().flat_map(ImageCounts::by_state).collect(),
            notes: status
                .notes
                .iter()
                .map(|note| (Text::of(&note.identifier), Text::of(&note.reason), Text::of(&note.message)))
                .collect(),
            checks,
            verdict,
            history: rows(&parts.lists, now),
            more_lists: parts.more_lists,
            conditions: ConditionRow::all(&status.conditions, now),
            key,
        }
    }
}

/// Whose signatures are believed.
fn believed(object: &ImageListSubscription) -> Text {
    let verify = &object.spec.verify;
    let names: Vec<&str> = verify.endorser_refs.iter().map(|endorser| endorser.name.as_str()).collect();
    Text::of(match verify.mode {
        VerifyMode::Enforce => format!("{} of: {}", verify.required_endorsements, names.join(", ")),
        VerifyMode::AutoEndorse => "the first signer that was seen, and from then on only that one".to_owned(),
        VerifyMode::Unknown => "a mode that this version does not know".to_owned(),
    })
}

fn fetches(status: &ImageListSubscriptionStatus, now: Timestamp) -> Vec<(&'static str, Moment)> {
    let times = [
        ("Last fetch", &status.last_fetch_time),
        ("Last successful fetch", &status.last_successful_fetch_time),
        ("Next fetch", &status.next_fetch_time),
    ];
    times.into_iter().filter_map(|(name, time)| Some((name, Moment::of(time.as_ref()?.0, now)))).collect()
}

fn checks(checked: &Checked) -> (Vec<CheckRow>, Text) {
    match checked {
        Ok(Some(kept)) => {
            let verdict = kept.refusal.as_ref().map(|refusal| format!("It would not be accepted now: {refusal}"));
            (kept.checks.iter().map(CheckRow::of).collect(), Text::of(verdict.unwrap_or_default()))
        }
        Ok(None) => (Vec::new(), Text::of("No list is in force, so there is nothing to check.")),
        Err(error) => (Vec::new(), Text::of(format!("The list cannot be checked: {error}"))),
    }
}

impl CheckRow {
    fn of(check: &Check) -> Self {
        let (mark, tone) = match check.result {
            CheckResult::Passed => ("passed", "good"),
            CheckResult::Failed => ("failed", "bad"),
            CheckResult::NotAsked => ("not asked", "idle"),
        };
        Self { mark, tone, title: check.rule.title(), source: check.rule.source(), found: Text::of(&check.found) }
    }
}

impl List {
    fn of(list: &ListStatus, now: Timestamp) -> Self {
        Self {
            title: Text::of(&list.title),
            version: Text::of(&list.version),
            identifier: Text::of(&list.identifier),
            digest: Text::of(&list.digest),
            vo: Text::of(list.vo.as_deref().unwrap_or_default()),
            created: Moment::of(list.created.0, now),
            expires: Moment::of(list.expires.0, now),
            accepted: Moment::of(list.accepted_time.0, now),
            signers: list.signers.iter().map(|signer| Signer::of(signer, now)).collect(),
        }
    }
}

impl Signer {
    fn of(signer: &SignerStatus, now: Timestamp) -> Self {
        Self {
            endorser: Text::of(&signer.endorser),
            credential: Text::of(&signer.credential),
            subject: Text::of(&signer.subject),
            issuer: Text::of(&signer.issuer),
            ends: signer.not_after.as_ref().map(|end| Moment::of(end.0, now)),
        }
    }
}

impl Candidate {
    fn of(candidate: &CandidateStatus) -> Self {
        Self {
            reason: Text::of(&candidate.reason),
            message: Text::of(&candidate.message),
            version: Text::of(candidate.version.as_deref().unwrap_or_default()),
            digest: Text::of(&candidate.digest),
            adds: candidate.adds,
            removes: candidate.removes,
        }
    }
}
