//! Reads a list that the command line names: from a file, from standard input, or from a server, with credentials if it
//! needs them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::list_input::{self, ListInput};
use super::operation::list_size;
use crate::fetch::{Client, ClientSettings, Credentials, FetchError, LIST_LIMIT, ListAnswer, Source};
use crate::imagelist::SourceUrl;
use crate::reconcile::credentials_for;
use crate::store::directory::Directory;
use crate::trust::is_openpgp_signature;

/// The largest file with a token or a password, in bytes.
const LARGEST: u64 = 64 * 1024;

/// How a list is read from a server, with its credentials. Secrets are read from files, because every user of the
/// machine can see a command line.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// With a URL: the file that holds the token, which is sent as the user name with the password x-oauth-basic
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "secret"])]
    token_file: Option<PathBuf>,
    /// With a URL: the user name
    #[arg(long, value_name = "NAME", requires = "password_file", conflicts_with = "secret")]
    user: Option<String>,
    /// With --user: the file that holds the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// With --token-file or --user: send the credentials over http too, where anyone on the network path can read them
    #[arg(long)]
    allow_plain_http: bool,
    /// With a URL: the Secret in the folder of manifests that holds the credentials and allows them for this server
    #[arg(long, value_name = "[NAMESPACE/]NAME", requires = "manifests")]
    secret: Option<String>,
    /// The largest size of a list that is fetched, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = LIST_LIMIT, value_parser = list_size())]
    max_list_size: u64,
    /// The folder of manifests, which is only read
    #[arg(long, value_name = "DIR", env = "VMCATCHER_MANIFESTS")]
    manifests: Option<PathBuf>,
}

/// Whether a list is given as an http(s) URL.
pub(super) fn is_url(list: &str) -> bool {
    list.starts_with("http://") || list.starts_with("https://")
}

impl Access {
    /// The same options without credentials, for another server.
    pub(super) fn public(&self) -> Self {
        let (token_file, user, password_file, secret, manifests) = (None, None, None, None, None);
        let (max_list_size, allow_plain_http) = (self.max_list_size, false);
        Self { token_file, user, password_file, allow_plain_http, secret, max_list_size, manifests }
    }

    /// The folder of manifests.
    pub(super) fn manifests(&self) -> Option<&Path> {
        self.manifests.as_deref()
    }

    /// The largest size of a list that is fetched, in bytes.
    pub(super) fn list_limit(&self) -> u64 {
        self.max_list_size
    }

    /// Reads the list from a file, from standard input (`-`), or from a server.
    pub(super) fn read(&self, list: &str) -> anyhow::Result<ListInput> {
        if is_url(list) {
            let url: SourceUrl = list.parse()?;
            let bytes = self.fetch(&url, self.max_list_size)??;
            return Ok(ListInput::of(url, bytes));
        }
        if list.contains("://") {
            bail!("expected a file, or an address that begins with https:// or http://, found {list:?}");
        }
        if self.token_file.is_some() || self.user.is_some() || self.secret.is_some() {
            bail!("{list}: expected a URL with --token-file, --user or --secret, found a file");
        }
        list_input::read(Path::new(list))
    }

    /// The detached signatures of a plain list, if there are any: `.p7s` and `.asc` appended to the file's name, or to
    /// the URL's path.
    pub(super) fn beside(&self, list: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        for ending in [".p7s", ".asc"] {
            if is_url(list) {
                let mut url = list.parse::<SourceUrl>()?.url().clone();
                url.set_path(&format!("{}{ending}", url.path()));
                let page = |bytes: &Vec<u8>| ending == ".asc" && !is_openpgp_signature(bytes);
                match self.fetch(&url.as_str().parse()?, LIST_LIMIT)? {
                    Ok(bytes) => found.extend(Some(bytes).filter(|bytes| !page(bytes))),
                    Err(error) if error.is_absence() => {}
                    Err(error) => return Err(error.into()),
                }
            } else {
                let path = PathBuf::from(format!("{list}{ending}"));
                let read = || std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
                found.extend(path.is_file().then(read).transpose()?);
            }
        }
        Ok(found)
    }

    /// Fetches a URL. The inner error is a failed request; the outer error is any other failure.
    fn fetch(&self, url: &SourceUrl, limit: u64) -> anyhow::Result<Result<Vec<u8>, FetchError>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let credentials = runtime.block_on(self.credentials(url))?;
        let source = Source { credentials, ..Source::public(url.clone()) };
        let client = Client::new(&ClientSettings::default())?;
        match runtime.block_on(client.fetch_list(&source, None, Duration::from_mins(1), limit)) {
            Ok(ListAnswer::Body { document, .. }) => Ok(Ok(document.read()?)),
            Ok(ListAnswer::NotModified { .. }) => bail!("{url}: found `not modified`"),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn credentials(&self, url: &SourceUrl) -> anyhow::Result<Option<Credentials>> {
        if let (Some(secret), Some(manifests)) = (&self.secret, &self.manifests) {
            return of_secret(manifests, secret, url).await.map(Some);
        }
        let credentials = match (&self.token_file, &self.user, &self.password_file) {
            (Some(token), _, _) => Credentials::token(read_secret(token)?),
            (None, Some(user), Some(password)) => {
                Credentials::Basic { username: user.clone().into(), password: read_secret(password)?.into() }
            }
            (None, _, _) => return Ok(None),
        };
        if url.url().scheme() != "https" && !self.allow_plain_http {
            bail!(
                "{url}: expected https: anyone on the way could read the credentials (--allow-plain-http allows that)"
            );
        }
        Ok(Some(credentials))
    }
}

/// The credentials of a Secret in a folder of manifests. The rules are the same as for the Secret of a subscription.
async fn of_secret(manifests: &Path, secret: &str, url: &SourceUrl) -> anyhow::Result<Credentials> {
    let (namespace, name) = secret.split_once('/').unwrap_or(("default", secret));
    Ok(credentials_for(&read_manifests(manifests)?, namespace, name, url).await?)
}

/// Reads a folder of manifests. What is wrong in it is logged.
pub(super) fn read_manifests(folder: &Path) -> anyhow::Result<Directory> {
    let directory = Directory::read(folder, Timestamp::now())?;
    for problem in directory.problems() {
        tracing::warn!("{problem}");
    }
    Ok(directory)
}

/// The content of a small file, without the line end that editors add.
fn read_secret(path: &Path) -> anyhow::Result<String> {
    let shown = || format!("cannot read {}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(shown)?;
    file.take(LARGEST + 1).read_to_string(&mut text).with_context(shown)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || text.len() as u64 > LARGEST || secret.contains(['\r', '\n']) {
        bail!("{}: expected one line with the token or the password", path.display());
    }
    Ok(secret.to_owned())
}
