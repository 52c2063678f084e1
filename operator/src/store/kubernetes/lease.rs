//! Leader election by a Lease (coordination.k8s.io/v1), so that one of several processes leads.
//!
//! It works like the leader election of client-go. A lease that has not been renewed for its duration, measured by the
//! clock of the observer, is free to take, so clocks need not agree. Every write has the resource version that it
//! replaces, so only one of several writers succeeds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::call::{Call, call};
use super::{MANAGER, host};
use crate::cloud::LeadershipGuard;
use crate::store::StoreError;

/// The duration of the lease. A lease that has not been renewed for its duration is free to take.
const DURATION: Duration = Duration::from_secs(10);
/// For this long after the request of a renewal, the leader can be sure that no other process leads.
const SURE: Duration = Duration::from_secs(8);
/// How often the leader renews the lease, and how often the others check it.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The longest duration that is accepted from a lease of another process.
const LONGEST: Duration = Duration::from_mins(1);
/// A leader that cannot renew the lease for this long gives up: another process may be able to reach the server, and
/// wait for the volume.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// A process that wants to lead.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    permit: LeadershipGuard,
    seen: Option<Seen>,
}

/// The lease as it was last read or written.
struct Seen {
    lease: Lease,
    /// Since when it has had this version.
    since: Instant,
}

/// Why a process no longer leads.
#[derive(Debug, thiserror::Error)]
pub enum LeadershipLost {
    /// Another process leads.
    #[error("expected to lead on, found that {0} does")]
    Taken(String),
    /// The API server could not be reached for too long.
    #[error("expected to renew the lease within a minute, found that it cannot be: {0}")]
    Silence(StoreError),
    /// The task that renews the lease has failed.
    #[error("the lease is not renewed any more: {0}")]
    Ended(tokio::task::JoinError),
}

/// The leadership of this process. A task renews the lease.
pub struct Leadership {
    renewing: JoinHandle<Result<Election, LeadershipLost>>,
    stopping: CancellationToken,
    permit: LeadershipGuard,
}

impl Election {
    /// An election with the lease of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: format!("{}_{}", host(), uuid::Uuid::new_v4()),
            permit: LeadershipGuard::to_extend(),
            seen: None,
        }
    }

    /// Waits until this process leads one of several elections. Returns the index of that one.
    pub async fn acquire_one(mut elections: Vec<Self>) -> (usize, Leadership) {
        let mut told: Vec<String> = elections.iter().map(|_| String::new()).collect();
        loop {
            for index in 0..elections.len() {
                let election = &mut elections[index];
                let found = match election.try_acquire_or_renew().await {
                    Ok(true) => return (index, elections.swap_remove(index).lead()),
                    Ok(false) => format!("{} leads; this program waits", election.holder()),
                    Err(error) => error.to_string(),
                };
                if found != told[index] {
                    tracing::info!(lease = election.name, "{found}");
                    told[index] = found;
                }
            }
            let seen = elections.iter().filter_map(|election| election.seen.as_ref());
            let free = seen.map(|seen| seen.free_at().saturating_duration_since(Instant::now())).min();
            sleep(free.filter(|free| !free.is_zero()).unwrap_or(RENEW_EVERY).min(RENEW_EVERY)).await;
        }
    }

    /// Keeps the lease, which this process has just taken.
    fn lead(self) -> Leadership {
        tracing::info!(lease = self.name, identity = self.identity, "this program leads");
        let (permit, stopping) = (self.permit.clone(), CancellationToken::new());
        Leadership { renewing: tokio::spawn(self.renew(stopping.clone())), stopping, permit }
    }

    /// Renews the lease until `stopping` is cancelled or the lease is lost.
    async fn renew(mut self, stopping: CancellationToken) -> Result<Self, LeadershipLost> {
        let mut renewed = Instant::now();
        while stopping.run_until_cancelled(sleep(RENEW_EVERY)).await.is_some() {
            match self.try_acquire_or_renew().await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => {
                    self.permit.end();
                    return Err(LeadershipLost::Taken(self.holder().to_owned()));
                }
                Err(error) if renewed.elapsed() > LONGEST_SILENCE => {
                    self.permit.end();
                    return Err(LeadershipLost::Silence(error));
                }
                Err(error) => tracing::warn!(lease = self.name, "{error}"),
            }
        }
        Ok(self)
    }

    /// Takes the lease if it is free, or renews it if this process holds it. Returns whether this process holds it.
    async fn try_acquire_or_renew(&mut self) -> Result<bool, StoreError> {
        let asked = Instant::now();
        if self.holder() != self.identity {
            self.look().await?;
        }
        let lease = match &self.seen {
            Some(seen) if !seen.is_free(&self.identity, Instant::now()) => return Ok(false),
            Some(seen) => taken(&seen.lease, &self.identity, Timestamp::now()),
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                taken(&Lease { metadata, spec: None }, &self.identity, Timestamp::now())
            }
        };
        self.write(lease).await?;
        self.permit.extend(asked + SURE);
        Ok(true)
    }

    /// Reads the lease. If its version has not changed, its time of observation stays.
    async fn look(&mut self) -> Result<(), StoreError> {
        let Some(lease) = bounded(call(self.about("read"), self.leases.get_opt(&self.name))).await? else {
            self.seen = None;
            return Ok(());
        };
        if self.seen.as_ref().is_none_or(|seen| seen.lease.resource_version() != lease.resource_version()) {
            self.seen = Some(Seen { lease, since: Instant::now() });
        }
        Ok(())
    }

    /// Writes the lease. Fails if it has been changed since it was read.
    async fn write(&mut self, lease: Lease) -> Result<(), StoreError> {
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let written = if lease.resource_version().is_some() {
            bounded(call(self.about("renew"), self.leases.replace(&self.name, &parameters, &lease))).await
        } else {
            bounded(call(self.about("make"), self.leases.create(&parameters, &lease))).await
        };
        match written {
            Ok(lease) => {
                self.seen = Some(Seen { lease, since: Instant::now() });
                Ok(())
            }
            Err(error) => {
                // The lease may have been changed or deleted, or written although no response arrived. The next attempt
                // reads it.
                if !matches!(error, StoreError::Denied { .. }) {
                    self.seen = None;
                }
                Err(error)
            }
        }
    }

    fn about(&self, action: &'static str) -> Call<'static> {
        Call { action, object: format!("Lease {}", self.name), gone: None }
    }

    fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |seen| holder(&seen.lease))
    }
}

