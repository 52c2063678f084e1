//! The certificate authorities and their CRLs. Pure.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::finding::{Area, Finding};
use crate::anchors::AnchorProblem;
use crate::trust::{Anchors, Freshness};

/// A CRL that expires sooner than this was probably not fetched for a while: they are fetched every six hours, and are
/// valid for some days at least.
const SOON: SignedDuration = SignedDuration::from_hours(24);
/// The most authorities that a message names.
const MOST_NAMED: usize = 3;
const FETCH: &str = "fetch-crl, from a timer; or the option --refresh-crls 6";

/// What is wrong with a trust directory. `needed`: whether an endorser has a certificate.
pub(super) fn findings(
    path: &Path,
    anchors: &Anchors,
    problems: &[AnchorProblem],
    needed: bool,
    now: Timestamp,
) -> Vec<Finding> {
    if !needed {
        return Vec::new();
    }
    let mut found: Vec<Finding> = problems.iter().map(|problem| unusable(path, problem)).collect();
    if anchors.count() == 0 {
        let packages = "apt-get install igtf-policy-classic igtf-policy-mics igtf-policy-slcs igtf-policy-iota; or \
                        --trust with the folder of your authorities";
        found.push(Finding::wrong(
            Area::Trust,
            path.display(),
            "expected certificate authorities, found none",
            packages,
        ));
    }
    found.extend(crls(path, anchors, now));
    found
}

fn unusable(path: &Path, AnchorProblem { path: file, message }: &AnchorProblem) -> Finding {
    let is_crl = file.extension().is_some_and(|end| end == "crl" || end.as_encoded_bytes().first() == Some(&b'r'));
    let mend = match (file == path, is_crl) {
        (true, _) => format!("ls -ld {}; the account of the operator has to read it", path.display()),
        (false, true) => format!("rm {} && fetch-crl", file.display()),
        (false, false) => format!("ls -l {0}; restore {0} from its package, or remove it", file.display()),
    };
    Finding::wrong(Area::Trust, file.display(), message.clone(), mend)
}

/// The CRLs: one finding for each kind of fault, not for each authority.
fn crls(path: &Path, anchors: &Anchors, now: Timestamp) -> Vec<Finding> {
    let (mut missing, mut expired, mut early, mut soon) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for subject in anchors.subjects() {
        let own = anchors.crl_freshness(subject, now).into_iter().next();
        match own.map(|(_, freshness)| freshness) {
            Some(Freshness::Missing(_)) | None => missing.push(subject.to_string()),
            Some(Freshness::Expired(at)) => expired.push(format!("{subject} ({at})")),
            Some(Freshness::NotYetValid(at)) => early.push(format!("{subject} ({at})")),
            Some(Freshness::Fresh(until)) if until.duration_since(now) < SOON => {
                soon.push(format!("{subject} ({until})"));
            }
            Some(Freshness::Fresh(_)) => {}
        }
    }
    let place = path.display();
    let wrong = |names: &[String], expected: &str, found: &str, mend: &str| {
        let message = format!("expected {expected}, found {found} of {}", named(names));
        (!names.is_empty()).then(|| Finding::wrong(Area::Trust, &place, message, mend))
    };
    let clock = "timedatectl: is the clock of this machine right? Otherwise fetch-crl";
    let soon = (!soon.is_empty()).then(|| {
        let message = format!("CRLs expire within {} hours: those of {}", SOON.as_hours(), named(&soon));
        Finding::note(Area::Trust, &place, message, FETCH)
    });
    let wrong = [
        wrong(&missing, "a CRL of each authority", "none", FETCH),
        wrong(&expired, "CRLs that are valid", "expired ones", FETCH),
        wrong(&early, "CRLs that are valid", "ones that begin later", clock),
    ];
    wrong.into_iter().flatten().chain(soon).collect()
}

/// The number of names, and the first of them.
fn named(names: &[String]) -> String {
    let first = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > MOST_NAMED { ", …" } else { "" };
    format!("{} authorities: {first}{more}", names.len())
}
