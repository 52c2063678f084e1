//! `list sign`: signs a list, for small publishers and for trying things out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::list_input;
use crate::imagelist::ImageList;
use crate::trust::{DistinguishedName, SigningKey, sign};

/// Signs a list as S/MIME (multipart/signed, SHA-256). The list must be one that sites can read, and its hv:endorser
/// must name the certificate: sites refuse everything else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The list's JSON; - is standard input.
    file: PathBuf,
    /// The signer's certificate in PEM; intermediates may follow it.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The certificate's key in PEM, without a pass phrase.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The certificates between the signer and its root, in PEM.
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Where to write the signed list; standard output where it is not given.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let input = list_input::read(&args.file)?;
    if input.is_signed() {
        bail!("{}: expected the JSON of a list, found a message that is signed already", args.file.display());
    }
    let text = input.into_text()?;
    let list = ImageList::parse(&text).with_context(|| args.file.display().to_string())?;
    let chain = args.chain.as_deref().map(read).transpose()?.unwrap_or_default();
    let signing = SigningKey::from_pem(&read(&args.cert)?, &read(&args.key)?, &chain)?;
    check_named(&list, &signing)?;
    let message = sign(&text, &signing)?;
    match &args.out {
        Some(path) => write(path, &message)?,
        None => list_input::print(&message)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check_named(list: &ImageList, signing: &SigningKey) -> anyhow::Result<()> {
    let (subject, issuer) = (signing.subject()?, signing.issuer()?);
    let is = |text: &str, name: &DistinguishedName| text.parse::<DistinguishedName>().is_ok_and(|read| read == *name);
    if list.endorsers.iter().any(|named| is(&named.subject, &subject) && is(&named.issuer, &issuer)) {
        return Ok(());
    }
    bail!(
        "expected hv:endorser with hv:dn {subject} and hv:ca {issuer}: sites refuse a list that does not name its signer"
    )
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A signed list is replaced as a whole: a site that fetches it meanwhile gets the old one or the new one.
fn write(path: &Path, message: &[u8]) -> anyhow::Result<()> {
    crate::cache::write_atomic(path, message, 0o644).with_context(|| format!("cannot write {}", path.display()))
}
