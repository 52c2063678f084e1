//! Calls the cloud when it is due. Decides nothing about images.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::check::Checked;
use super::conversions::Start;
use super::observe::Observed;
use super::plan::Plan;
use super::refusal::Refusal;
use super::request::Asked;
use crate::api::ObjectKey;
use crate::cache::{ConversionKey, Volume};
use crate::imagelist::ImageId;
use crate::opennebula::carry_over::{Keeper, Outcome, Publisher, Record, Request, Verdict};
use crate::opennebula::transport::Connection;
use crate::opennebula::{Client, OneError, Reason};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{Answer, Fingerprint, Last, Session, state_path};
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

/// Calls the cloud if the requests have changed or its time has come.
pub(super) async fn apply<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    session: &mut Session,
    now: Timestamp,
) -> Outcomes {
    let (Plan::Ask { requests, .. }, Some(connection)) = (plan, observed.access.connection()) else {
        *session = Session { credentials: std::mem::take(&mut session.credentials), ..Session::default() };
        return Outcomes::default();
    };
    convert(context, checked, observed, requests, now);
    let asked: Vec<Option<Request>> = requests.iter().map(|asked| asked.request.clone()).collect();
    let fingerprint = fingerprint(connection, checked);
    let same = session.publisher.as_ref().is_some_and(|(before, _)| *before == fingerprint);
    // A user who requests a try gets a new answer, not the last one.
    let person = observed.wanted.iter().any(|wanted| wanted.desired.asked);
    let is_fresh = |last: &Last| {
        let requested = last.requested_at == checked.requested_at;
        same && requested && !person && is_same(&last.asked, &asked) && last.next > now
    };
    let fresh = session.last.as_ref().is_some_and(is_fresh);
    if !fresh {
        let answer = ask(context, session, fingerprint, connection, checked, &asked, now).await;
        let importing = answer.outcomes.iter().flatten().any(is_importing);
        session.importing = importing.then(|| session.importing.unwrap_or(now));
        let next = next(&answer, session.importing, now);
        session.last = Some(Last { asked, requested_at: checked.requested_at.clone(), answer, next });
    }
    let last = session.last.as_ref();
    let copying = last.is_some_and(|last| last.answer.outcomes.iter().flatten().any(|outcome| outcome.copying));
    let converting = requests.iter().any(|asked| asked.refusal.as_ref().is_some_and(Refusal::ends_by_itself));
    Outcomes {
        answer: last.map(|last| last.answer.clone()),
        next: requests.iter().filter_map(|asked| asked.again).chain(last.map(|last| last.next)).min(),
        copying: copying || converting,
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

/// Whether the requests are the same as before. The records of images are not compared, because passes change them.
fn is_same(before: &[Option<Request>], now: &[Option<Request>]) -> bool {
    let question = |request: &Option<Request>| {
        request.as_ref().map(|request| (request.identifier.clone(), request.wanted.clone(), request.adopt))
    };
    before.len() == now.len() && before.iter().zip(now).all(|(before, now)| question(before) == question(now))
}

async fn ask<S: ResourceStore>(
    context: &Context<S>,
    session: &mut Session,
    fingerprint: Fingerprint,
    connection: &Connection,
    checked: &Checked,
    asked: &[Option<Request>],
    now: Timestamp,
) -> Answer {
    let failed = |error| Answer { cloud: Err(error), outcomes: vec![None; asked.len()], at: now };
    let known = session.publisher.take().filter(|(before, _)| *before == fingerprint);
    let publisher = match known {
        Some((_, publisher)) => publisher,
        None => match Client::new(connection.clone()) {
            Ok(client) => Publisher::new(counted(context, client), checked.settings.clone()),
            Err(error) => return failed(error),
        },
    };
    let requests: Vec<Request> = asked.iter().flatten().cloned().collect();
    let keeper = StateKeeper { volume: &context.volume, target: &checked.key };
    let answered = async {
        let report = publisher.pass(&requests, &keeper, now).await?;
        Ok((publisher.cloud(now).await?, report.outcomes))
    };
    let answered: Result<_, OneError> = answered.await;
    session.publisher = Some((fingerprint, publisher));
    match answered {
        Ok((cloud, outcomes)) => {
            let mut outcomes = outcomes.into_iter();
            let outcomes = asked.iter().map(|request| request.as_ref().and_then(|_| outcomes.next())).collect();
            Answer { cloud: Ok(cloud), outcomes, at: now }
        }
        Err(error) => failed(error),
    }
}

/// A client that makes changes only while the permit is valid, and whose calls are counted.
fn counted<S: ResourceStore>(context: &Context<S>, client: Client) -> Client {
    client.with_permit(context.permit.clone()).with_metrics(context.metrics.clone())
}

fn is_importing(outcome: &Outcome) -> bool {
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

fn fingerprint(connection: &Connection, checked: &Checked) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    add(connection.endpoint.as_str().as_bytes());
    add(connection.session.expose_secret().as_bytes());
    if let Some(pem) = &connection.authorities {
        add(pem);
    }
    if let Some((certificate, key)) = &connection.identity {
        add(certificate);
        add(key.expose_secret().as_bytes());
    }
    add(format!("{:?}", checked.settings).as_bytes());
    hash.finalize().into()
}

/// Writes the records of published images to the state on the volume.
struct StateKeeper<'a> {
    volume: &'a Volume,
    target: &'a ObjectKey,
}

impl Keeper for StateKeeper<'_> {
    fn keep(&self, identifier: &ImageId, record: &Record) -> Result<(), String> {
        let path = state_path(self.target, identifier).map_err(|error| error.to_string())?;
        self.volume.write_state(&path, record).map_err(|error| error.to_string())
    }
}
