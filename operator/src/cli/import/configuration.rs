//! `import cloudkeeper` and `import atrope`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Target, output};
use crate::import::{atrope, cloudkeeper};

/// Arguments of `import cloudkeeper`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Cloudkeeper {
    /// cloudkeeper.yml
    #[arg(value_name = "FILE")]
    core: PathBuf,
    /// cloudkeeper-one.yml: its OpenNebula becomes a CloudTarget
    #[arg(long, value_name = "FILE")]
    one: Option<PathBuf>,
    /// The volume as OpenNebula's front-end sees it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/vmcatcher", requires = "one")]
    volume: String,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `import atrope`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Atrope {
    /// The file of sources, as hepix_sources in atrope.conf names it
    #[arg(value_name = "FILE")]
    sources: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// Runs `import cloudkeeper`.
pub(super) fn cloudkeeper(args: &Cloudkeeper) -> anyhow::Result<ExitCode> {
    output::check(&args.target)?;
    let imported = cloudkeeper::read(&args.core, args.one.as_deref(), &args.volume)?;
    output::write(&imported, &args.target)
}

/// Runs `import atrope`.
pub(super) fn atrope(args: &Atrope) -> anyhow::Result<ExitCode> {
    output::check(&args.target)?;
    output::write(&atrope::read(&args.sources)?, &args.target)
}
