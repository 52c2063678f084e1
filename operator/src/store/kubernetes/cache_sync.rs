//! Waits for the first list of each kind. No pass begins before, because it would not know all endorsers.

use std::collections::BTreeSet;

use kube::Resource;
use tokio::sync::watch;

use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};

/// The first lists that have not arrived yet. Any number of tasks can wait for them; the store of kube wakes only the
/// last of its waiting tasks.
pub(crate) struct CacheSync(watch::Sender<State>);

struct State {
    /// The kinds that each scope (a namespace, or all) still waits for.
    lists: Vec<(Option<String>, Vec<String>)>,
    /// Kinds that the API server does not have.
    unknown: BTreeSet<String>,
    /// The program is stopping, so no more lists are expected.
    over: bool,
}

impl CacheSync {
    /// Waits for the lists of all kinds in these scopes.
    pub(crate) fn new(scopes: impl Iterator<Item = Option<String>>) -> Self {
        let kinds =
            [Endorser::kind(&()), ImageListSubscription::kind(&()), CachedImage::kind(&()), CloudTarget::kind(&())]
                .map(String::from);
        let lists = scopes.map(|scope| (scope, kinds.to_vec())).collect();
        Self(watch::Sender::new(State { lists, unknown: BTreeSet::new(), over: false }))
    }

    /// A list of this kind and scope has arrived. Later lists have no effect.
    pub(crate) fn came<K: Resource<DynamicType = ()>>(&self, scope: Option<&str>) {
        let mut found = false;
        self.0.send_if_modified(|state| {
            found = state.unknown.remove(&*K::kind(&())) && state.unknown.is_empty();
            false
        });
        if found {
            tracing::info!("the API server knows all kinds now");
        }
        let last = self.0.send_if_modified(|state| {
            let before = state.all_came();
            let of_scope = state.lists.iter_mut().filter(|(own, _)| own.as_deref() == scope);
            of_scope.for_each(|(_, kinds)| kinds.retain(|cache_sync| *cache_sync != K::kind(&())));
            !before && state.all_came()
        });
        if last {
            tracing::info!("everything has been listed once; the work begins");
        }
    }

    /// The API server does not have this kind. Only the first such kind is logged, because all are installed together.
    pub(crate) fn is_unknown<K: Resource<DynamicType = ()>>(&self) {
        let mut first = false;
        self.0.send_if_modified(|state| {
            first = state.unknown.is_empty();
            state.unknown.insert(K::kind(&()).into_owned());
            false
        });
        if first {
            tracing::error!("{}; it is asked again and again", missing(&K::kind(&())));
        }
    }

    /// No more lists are expected.
    pub(crate) fn give_up(&self) {
        self.0.send_modify(|state| state.over = true);
    }

    /// Waits until all lists have arrived. Returns false if the program is stopping.
    pub(crate) async fn all_came(&self) -> bool {
        let mut states = self.0.subscribe();
        let ended = states.wait_for(|state| state.over || state.all_came()).await;
        ended.is_ok_and(|state| state.all_came())
    }

    /// Which first lists have not arrived yet, or which kinds are missing, as text; `None` after all have arrived.
    pub(crate) fn pending(&self) -> Option<String> {
        let state = self.0.borrow();
        if !state.unknown.is_empty() {
            return Some(missing(&state.unknown.iter().map(String::as_str).collect::<Vec<_>>().join(", ")));
        }
        let lists = state.lists.iter().filter(|(_, kinds)| !kinds.is_empty());
        let told = lists.map(|(scope, kinds)| {
            let place = scope.as_ref().map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name}"));
            format!("{} in {place}", kinds.join(", "))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| format!("waiting for the first list of {}", told.join("; of ")))
    }
}

/// The message about kinds that are not installed.
fn missing(kinds: &str) -> String {
    format!(
        "expected the definitions of this program's resources, found that the API server does not know {kinds}: install \
         them with `vmcatcher-operator crds | kubectl apply --server-side -f -`"
    )
}

impl State {
    fn all_came(&self) -> bool {
        self.lists.iter().all(|(_, kinds)| kinds.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_until_it_has_come() {
        let cache_sync = CacheSync::new([Some("a".to_owned()), Some("b".to_owned())].into_iter());
        cache_sync.came::<Endorser>(Some("a"));
        cache_sync.came::<CachedImage>(Some("a"));
        cache_sync.came::<CachedImage>(Some("c"));
        assert_eq!(
            cache_sync.pending().unwrap(),
            "waiting for the first list of ImageListSubscription, CloudTarget in namespace a; of Endorser, \
             ImageListSubscription, CachedImage, CloudTarget in namespace b"
        );
        let all = CacheSync::new([None].into_iter());
        assert!(all.pending().unwrap().ends_with("CloudTarget in all namespaces"));
        all.came::<Endorser>(None);
        all.came::<ImageListSubscription>(None);
        all.came::<CachedImage>(None);
        all.came::<CloudTarget>(None);
        assert_eq!(all.pending(), None);
    }

    #[test]
    fn kinds_that_are_not_installed_are_told_with_the_command() {
        let cache_sync = CacheSync::new([None].into_iter());
        cache_sync.came::<Endorser>(None);
        cache_sync.is_unknown::<Endorser>();
        cache_sync.is_unknown::<CachedImage>();
        assert_eq!(
            cache_sync.pending().unwrap(),
            "expected the definitions of this program's resources, found that the API server does not know CachedImage, \
             Endorser: install them with `vmcatcher-operator crds | kubectl apply --server-side -f -`"
        );
        cache_sync.came::<CachedImage>(None);
        cache_sync.came::<Endorser>(None);
        assert!(cache_sync.pending().unwrap().starts_with("waiting for the first list of ImageListSubscription"));
    }

    #[tokio::test]
    async fn all_who_wait_are_woken() {
        let cache_sync = std::sync::Arc::new(CacheSync::new([None].into_iter()));
        let waiting: Vec<_> =
            (0..8).map(|_| cache_sync.clone()).map(|own| async move { own.all_came().await }).collect();
        let waiting: Vec<_> = waiting.into_iter().map(tokio::spawn).collect();
        tokio::task::yield_now().await;
        cache_sync.came::<Endorser>(None);
        cache_sync.came::<ImageListSubscription>(None);
        tokio::task::yield_now().await;
        cache_sync.came::<CachedImage>(None);
        cache_sync.came::<CloudTarget>(None);
        let woken = tokio::time::timeout(std::time::Duration::from_mins(1), futures::future::join_all(waiting));
        assert!(woken.await.expect("all are woken").into_iter().all(Result::unwrap));
    }

    #[tokio::test]
    async fn who_waits_while_the_program_stops_is_told_that_nothing_comes() {
        let cache_sync = CacheSync::new([None].into_iter());
        let (came, ()) = futures::join!(cache_sync.all_came(), async { cache_sync.give_up() });
        assert!(!came);
    }
}