impl Seen {
    fn is_free(&self, identity: &str, now: Instant) -> bool {
        let holder = holder(&self.lease);
        holder.is_empty() || holder == identity || now >= self.free_at()
    }

    fn free_at(&self) -> Instant {
        let seconds = self.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let told = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        self.since + told.unwrap_or(DURATION).min(LONGEST)
    }
}

impl Leadership {
    /// A permit that is valid while this process can be sure to lead.
    pub fn permit(&self) -> LeadershipGuard {
        self.permit.clone()
    }

    /// Waits until this process no longer leads. Must not be called again afterwards.
    pub async fn lost(&mut self) -> LeadershipLost {
        match (&mut self.renewing).await {
            Ok(Ok(_)) => std::future::pending().await,
            Ok(Err(lost)) => lost,
            Err(error) => LeadershipLost::Ended(error),
        }
    }

    /// Releases the lease, so that another process can take it at once.
    pub async fn release(self) {
        self.stopping.cancel();
        let Ok(Ok(mut election)) = self.renewing.await else { return };
        self.permit.end();
        let Some(Seen { lease, .. }) = election.seen.take().filter(|seen| holder(&seen.lease) == election.identity)
        else {
            return;
        };
        if let Err(error) = election.write(given_back(lease, Timestamp::now())).await {
            tracing::warn!("the lease is free after {} s: {error}", DURATION.as_secs());
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// The lease with `identity` as its holder, renewed at `now`.
fn taken(lease: &Lease, identity: &str, now: Timestamp) -> Lease {
    let before = lease.spec.clone().unwrap_or_default();
    let is_new = holder(lease) != identity;
    let spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if is_new { Some(MicroTime(now)) } else { before.acquire_time },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(before.lease_transitions.unwrap_or_default().saturating_add(i32::from(is_new))),
        ..LeaseSpec::default()
    };
    Lease { metadata: lease.metadata.clone(), spec: Some(spec) }
}

/// The lease without a holder.
fn given_back(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(now));
    lease
}

/// Limits one request, so that the lease does not expire during it.
async fn bounded<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(SURE / 2, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", (SURE / 2).as_secs());
        Err(StoreError::Unavailable { action: "ask for", object: "the Lease".to_owned(), message })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn seen(holder: &str) -> Seen {
        Seen { lease: taken(&Lease::default(), holder, now()), since: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_free_when_it_is_nobodys_ours_or_old_by_our_own_clock() {
        let (ours, theirs) = (seen("a"), seen("b"));
        assert!(ours.is_free("a", Instant::now()));
        assert!(!theirs.is_free("a", Instant::now() + DURATION - Duration::from_millis(1)));
        assert!(theirs.is_free("a", Instant::now() + DURATION));
        let free = Seen { lease: given_back(theirs.lease, now()), since: Instant::now() };
        assert!(free.is_free("a", Instant::now()));
        let mut endless = seen("b");
        endless.lease.spec.as_mut().unwrap().lease_duration_seconds = Some(i32::MAX);
        assert!(endless.is_free("a", Instant::now() + LONGEST), "a duration that cannot be meant is not believed");
    }

    #[test]
    fn who_takes_a_lease_is_counted_and_who_renews_it_is_not() {
        let first = taken(&Lease::default(), "a", now());
        let renewed = taken(&first, "a", now() + jiff::SignedDuration::from_secs(2));
        let spec = renewed.spec.clone().unwrap();
        assert_eq!((spec.lease_transitions, spec.acquire_time), (Some(1), Some(MicroTime(now()))));
        assert_eq!(taken(&renewed, "b", now()).spec.unwrap().lease_transitions, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_ends_before_another_program_can_lead() {
        let permit = LeadershipGuard::to_extend();
        assert!(!permit.is_valid());
        permit.extend(Instant::now() + SURE);
        assert!(permit.is_valid());
        sleep(SURE).await;
        assert!(!permit.is_valid());
        assert!(SURE + RENEW_EVERY <= DURATION);
        assert!(LeadershipGuard::default().is_valid());
    }
}
