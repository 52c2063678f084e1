//! The servers of lists, the clouds, and the clock in comparison with theirs. Pure.

use jiff::SignedDuration;

use super::finding::{Area, Finding};
use crate::api::Kind;
use crate::reconcile::Probed;

/// The tolerated difference of clocks. Lists and signatures from further in the future are refused.
const TOLERATED: SignedDuration = SignedDuration::from_mins(5);

/// What is wrong with servers that were asked.
pub(super) fn findings(probed: &[Probed]) -> Vec<Finding> {
    probed.iter().filter_map(unusable).chain(clock(probed)).collect()
}

fn unusable(probed: &Probed) -> Option<Finding> {
    let Probed { kind, key, server, trouble, .. } = probed;
    let trouble = trouble.as_ref()?;
    let place = format!("{kind} {key} at {server}");
    let mend = match (trouble.reason, kind) {
        ("SecretNotFound" | "SecretInvalid" | "CredentialsNotAllowed", _) => {
            "correct the Secret that the message names".to_owned()
        }
        ("AuthenticationFailed" | "NotAuthorized" | "Forbidden", _) => {
            format!("renew the credentials in the Secret of {kind} {key}, or their rights at the server")
        }
        (_, Kind::Target) => format!("curl --head {server}: does the cloud answer this machine?"),
        (_, Kind::Subscription | Kind::Endorser | Kind::Image) => {
            format!("curl --head {server}: does the server answer this machine? Proxies are HTTPS_PROXY and NO_PROXY")
        }
    };
    let area = if *kind == Kind::Target { Area::Clouds } else { Area::Lists };
    Some(Finding::wrong(area, place, format!("{}: {}", trouble.reason, trouble.message), mend))
}

/// One finding if the clock differs from that of any server, with the server from which it differs most.
fn clock(probed: &[Probed]) -> Option<Finding> {
    let times = probed.iter().filter_map(|one| Some((one, one.server_time?)));
    let differences = times.map(|(one, time)| (one, time, one.asked_at.duration_since(time).abs()));
    let (one, time, _) = differences.filter(|(_, _, by)| *by > TOLERATED).max_by_key(|(_, _, by)| *by)?;
    let message = format!("this machine says {}, the server {time}", one.asked_at);
    let mend = "timedatectl set-ntp true; if this machine is right, the server is wrong";
    Some(Finding::wrong(Area::Clock, &one.server, message, mend))
}
