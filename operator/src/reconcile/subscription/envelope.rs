//! What stands around a fetched list: a signature beside it, or encryption to the site's key. What goes on from here,
//! and is kept on the volume, is the signed message.

use super::beside::{self, SignatureBeside};
use super::check::Checked;
use super::observe::FetchProblem;
use crate::fetch::{Client, Source};
use crate::reconcile::cluster::Cluster;
use crate::reconcile::source::decryption_key;
use crate::trust::{decrypt, is_encrypted, is_plain_list, join_detached};

/// The signed message in what was fetched, and which signatures beside it are part of it. What is neither signed nor
/// encrypted stays as it is, and is refused later.
pub(super) async fn open<C: Cluster>(
    cluster: &C,
    client: &Client,
    checked: &Checked,
    source: &Source,
    bytes: Vec<u8>,
) -> Result<(Vec<u8>, Vec<SignatureBeside>), FetchProblem> {
    if is_plain_list(&bytes) {
        let (beside, signatures): (Vec<_>, Vec<_>) = beside::fetch(client, checked, source).await?.into_iter().unzip();
        let message = if signatures.is_empty() { bytes } else { join_detached(&bytes, &signatures) };
        return Ok((message, beside));
    }
    let encrypted = is_encrypted(&bytes);
    let Some(secret) = checked.decryption.as_ref().filter(|_| encrypted) else { return Ok((bytes, Vec::new())) };
    let key = decryption_key(cluster, &checked.key.namespace, secret).await;
    let key = key.map_err(|error| FetchProblem::from(&error))?;
    let opened = decrypt(&bytes, Some(&key)).map(std::borrow::Cow::into_owned);
    // Encrypted to somebody else: it is told as DecryptionFailed when it is verified.
    Ok((opened.unwrap_or(bytes), Vec::new()))
}
