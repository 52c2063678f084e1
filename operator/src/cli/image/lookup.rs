//! Looks up an image: its versions on the volume, and its accepted lists, verified again. No server is asked.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;

use super::candidates::{Candidate, Candidates, Named};
use crate::anchors::TrustDirectory;
use crate::api::CachedImage;
use crate::cache::{Entries, ImageKey, JobLimits, Volume};
use crate::cli::algorithms::Algorithms;
use crate::cli::kept::Kept;
use crate::events::EventSettings;
use crate::fetch::{Client, ClientSettings};
use crate::imagelist::ImageId;
use crate::reconcile::subscription::{KeptLists, kept_lists};
use crate::reconcile::{Context, KnownVersion, Settings, known, listed};
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;

/// Where images, manifests and trust anchors are.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Lookup {
    /// Only images of this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    kept: Kept,
    /// The folder of manifests, for Secrets and for trust anchors and keys of Endorsers; it is only read [default: none:
    /// what is kept on the volume]
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: Option<PathBuf>,
    /// The trust directory, as the operator has it
    #[arg(long, value_name = "DIR", env = "VMCATCHER_TRUST", default_value = "/etc/grid-security/certificates")]
    trust: PathBuf,
    #[command(flatten)]
    algorithms: Algorithms,
}

/// An image that was found.
pub(super) struct Image {
    /// What a reconciler uses, with the volume opened for reading only.
    pub context: Context<Directory>,
    /// The image.
    pub candidate: Candidate,
    /// Its key on the volume.
    pub key: ImageKey,
    /// Its object, if there is one.
    pub object: Option<Arc<CachedImage>>,
    /// The accepted lists of its subscription; `None` if there is none in force.
    pub lists: Option<KeptLists>,
    /// All versions that are known.
    pub versions: Vec<KnownVersion>,
}

/// The result of a search.
pub(super) enum Search<'t> {
    /// The image, and what follows its name after an `@`.
    Found(Box<Image>, Option<&'t str>),
    /// None has that name. The message has similar names.
    NotFound(String),
}

impl Lookup {
    /// Looks up the image that `text` names.
    pub(super) async fn search<'t>(&self, text: &'t str, now: Timestamp) -> anyhow::Result<Search<'t>> {
        let directory = self.directory(now)?;
        let candidates = Candidates::read(&directory, &self.kept.volume, self.namespace.as_deref())?;
        let (candidate, rest) = match candidates.named(&directory, text)? {
            Named::One(candidate, rest) => (candidate, rest),
            Named::None(message) => return Ok(Search::NotFound(message)),
        };
        let context = self.context(directory)?;
        let key = ImageKey { namespace: candidate.namespace.parse()?, identifier: candidate.identifier.clone() };
        let lists = lists(&context, &candidate, now).await?;
        let Entries { endorsed, expired } = context.volume.entries(&key)?;
        let in_lists = lists.as_ref().map(|lists| listed(&lists.list, &key.identifier)).unwrap_or_default();
        let versions = known(&endorsed, &expired, &in_lists);
        let object = context.store.get::<CachedImage>(&candidate.key());
        Ok(Search::Found(Box::new(Image { context, candidate, key, object, lists, versions }), rest))
    }

    fn directory(&self, now: Timestamp) -> anyhow::Result<Directory> {
        let (kept, _) = self.kept.open()?;
        match &self.manifests {
            Some(manifests) => Ok(Directory::preview(manifests, &self.kept.folder(), now).unwrap_or_else(|error| {
                tracing::warn!("{:#}; only what is kept on the volume is used", anyhow::Error::new(error));
                kept
            })),
            None => Ok(kept),
        }
    }

    fn context(&self, directory: Directory) -> anyhow::Result<Context<Directory>> {
        let volume = Volume::read_only(&self.kept.volume)?;
        let (anchors, problems) = TrustDirectory::open(&self.trust);
        for problem in problems {
            tracing::warn!(path = %problem.path.display(), "{}", problem.message);
        }
        let client = Client::new(&ClientSettings::default())?;
        let settings = Settings {
            instance: String::new(),
            trust_directory: self.trust.clone(),
            algorithms: self.algorithms.policy(),
            // Whether the first signer may be trusted was decided when the list was accepted.
            allow_auto_endorse: true,
            events: EventSettings::default(),
        };
        Ok(Context::new(directory, volume, client, JobLimits::default(), anchors, settings))
    }
}

async fn lists(
    context: &Context<Directory>,
    candidate: &Candidate,
    now: Timestamp,
) -> anyhow::Result<Option<KeptLists>> {
    let Some(subscription) = &candidate.subscription else { return Ok(None) };
    let (key, identifier): (_, &ImageId) = (candidate.key().sibling(subscription), &candidate.identifier);
    let lists = kept_lists(context, &key, identifier, now).await;
    lists.with_context(|| format!("the subscription {key} is not valid"))
}
