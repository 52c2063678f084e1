//! What stands around a fetched list: a signature beside it, or encryption to the site's key. What goes on from here,
//! and is kept on the volume, is the signed message.

use super::beside;
use super::check::Checked;
use super::problem::FetchProblem;
use crate::fetch::{Client, Document, Source};
use crate::reconcile::exchange::DetachedSignature;
use crate::reconcile::source::decryption_key;
use crate::store::ResourceStore;
use crate::trust::{decrypt, is_encrypted, is_plain_list, join_detached};

/// What a message takes in memory while it is put together or opened, for each byte of it.
const TIMES: u64 = 4;
/// So much of a document says whether it is a plain list.
const BEGINNING: u64 = 4096;

/// The signed message in what was fetched, and which signatures beside it are part of it. What is neither signed nor
/// encrypted stays as it is, and is refused later.
pub(super) async fn open<S: ResourceStore>(
    store: &S,
    client: &Client,
    checked: &Checked,
    source: &Source,
    document: Document,
) -> Result<(Document, Vec<DetachedSignature>), FetchProblem> {
    let failed = |error: std::io::Error| FetchProblem::not_kept(&source.url, &error);
    if is_plain_list(&document.begin(BEGINNING).map_err(failed)?) {
        // Before memory is taken: a server may take its time.
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
        // Encrypted to somebody else: it is reported as DecryptionFailed when it is verified.
        (true, Ok(key)) => Ok(decrypt(&bytes, Some(&key)).map(std::borrow::Cow::into_owned).unwrap_or(bytes)),
        (true, Err(problem)) => Err(problem),
    });
    Ok((opened.await.map_err(failed)??, Vec::new()))
}

/// Another document made of one, with a part of the memory that documents share.
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
