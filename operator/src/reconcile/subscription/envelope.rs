//! Unwraps a fetched list: joins it with its detached signatures, or decrypts it with the site's key. The result, which
//! is also stored on the volume, is the signed message.

use super::beside;
use super::check::Checked;
use super::problem::FetchProblem;
use crate::fetch::{Client, Document, Source};
use crate::reconcile::exchange::DetachedSignature;
use crate::reconcile::source::decryption_key;
use crate::store::ResourceStore;
use crate::trust::{decrypt, is_encrypted, is_plain_list, join_detached};

/// The memory that joining or decrypting a message needs, as a multiple of its size.
const TIMES: u64 = 4;
/// The number of bytes at the beginning of a document that show whether it is a plain list.
const BEGINNING: u64 = 4096;

/// Returns the signed message of a fetched document, and the detached signatures that are part of it. A document that
/// is neither signed nor encrypted is returned unchanged, and is refused later.
pub(super) async fn open<S: ResourceStore>(
    store: &S,
    client: &Client,
    checked: &Checked,
    source: &Source,
    document: Document,
) -> Result<(Document, Vec<DetachedSignature>), FetchProblem> {
    let failed = |error: std::io::Error| FetchProblem::not_kept(&source.url, &error);
    if is_plain_list(&document.begin(BEGINNING).map_err(failed)?) {
        // Before memory is taken, because a server may be slow.
        let (beside, signatures): (Vec<_>, Vec<_>) = beside::fetch(client, checked, source).await?.into_iter().unzip();
        if signatures.is_empty() {
            return Ok((document, beside));
        }
        let joined = rewritten(client, checked, document, move |list| Ok(join_detached(&list, &signatures)));
        return Ok((joined.await.map_err(failed)??, beside));
    }
    let Some(secret) = &checked.decryption else { return Ok((document, Vec::new())) };
    let key = decryption_key(store, &checked.key.namespace, secret).await;
    let key = key.map_err(|error| FetchProblem::from(&error));
    let opened = rewritten(client, checked, document, move |bytes| match (is_encrypted(&bytes), key) {
        (false, _) => Ok(bytes),
        // It is encrypted to another key: verification reports it as DecryptionFailed.
        (true, Ok(key)) => Ok(decrypt(&bytes, Some(&key)).map(std::borrow::Cow::into_owned).unwrap_or(bytes)),
        (true, Err(problem)) => Err(problem),
    });
    Ok((opened.await.map_err(failed)??, Vec::new()))
}

/// Makes another document from one, within the memory budget that documents share.
async fn rewritten(
    client: &Client,
    checked: &Checked,
    document: Document,
    rewrite: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, FetchProblem> + Send + 'static,
) -> std::io::Result<Result<Document, FetchProblem>> {
    let memory = client.budget().take(&checked.key.namespace, document.size().saturating_mul(TIMES)).await;
    let folder = client.settings().documents.clone();
    let work = move || match rewrite(document.read()?) {
        Ok(bytes) => Document::put_by(bytes, folder.as_deref()).map(Ok),
        Err(problem) => Ok(Err(problem)),
    };
    memory.work(work).await
}
