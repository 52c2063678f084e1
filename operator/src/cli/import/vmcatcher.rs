//! `import vmcatcher`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use url::Url;

use super::{Target, output};
use crate::cache::{SafeName, Volume};
use crate::cli::WRONG_USE;
use crate::fs::read_input;
use crate::import::seed::Seed;
use crate::import::{OpenNebulaHint, vmcatcher};

/// The longest `one_auth`, in bytes.
const LONGEST_AUTH: u64 = 4096;

/// Where a cloud has the volume, if no volume is given.
const VOLUME: &str = "/var/lib/vmcatcher";

/// Arguments of `import vmcatcher`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// vmcatcher's database: a file, or sqlite:///file as vmcatcher's -d takes it
    #[arg(env = "VMCATCHER_RDBMS", hide_env_values = true)]
    database: String,
    /// A folder with images of vmcatcher: its cache, and the one for expired images
    #[arg(long, value_name = "DIR", requires = "volume")]
    cache: Vec<PathBuf>,
    /// The volume that gets the images of the folders --cache. No operator may run on it meanwhile
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
    /// The namespace of the manifests, which alone may use the images
    #[arg(short, long, default_value = "default")]
    namespace: SafeName,
    /// Keep so many bytes free on the volume [default: a twentieth of it, at most 64 MiB]
    #[arg(long, value_name = "BYTES", requires = "cache")]
    min_free: Option<u64>,
    /// The address of the OpenNebula where vmcatcher's handler published images, such as http://localhost:2633/RPC2
    #[arg(long, value_name = "URL", requires = "one_auth")]
    opennebula: Option<Url>,
    /// The file with the log-in user:password of OpenNebula
    #[arg(long, value_name = "FILE", requires = "opennebula")]
    one_auth: Option<PathBuf>,
    /// vmcatcher's command for events: the table says what takes its place
    #[arg(long, value_name = "COMMAND", env = "VMCATCHER_CACHE_EVENT", hide_env_values = true)]
    event: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.volume.is_some() && args.cache.is_empty() && args.opennebula.is_none() {
        tracing::error!("--volume: expected --cache or --opennebula too, found none, so nothing would be done with it");
        return Ok(ExitCode::from(WRONG_USE));
    }
    output::check(&args.target)?;
    let hint = args.opennebula.as_ref().map(|endpoint| hint(args, endpoint)).transpose()?;
    let now = Timestamp::now();
    let vmcatcher::Found { age, mut imported, known } = vmcatcher::read(&file(&args.database)?, now)?;
    tracing::info!("the tables are those of vmcatcher {age}");
    if let Some(hint) = hint {
        hint.add_to(&mut imported);
    }
    if let Some(command) = &args.event {
        imported.tell_event_command(command);
    }
    imported.set_namespace(args.namespace.as_str());
    if let Some(path) = args.volume.as_ref().filter(|_| !args.cache.is_empty()) {
        let volume = Volume::open(path)?;
        let seed = Seed { volume: &volume, namespace: &args.namespace, known: &known, min_free: args.min_free };
        imported.outcomes.extend(seed.take(&args.cache, now)?);
    }
    output::write(&imported, &args.target)
}

/// The file of a database, by its path or by SQLAlchemy's URL (`sqlite:///relative`, `sqlite:////absolute`).
fn file(database: &str) -> anyhow::Result<PathBuf> {
    match database.split_once("://") {
        None => Ok(PathBuf::from(database)),
        Some(("sqlite", path)) if path.starts_with('/') && path.len() > 1 => Ok(PathBuf::from(&path[1..])),
        Some((scheme, _)) => bail!(
            "expected a file or sqlite:///file, found a database of {scheme}; copy its tables into a file of SQLite first"
        ),
    }
}

fn hint(args: &Args, endpoint: &Url) -> anyhow::Result<OpenNebulaHint> {
    if !["http", "https"].contains(&endpoint.scheme()) || !endpoint.username().is_empty() {
        bail!("--opennebula: expected an address of http or https without a user, found another one");
    }
    let path = args.one_auth.as_deref().context("expected --one-auth")?;
    let one_auth = read_auth(path).with_context(|| format!("cannot read {}", path.display()))?;
    let volume = args.volume.as_deref().unwrap_or(Path::new(VOLUME));
    let volume = std::path::absolute(volume).context("--volume")?.display().to_string();
    Ok(OpenNebulaHint { endpoint: endpoint.clone(), one_auth, volume })
}

fn read_auth(path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read_input(path, LONGEST_AUTH)?).context("expected text in UTF-8")?;
    let line = text.trim();
    if !line.contains(':') || line.contains('\n') {
        bail!("expected one line user:password, found another form");
    }
    Ok(line.to_owned())
}
