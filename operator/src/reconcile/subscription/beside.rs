//! Detached signatures of a plain list (`<url>.p7s` for CMS, `<url>.asc` for OpenPGP). They are fetched with the list,
//! and requested again while the list itself has not changed.

use super::check::Checked;
use super::problem::FetchProblem;
use crate::fetch::{Client, ListAnswer, Source, Validator};
use crate::reconcile::exchange::DetachedSignature;
use crate::trust::{Sha256Digest, is_openpgp_signature};

/// The suffixes that are appended to the list's path.
const ENDINGS: [&str; 2] = [".p7s", OPENPGP];
/// The suffix of OpenPGP signatures.
const OPENPGP: &str = ".asc";
/// The maximum size of a detached signature, in bytes.
const LARGEST: u64 = 1 << 20;

/// Fetches the detached signatures of a list that exist, each with its digest and validator and its bytes.
pub(super) async fn fetch(
    client: &Client,
    checked: &Checked,
    source: &Source,
) -> Result<Vec<(DetachedSignature, Vec<u8>)>, FetchProblem> {
    let mut found = Vec::new();
    for ending in ENDINGS {
        if let Answer::Body { bytes, validator } = ask(client, checked, source, ending, None).await? {
            let digest = Sha256Digest::of(&bytes);
            found.push((DetachedSignature { ending: ending.to_owned(), digest, validator }, bytes));
        }
    }
    Ok(found)
}

/// Whether no detached signature was renewed or added, for a list that has not changed. A signature that was removed
/// counts as unchanged: it is part of the stored message.
pub(super) async fn are_unchanged(
    client: &Client,
    checked: &Checked,
    source: &Source,
    before: &[DetachedSignature],
) -> Result<bool, FetchProblem> {
    for ending in ENDINGS {
        let before = before.iter().find(|one| one.ending == ending);
        let validator = before.and_then(|before| before.validator.as_ref());
        let same = match ask(client, checked, source, ending, validator).await? {
            Answer::NotModified | Answer::None => true,
            Answer::Body { bytes, .. } => before.is_some_and(|before| before.digest == Sha256Digest::of(&bytes)),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

enum Answer {
    NotModified,
    Body { bytes: Vec<u8>, validator: Option<Validator> },
    None,
}

async fn ask(
    client: &Client,
    checked: &Checked,
    source: &Source,
    ending: &str,
    validator: Option<&Validator>,
) -> Result<Answer, FetchProblem> {
    let mut url = source.url.url().clone();
    url.set_path(&format!("{}{ending}", url.path()));
    let Ok(url) = url.as_str().parse() else { return Ok(Answer::None) };
    let beside = Source { url, ..source.clone() };
    match client.fetch_list(&beside, validator, checked.timeout, LARGEST).await {
        Ok(ListAnswer::Body { document, validator, .. }) => {
            let bytes = document.read().map_err(|error| FetchProblem::not_kept(&beside.url, &error))?;
            // Some servers return an HTML page for a file that does not exist.
            let is_page = ending == OPENPGP && !is_openpgp_signature(&bytes);
            Ok(if is_page { Answer::None } else { Answer::Body { bytes, validator } })
        }
        Ok(ListAnswer::NotModified { .. }) => Ok(Answer::NotModified),
        // Any other error does not show whether the signature exists.
        Err(error) if error.is_absence() => Ok(Answer::None),
        Err(error) => Err(FetchProblem::from(&error)),
    }
}
