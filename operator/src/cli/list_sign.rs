//! `list sign`: signs a list, for small publishers and for tests.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use secrecy::SecretString;

use super::list_input::{self, read_file};
use super::print_bytes;
use crate::fs::{remove_leftovers_in, write_atomic};
use crate::imagelist::ImageList;
use crate::trust::{DistinguishedName, Fingerprint, SecretKey, SignatureForm, SigningKey, sign, sign_openpgp};

/// The environment variable with the password of the secret OpenPGP key.
const PASSWORD: &str = "VMCATCHER_OPENPGP_PASSWORD";

/// Signs a list as S/MIME (multipart/signed, SHA-256) or with OpenPGP (clear-signed). The list must be valid, and its
/// hv:endorser must name the certificate, because sites refuse all other lists.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The list's JSON; - is standard input.
    file: PathBuf,
    /// The signer's certificate in PEM; intermediates may follow it.
    #[arg(long, value_name = "FILE", requires = "key", required_unless_present = "openpgp_key")]
    cert: Option<PathBuf>,
    /// The certificate's key in PEM, without a pass phrase.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The certificates between the signer and its root, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    chain: Option<PathBuf>,
    /// A secret OpenPGP key (gpg --export-secret-keys --armor). The newest subkey that may sign is used, otherwise the
    /// key itself. If the key has a password, it is read from VMCATCHER_OPENPGP_PASSWORD.
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    openpgp_key: Option<PathBuf>,
    /// Write the OpenPGP signature alone, to be published beside the list as <list>.asc.
    #[arg(long, requires = "openpgp_key")]
    detached: bool,
    /// The file for the signed list [default: standard output].
    #[arg(short, long, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let input = list_input::read(&args.file)?;
    if input.is_signed() {
        bail!("{}: expected the JSON of a list, found a message that is signed already", args.file.display());
    }
    let text = input.into_text()?;
    let list = ImageList::parse(&text).with_context(|| args.file.display().to_string())?;
    let message = match (&args.openpgp_key, &args.cert, &args.key) {
        (Some(path), _, _) => by_openpgp_key(args, path, &text, &list)?,
        (None, Some(certificate), Some(key)) => by_certificate(args, certificate, key, &text, &list)?,
        (None, _, _) => bail!("expected --cert and --key, or --openpgp-key"),
    };
    match &args.output {
        Some(path) => write(path, &message)?,
        None => print_bytes(&message)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn by_certificate(
    args: &Args,
    certificate: &Path,
    key: &Path,
    text: &[u8],
    list: &ImageList,
) -> anyhow::Result<Vec<u8>> {
    let chain = args.chain.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let signing = SigningKey::from_pem(&read_file(certificate)?, &read_file(key)?, &chain)?;
    check_named(list, &signing)?;
    Ok(sign(text, &signing)?)
}

fn by_openpgp_key(args: &Args, path: &Path, text: &[u8], list: &ImageList) -> anyhow::Result<Vec<u8>> {
    let password = std::env::var(PASSWORD).ok().map(SecretString::from);
    let now = Timestamp::now();
    let key = SecretKey::read(&read_file(path)?, password.as_ref(), now)?;
    check_fingerprint(list, &key)?;
    let form = if args.detached { SignatureForm::Detached } else { SignatureForm::Clear };
    Ok(sign_openpgp(text, &key, form, now)?)
}

/// A fingerprint in hv:dn must be one of the key's. An hv:dn with the name of a certificate is not checked.
fn check_fingerprint(list: &ImageList, key: &SecretKey) -> anyhow::Result<()> {
    let mut named = list.endorsers.iter().filter_map(|named| named.subject.parse::<Fingerprint>().ok()).peekable();
    if named.peek().is_none() || named.any(|named| key.fingerprints().contains(&&named)) {
        return Ok(());
    }
    let expected = key.fingerprint().as_name();
    bail!("expected hv:endorser with hv:dn {expected}: sites refuse a list that names another key")
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

/// Replaces the signed list atomically: a site that fetches it at the same time gets the old list or the new one.
fn write(path: &Path, message: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = remove_leftovers_in(folder) {
        tracing::debug!(%error, "a temporary file of an earlier run stays");
    }
    write_atomic(path, message, 0o644).with_context(|| format!("cannot write {}", path.display()))
}
