//! What stands around a fetched list: a signature beside it, or encryption to the site's key. What goes on from here,
//! and is kept on the volume, is the signed message.

use super::check::Checked;
use super::observe::FetchProblem;
use crate::fetch::{Client, FetchError, ListAnswer, Source};
use crate::reconcile::cluster::Cluster;
use crate::reconcile::source::decryption_key;
use crate::trust::{decrypt, is_encrypted, is_openpgp_signature, is_plain_list, join_detached};

/// The largest signature that lies beside a list, in bytes.
const LARGEST_SIGNATURE: u64 = 1 << 20;

/// The signed message in what was fetched. What is neither signed nor encrypted stays as it is, and is refused later.
pub(super) async fn open<C: Cluster>(
    cluster: &C,
    client: &Client,
    checked: &Checked,
    source: &Source,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, FetchProblem> {
    if is_plain_list(&bytes) {
        return beside(client, checked, source, bytes).await;
    }
    let Some(secret) = checked.decryption.as_ref().filter(|_| is_encrypted(&bytes)) else { return Ok(bytes) };
    let key = decryption_key(cluster, &checked.key.namespace, secret).await;
    let key = key.map_err(|error| FetchProblem::from(&error))?;
    let opened = decrypt(&bytes, Some(&key)).map(std::borrow::Cow::into_owned);
    // Encrypted to somebody else: it is told as DecryptionFailed when it is verified.
    Ok(opened.unwrap_or(bytes))
}

/// A plain list with the signatures at `<url>.p7s` (CMS) and `<url>.asc` (OpenPGP), as far as there are any.
async fn beside(client: &Client, checked: &Checked, source: &Source, list: Vec<u8>) -> Result<Vec<u8>, FetchProblem> {
    let mut signatures = Vec::new();
    signatures.extend(fetch(client, checked, source, "p7s").await?);
    // Some servers answer with a page for what they do not have.
    signatures.extend(fetch(client, checked, source, "asc").await?.filter(|bytes| is_openpgp_signature(bytes)));
    Ok(if signatures.is_empty() { list } else { join_detached(&list, &signatures) })
}

/// What lies beside the list under one more ending, where there is something.
async fn fetch(
    client: &Client,
    checked: &Checked,
    source: &Source,
    ending: &str,
) -> Result<Option<Vec<u8>>, FetchProblem> {
    let mut url = source.url.url().clone();
    url.set_path(&format!("{}.{ending}", url.path()));
    let Ok(url) = url.as_str().parse() else { return Ok(None) };
    let beside = Source { url, ..source.clone() };
    match client.fetch_list(&beside, None, checked.timeout, LARGEST_SIGNATURE).await {
        Ok(ListAnswer::Body { bytes, .. }) => Ok(Some(bytes)),
        Ok(ListAnswer::NotModified { .. }) | Err(FetchError::Status { .. } | FetchError::File { .. }) => Ok(None),
        Err(error) => Err(FetchProblem::from(&error)),
    }
}
