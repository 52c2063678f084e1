//! Fetches a source that has several files: a file of checksums and its signature, or the index and the products file of
//! a simplestreams mirror. The result is one message with all files, byte for byte.

use jiff::Timestamp;

use super::check::Checked;
use super::memory::ListMemory;
use super::problem::FetchProblem;
use crate::fetch::{Came, Document, ListAnswer, Validator};
use crate::imagelist::{ChecksumsRule, ProductsPath, SignedFile, SimpleStreamsRule, SourceUrl, write_signed_files};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{DetachedSignature, Message};
use crate::reconcile::source::source;
use crate::store::ResourceStore;
use crate::trust::{CHECKSUMS, SIMPLE_STREAMS, Sha256Digest, is_clear_signed, is_openpgp_signature, unverified_text};

/// What is appended to the address of a file to find its detached signature, in this order.
const ENDINGS: [&str; 4] = [".gpg", ".sign", ".asc", ".sig"];
/// The name of a signature that has an address of its own, in the record.
const SIGNATURE: &str = "signature";
/// The largest detached signature, in bytes.
const LARGEST_SIGNATURE: u64 = 1 << 20;
/// The number of bytes at the beginning of a file that show whether it is clear-signed.
const BEGINNING: u64 = 4096;
/// The memory that reading an index needs, as a multiple of its size.
const TIMES_READ: u64 = 4;
/// The memory that joining files needs, as a multiple of their size.
const TIMES_JOINED: u64 = 2;

/// The result of a fetch.
pub(super) enum Answer {
    /// No file has changed.
    NotModified,
    /// The files, as one message.
    Message(Message),
}

/// The result, and the time according to the server.
pub(super) type Answered = Result<(Answer, Option<Timestamp>), FetchProblem>;

/// The files of one subscription.
pub(super) struct Files<'a, S: ResourceStore> {
    pub(super) context: &'a Context<S>,
    pub(super) checked: &'a Checked,
    /// The record of the message in force, if it was fetched from the same address.
    pub(super) memory: Option<&'a ListMemory>,
}

/// The first file of a source.
struct First {
    document: Document,
    validator: Option<Validator>,
    date: Option<Timestamp>,
    came: Box<Came>,
}

/// A file with its signature.
struct File {
    document: Document,
    signature: Option<Vec<u8>>,
}

