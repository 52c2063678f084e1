//! A fair queue: owners take turns, and the items of one owner keep their order (pure).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Waiting items by owner.
#[derive(Debug)]
pub struct Turns<T> {
    /// No queue in it is empty.
    waiting: BTreeMap<String, VecDeque<T>>,
    /// The owner of the item that was taken last.
    last: String,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), last: String::new() }
    }
}

impl<T> Turns<T> {
    /// Adds an item behind the others of its owner.
    pub fn push(&mut self, owner: &str, item: T) {
        self.waiting.entry(owner.to_owned()).or_default().push_back(item);
    }

    /// Drops the items for which `stays` returns false.
    pub fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.waiting.retain(|_, items| {
            items.retain(&mut stays);
            !items.is_empty()
        });
    }

    /// Takes the first item of the next owner, if `may_go` allows it.
    pub fn take_if(&mut self, may_go: impl FnOnce(&T) -> bool) -> Option<T> {
        let behind = (Bound::Excluded(self.last.clone()), Bound::Unbounded);
        let owner = self.waiting.range(behind).chain(&self.waiting).next().map(|(owner, _)| owner.clone())?;
        let items = self.waiting.get_mut(&owner)?;
        let item = items.pop_front_if(|first| may_go(first))?;
        if items.is_empty() {
            self.waiting.remove(&owner);
        }
        self.last = owner;
        Some(item)
    }

    /// Takes the first item of the next owner.
    pub fn take(&mut self) -> Option<T> {
        self.take_if(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever waits is served after at most one of each other owner, for each of its own before it.
        #[test]
        fn nobody_waits_longer_than_a_round_for_each_before_it(owners in prop::collection::vec(0_usize..4, 1..40)) {
            let mut turns = Turns::default();
            let mut before = [0_usize; 4];
            for owner in owners.iter().copied() {
                turns.push(&owner.to_string(), (owner, before[owner]));
                before[owner] += 1;
            }
            let mut served = Vec::new();
            while let Some(item) = turns.take() {
                served.push(item);
            }
            prop_assert_eq!(served.len(), owners.len());
            let others = before.iter().filter(|count| **count > 0).count();
            for (at, (owner, before)) in served.iter().enumerate() {
                prop_assert!(at <= (before + 1) * others, "{owner} {before}: {served:?}");
                let own = served[..at].iter().filter(|(other, _)| other == owner).count();
                prop_assert_eq!(own, *before, "in order");
            }
        }
    }
}
