//! Verifies the accepted lists again: the one in force, and the older ones that pins refer to. Pure.

use super::check::Checked;
use super::memory::ListMemory;
use super::observe::Observed;
use crate::fetch::Document;
use crate::trust::{AcceptedList, LastAccepted, Refusal, Reverification, RevokedSigner, VerifyRequest, reverify};

/// The results for the stored lists.
pub(super) struct Stored {
    /// The list that was in force.
    pub before: Before,
    /// The older lists that are still valid, the newest first; empty if no image needs an older list.
    pub older: Vec<AcceptedList>,
    /// The older lists that were withdrawn, with the reason.
    pub withdrawn: Vec<(AcceptedList, Refusal)>,
    /// The updated record of all lists, with the revoked signers.
    pub memory: Option<ListMemory>,
}

/// The state of the list that was in force.
pub(super) enum Before {
    None,
    InForce(AcceptedList),
    Frozen(AcceptedList, Refusal),
    Withdrawn(AcceptedList, Refusal),
}

impl Before {
    /// Makes this list an older one, because another list comes into force. A pin to one of its versions finds it in
    /// this pass already. If its signers were revoked, images that only it endorsed are removed in this pass.
    pub(super) fn becomes_older(
        self,
        look_back: bool,
        older: &mut Vec<AcceptedList>,
        withdrawn: &mut Vec<(AcceptedList, Refusal)>,
    ) {
        match self {
            Self::InForce(list) | Self::Frozen(list, _) if look_back => older.insert(0, list),
            Self::Withdrawn(list, refusal) => withdrawn.push((list, refusal)),
            Self::None | Self::InForce(_) | Self::Frozen(..) => {}
        }
    }
}

/// Verifies the stored lists again. A CA may drop an expired certificate from its CRL, so a revocation is recorded for
/// every list that the same certificate signed. `read` returns the bytes of one message.
pub(super) fn judge(
    checked: &Checked,
    observed: &Observed,
    request: &VerifyRequest<'_>,
    read: &dyn Fn(&Document) -> Option<Vec<u8>>,
) -> Stored {
    let Some(mut memory) = observed.memory.clone() else {
        return Stored { before: Before::None, older: Vec::new(), withdrawn: Vec::new(), memory: None };
    };
    memory.taken = memory.taken.filter(|taken| checked.accept_list == Some(*taken));
    let before = match observed.stored.as_ref().and_then(read) {
        Some(stored) => in_force(&stored, &memory.last, request),
        None => Before::None,
    };
    if let Before::InForce(list) | Before::Frozen(list, _) | Before::Withdrawn(list, _) = &before {
        memory.last.revoked = list.revoked().to_vec();
        memory.last.tags = list.tags().to_vec();
        spread(list.revoked(), &mut memory);
    }
    let (mut older, mut withdrawn) = (Vec::new(), Vec::new());
    for (message, document) in &observed.older {
        let Some(index) = memory.older.iter().position(|one| one.message == *message) else { continue };
        let Some(bytes) = read(document) else { continue };
        let (list, refusal) = match reverify(&bytes, &memory.older[index].last, request) {
            Reverification::InForce(list) | Reverification::Frozen(list, _) => (list, None),
            Reverification::Withdrawn(list, refusal) => (list, Some(refusal)),
            Reverification::Broken(_) => continue,
        };
        memory.older[index].last.revoked = list.revoked().to_vec();
        memory.older[index].last.tags = list.tags().to_vec();
        spread(list.revoked(), &mut memory);
        match refusal {
            Some(refusal) => withdrawn.push((list, refusal)),
            None => older.extend(observed.look_back.then_some(list)),
        }
    }
    Stored { before, older, withdrawn, memory: Some(memory) }
}

fn in_force(stored: &[u8], accepted: &LastAccepted, request: &VerifyRequest<'_>) -> Before {
    match reverify(stored, accepted, request) {
        Reverification::InForce(list) => Before::InForce(list),
        Reverification::Frozen(list, refusal) => Before::Frozen(list, refusal),
        Reverification::Withdrawn(list, refusal) => Before::Withdrawn(list, refusal),
        // The stored message is not the accepted one: it counts as lost, and the next fetch restores it.
        Reverification::Broken(_) => Before::None,
    }
}

/// Records the revoked signers in each older list that they signed.
fn spread(revoked: &[RevokedSigner], memory: &mut ListMemory) {
    for list in memory.older.iter_mut().map(|older| &mut older.last) {
        for signer in revoked.iter().filter(|signer| list.certificates.contains(&signer.certificate)) {
            if !list.revoked.iter().any(|known| known.certificate == signer.certificate) {
                list.revoked.push(signer.clone());
            }
        }
    }
}
