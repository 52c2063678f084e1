//! Which events a sink gets. Pure.

use std::collections::BTreeSet;

use super::faults::Faults;
use super::node::{Node, Object};
use super::scalar::word;
use crate::events::event::{EventType, Phase};
use crate::events::settings::EventFilter;

/// All phases, in the order of the documentation.
const PHASES: [Phase; 3] = [Phase::Before, Phase::After, Phase::Progress];

/// The phases that events of a type have.
const fn phases_of(event: EventType) -> &'static [Phase] {
    match event {
        EventType::Process | EventType::Available | EventType::Expire | EventType::Retire => {
            &[Phase::Before, Phase::After]
        }
        EventType::SubscriptionImageNew
        | EventType::ListAccepted
        | EventType::ListRefused
        | EventType::RemovalBlocked
        | EventType::HookVetoed => &[Phase::After],
        EventType::Download | EventType::Convert => &[Phase::Progress],
        EventType::Publish => &PHASES,
    }
}

/// The filter of a sink. `can_veto`: whether the sink is one whose handlers can refuse a step; only they get `before`.
pub(super) fn filter(sink: &Object<'_>, can_veto: bool, faults: &mut Faults) -> Option<EventFilter> {
    let phases = match sink.field("phases") {
        Some(node) => phases(&node, can_veto, faults),
        None if can_veto => Some(BTreeSet::from([Phase::Before, Phase::After])),
        None => Some(BTreeSet::from([Phase::After])),
    };
    let types = match sink.field("events") {
        Some(node) => types(&node, phases.as_ref(), faults),
        None => Some(BTreeSet::from(EventType::ALL)),
    };
    Some(EventFilter { types: types?, phases: phases? })
}

fn phases(node: &Node<'_>, can_veto: bool, faults: &mut Faults) -> Option<BTreeSet<Phase>> {
    let mut found = BTreeSet::new();
    for (item, phase) in words(node, &PHASES.map(|phase| (phase.as_str(), phase)), faults)? {
        if phase == Phase::Before && !can_veto {
            faults.at_value(&item.path, "expected after or progress, found before, which only an exec sink gets");
        }
        found.insert(phase);
    }
    Some(found)
}

/// The types of a list. Each has to have one of the phases, else the sink would get none of its events.
fn types(node: &Node<'_>, phases: Option<&BTreeSet<Phase>>, faults: &mut Faults) -> Option<BTreeSet<EventType>> {
    let mut found = BTreeSet::new();
    for (item, event) in words(node, &EventType::ALL.map(|event| (event.as_str(), event)), faults)? {
        if let Some(phases) = phases.filter(|phases| !phases_of(event).iter().any(|phase| phases.contains(phase))) {
            let [expected, has] = [joined(phases.iter()), joined(phases_of(event).iter())];
            let hint = "add one to phases, or remove the event";
            let message = format!("expected an event of the phases {expected}, found {event}, which has {has}; {hint}");
            faults.at_value(&item.path, message);
        }
        found.insert(event);
    }
    Some(found)
}

/// The words of a list, each once and at least one. Words that are not of the set are left out.
fn words<'v, T: Copy + Ord>(node: &Node<'v>, known: &[(&str, T)], faults: &mut Faults) -> Option<Vec<(Node<'v>, T)>> {
    let items = node.items(known.len(), faults)?;
    if items.is_empty() {
        faults.at_key(&node.path, "expected at least one item, found none; remove the field for its default");
        return None;
    }
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for item in items {
        let Some(word) = word(&item, known, faults) else { continue };
        if seen.insert(word) {
            found.push((item, word));
        } else {
            faults.at_value(&item.path, format!("expected each once, found {} again", item.found()));
        }
    }
    Some(found)
}

fn joined<'p>(phases: impl Iterator<Item = &'p Phase>) -> String {
    phases.map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ")
}