impl<S: ResourceStore> Files<'_, S> {
    /// Fetches a file of checksums and its signature.
    pub(super) async fn checksums(&self, rule: &ChecksumsRule) -> Answered {
        let first = match self.first(rule.url(), |ending| address(rule.url(), rule.signature(), ending)).await? {
            Ok(first) => first,
            Err(date) => return Ok((Answer::NotModified, date)),
        };
        let (file, signature) = match rule.signature() {
            Some(url) => {
                let found = self.signature(url, SIGNATURE).await?;
                let (beside, bytes) = found.unzip();
                (File { document: first.document.clone(), signature: bytes }, beside)
            }
            None => self.with_signature(rule.url(), &first.document).await?,
        };
        self.message(first, CHECKSUMS, [file], signature.into_iter().collect()).await
    }

    /// Fetches an index, the products file that it has, and their signatures.
    pub(super) async fn simple_streams(&self, rule: &SimpleStreamsRule) -> Answered {
        let place = |ending: &str| {
            if ending.starts_with('.') { append(rule.url(), ending) } else { rule.resolve(ending).ok() }
        };
        let first = match self.first(rule.url(), place).await? {
            Ok(first) => first,
            Err(date) => return Ok((Answer::NotModified, date)),
        };
        let (index, signature) = self.with_signature(rule.url(), &first.document).await?;
        let mut beside: Vec<_> = signature.into_iter().collect();
        let Some(products) = self.products_path(rule, &index).await? else {
            let none = File { document: Document::in_memory(Vec::new()), signature: None };
            return self.message(first, SIMPLE_STREAMS, [index, none], beside).await;
        };
        let limit = self.context.client.settings().list_limit;
        let (document, validator) = match self.get(products.url(), None, limit).await? {
            ListAnswer::Body { document, validator, .. } => (document, validator),
            // Without a condition there is no such answer.
            ListAnswer::NotModified { .. } => return Ok((Answer::NotModified, first.date)),
        };
        let digest = Sha256Digest::of(&self.read(&document)?);
        beside.push(DetachedSignature { ending: products.path().to_owned(), digest, validator });
        let (file, signature) = self.with_signature(products.url(), &document).await?;
        beside.extend(
            signature
                .map(|found| DetachedSignature { ending: format!("{}{}", products.path(), found.ending), ..found }),
        );
        self.message(first, SIMPLE_STREAMS, [index, file], beside).await
    }

    /// Requests the first file. The error is the server's time, if neither it nor the files beside it have changed.
    async fn first(
        &self,
        url: &SourceUrl,
        place: impl Fn(&str) -> Option<SourceUrl>,
    ) -> Result<Result<First, Option<Timestamp>>, FetchProblem> {
        let limit = self.context.client.settings().list_limit;
        let validator = self.memory.and_then(|memory| memory.validator.as_ref());
        let mut answer = self.get(url, validator, limit).await?;
        if let ListAnswer::NotModified { date } = answer {
            if self.are_unchanged(place).await? {
                return Ok(Err(date));
            }
            answer = self.get(url, None, limit).await?;
        }
        Ok(match answer {
            ListAnswer::NotModified { date } => Err(date),
            ListAnswer::Body { document, validator, date, came } => Ok(First { document, validator, date, came }),
        })
    }

    /// Whether the files beside the first one are those of the message in force. A file that was removed counts as
    /// unchanged: it is part of the stored message.
    async fn are_unchanged(&self, place: impl Fn(&str) -> Option<SourceUrl>) -> Result<bool, FetchProblem> {
        let limit = self.context.client.settings().list_limit.max(LARGEST_SIGNATURE);
        for before in self.memory.iter().flat_map(|memory| &memory.beside) {
            let Some(url) = place(&before.ending) else { return Ok(false) };
            let same = match self.get_if_there(&url, before.validator.as_ref(), limit).await? {
                Some(ListAnswer::Body { document, .. }) => Sha256Digest::of(&self.read(&document)?) == before.digest,
                Some(ListAnswer::NotModified { .. }) | None => true,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A file with its detached signature, if it is not clear-signed.
    async fn with_signature(
        &self,
        url: &SourceUrl,
        document: &Document,
    ) -> Result<(File, Option<DetachedSignature>), FetchProblem> {
        let document = document.clone();
        let beginning = document.begin(BEGINNING).map_err(|error| FetchProblem::not_kept(url, &error))?;
        if is_clear_signed(&beginning) {
            return Ok((File { document, signature: None }, None));
        }
        for ending in ENDINGS {
            let Some(place) = append(url, ending) else { continue };
            let found = self.signature(&place, ending).await?;
            // Some servers return an HTML page for a file that does not exist.
            if let Some((beside, bytes)) = found.filter(|(_, bytes)| is_openpgp_signature(bytes)) {
                return Ok((File { document, signature: Some(bytes) }, Some(beside)));
            }
        }
        Ok((File { document, signature: None }, None))
    }

    /// A detached signature, if there is one.
    async fn signature(
        &self,
        url: &SourceUrl,
        ending: &str,
    ) -> Result<Option<(DetachedSignature, Vec<u8>)>, FetchProblem> {
        let Some(ListAnswer::Body { document, validator, .. }) =
            self.get_if_there(url, None, LARGEST_SIGNATURE).await?
        else {
            return Ok(None);
        };
        let bytes = self.read(&document)?;
        let digest = Sha256Digest::of(&bytes);
        Ok(Some((DetachedSignature { ending: ending.to_owned(), digest, validator }, bytes)))
    }

    /// Where the products file is; `None` if the index cannot be read, which is reported when it is verified.
    async fn products_path(
        &self,
        rule: &SimpleStreamsRule,
        index: &File,
    ) -> Result<Option<ProductsPath>, FetchProblem> {
        let size = index.document.size().saturating_mul(TIMES_READ);
        let memory = self.context.client.budget().take(&self.checked.key.namespace, size).await;
        let (rule, document, signature) = (rule.clone(), index.document.clone(), index.signature.clone());
        let work = memory.work(move || {
            let bytes = document.read()?;
            let text = unverified_text(SignedFile { text: &bytes, signature: signature.as_deref() });
            Ok(text.ok().and_then(|text| ProductsPath::find(&text, &rule).ok()))
        });
        work.await.map_err(|error: std::io::Error| FetchProblem::not_kept(&self.checked.url, &error))
    }

    /// Joins the files to one message.
    async fn message<const N: usize>(
        &self,
        first: First,
        names: [&'static str; N],
        files: [File; N],
        beside: Vec<DetachedSignature>,
    ) -> Answered {
        let client = &self.context.client;
        let size: u64 = files.iter().map(|file| file.document.size()).sum();
        let memory = client.budget().take(&self.checked.key.namespace, size.saturating_mul(TIMES_JOINED)).await;
        let folder = client.settings().documents.clone();
        let work = memory.work(move || {
            let texts = files.iter().map(|file| file.document.read()).collect::<Result<Vec<_>, _>>()?;
            let signed = texts.iter().zip(&files);
            let signed = signed.map(|(text, file)| SignedFile { text, signature: file.signature.as_deref() });
            let message = write_signed_files(&names.into_iter().zip(signed).collect::<Vec<_>>());
            drop(texts);
            Document::put_by(message, folder.as_deref())
        });
        let document = work.await.map_err(|error| FetchProblem::not_kept(&self.checked.url, &error))?;
        let message = Message { document, validator: first.validator, beside, came: first.came.to_string() };
        Ok((Answer::Message(message), first.date))
    }

    fn read(&self, document: &Document) -> Result<Vec<u8>, FetchProblem> {
        document.read().map_err(|error| FetchProblem::not_kept(&self.checked.url, &error))
    }

    /// A file, if it exists.
    async fn get_if_there(
        &self,
        url: &SourceUrl,
        validator: Option<&Validator>,
        limit: u64,
    ) -> Result<Option<ListAnswer>, FetchProblem> {
        match self.request(url, validator, limit).await? {
            Ok(answer) => Ok(Some(answer)),
            // Any other error does not show whether the file exists.
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(FetchProblem::from(&error)),
        }
    }

    async fn get(
        &self,
        url: &SourceUrl,
        validator: Option<&Validator>,
        limit: u64,
    ) -> Result<ListAnswer, FetchProblem> {
        self.request(url, validator, limit).await?.map_err(|error| FetchProblem::from(&error))
    }

    /// Requests a file, with the credentials of the source if it is on the same server.
    async fn request(
        &self,
        url: &SourceUrl,
        validator: Option<&Validator>,
        limit: u64,
    ) -> Result<Result<ListAnswer, crate::fetch::FetchError>, FetchProblem> {
        let Self { context, checked, memory: _ } = self;
        let trust = &context.settings.trust_directory;
        let source = source(&*context.store, &checked.key.namespace, &checked.origin(), url, trust).await;
        let source = source.map_err(|error| FetchProblem::from(&error))?;
        Ok(context.client.fetch_list(&source, validator, checked.timeout, limit).await)
    }
}

/// The address of a file beside a file of checksums, by its name in the record.
fn address(url: &SourceUrl, signature: Option<&SourceUrl>, ending: &str) -> Option<SourceUrl> {
    match signature {
        Some(signature) if ending == SIGNATURE => Some(signature.clone()),
        // The subscription named another signature before.
        Some(_) => None,
        None => append(url, ending).filter(|_| ending != SIGNATURE),
    }
}

/// The address with an ending after its path.
fn append(url: &SourceUrl, ending: &str) -> Option<SourceUrl> {
    let mut beside = url.url().clone();
    beside.set_path(&format!("{}{ending}", url.url().path()));
    beside.as_str().parse().ok()
}
