//! `endorser from-list`: prints an Endorser manifest for the signer of a list. A person must check it before it is
//! used.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::Timestamp;

use super::list_input::read_keys;
use super::list_verify::{Crls, Verification};
use super::{NOT_GOOD, WRONG_USE, print};
use crate::anchors;
use crate::text::printable;
use crate::trust::{AcceptedList, Anchors, CredentialKind, Purpose, Refusal, RefusalReason, Signer};

/// The commands of `endorser`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Verify a list, and print an Endorser for its signer. Check it before you use it
    FromList(FromList),
}

/// Arguments of `endorser from-list`.
#[derive(Debug, clap::Args)]
pub(super) struct FromList {
    #[command(flatten)]
    of: Verification,
    /// The name of the Endorser [default: from the signer's name]
    #[arg(long)]
    name: Option<String>,
}

/// Runs the command.
pub(super) fn run(Args::FromList(args): &Args) -> anyhow::Result<ExitCode> {
    if let Some(name) = args.name.as_ref().filter(|name| object_name(name).as_ref() != Some(*name)) {
        tracing::error!("expected a name of lower-case letters, digits and -, found {name:?}");
        return Ok(ExitCode::from(WRONG_USE));
    }
    let message = args.of.read()?;
    let (anchors, problems) = anchors::load(&args.of.trust);
    for problem in problems {
        tracing::warn!("trust anchors: {problem}");
    }
    let list = match judge(args, &message, &anchors)? {
        Ok(list) => list,
        Err(refusal) => {
            tracing::error!("Refused: {refusal}; `list verify` explains every check");
            return Ok(ExitCode::from(NOT_GOOD));
        }
    };
    let mut text = String::new();
    for (place, signer) in list.signers().iter().enumerate() {
        text += &manifest(args, &list, signer, place, &message, &anchors)?;
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Verifies the list, with the given keys or for any signer. A signer whose certificate is not for S/MIME signing is
/// accepted too.
fn judge(args: &FromList, message: &[u8], anchors: &Anchors) -> anyhow::Result<Result<AcceptedList, Refusal>> {
    let judged = args.of.judge(&args.of.keys()?, message, anchors).1;
    let other_purpose = |refusal: &&Refusal| refusal.reason == RefusalReason::PurposeMismatch;
    let name = judged.as_ref().err().filter(other_purpose).and_then(|refusal| refusal.subject.clone());
    let Some(name) = name else { return Ok(judged) };
    let Ok(subject) = name.parse() else { return Ok(judged) };
    let kind = CredentialKind::X509 { subject, issuer: None, purpose: Purpose::Any };
    Ok(args.of.judge(&[args.of.rule("from-list", name, kind)], message, anchors).1)
}

/// The Endorser manifest of one signer.
fn manifest(
    args: &FromList,
    list: &AcceptedList,
    signer: &Signer,
    place: usize,
    message: &[u8],
    anchors: &Anchors,
) -> anyhow::Result<String> {
    let (name, at) = (name(args, signer, place), args.of.time());
    let mut text = comment(args, list, signer, at);
    let _ = write!(text, "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata:\n  name: {}\n", scalar(&name)?);
    let _ = write!(text, "spec:\n  credentials:\n    - name: since-{}\n", at.strftime("%Y"));
    if signer.issuer.is_empty() {
        let (fingerprint, armour) = key(args, &signer.subject)?;
        let _ = write!(text, "      openPGP:\n        fingerprint: {}\n        publicKey: |\n", scalar(&fingerprint)?);
        for line in armour.lines() {
            let _ = writeln!(text, "          {line}");
        }
    } else {
        let (subject, issuer) = (scalar(&signer.subject)?, scalar(&signer.issuer)?);
        let _ = write!(text, "      x509:\n        subject: {subject}\n        issuer: {issuer}\n");
        if !signs_mail(args, signer, message, anchors)? {
            text += "        purpose: Any # the certificate is not made for signing mail\n";
        }
    }
    match args.of.crls() {
        Crls::Require => {}
        Crls::IfPresent => text += "  crlPolicy: IfPresent\n",
        Crls::Ignore => text += "  crlPolicy: Ignore\n",
    }
    Ok(text)
}

/// The comment above the manifest: what the user must check.
fn comment(args: &FromList, list: &AcceptedList, signer: &Signer, at: Timestamp) -> String {
    let proof = if signer.issuer.is_empty() {
        "the OpenPGP key below".to_owned()
    } else {
        format!("the certificate below, which leads to an authority of {}", args.of.trust.display())
    };
    let end = signer.not_after.map(|end| format!("# It ends at {end:.0}.\n")).unwrap_or_default();
    format!(
        "---\n# CHECK THIS BEFORE YOU USE IT. At {at:.0} the list {} (version {}) of\n# {}\n# was signed by {}.\n# That this \
         signer is the one who is to publish the list is for you to say: ask the publisher\n# on another way than the one \
         on which the list came.\n{end}",
        list.list().identifier,
        printable(list.list().version.as_str()),
        printable(args.of.list.split('?').next().unwrap_or_default()),
        printable(&proof),
    )
}

/// Whether the list is also accepted if the certificate must be for S/MIME signing. The operator applies the same
/// check. Fails if the list is not accepted for its own signer.
fn signs_mail(args: &FromList, signer: &Signer, message: &[u8], anchors: &Anchors) -> anyhow::Result<bool> {
    let judged = |purpose| -> anyhow::Result<Result<AcceptedList, Refusal>> {
        let (subject, issuer) = (signer.subject.parse()?, Some(signer.issuer.parse()?));
        let kind = CredentialKind::X509 { subject, issuer, purpose };
        let rule = args.of.rule("from-list", signer.subject.clone(), kind);
        Ok(args.of.judge(&[rule], message, anchors).1)
    };
    match judged(Purpose::SmimeSign)? {
        Ok(_) => return Ok(true),
        Err(refusal) if refusal.reason == RefusalReason::PurposeMismatch => {}
        Err(refusal) => bail!("the manifest does not accept the list's own signer: {refusal}"),
    }
    judged(Purpose::Any)?
        .map(|_| false)
        .map_err(|refusal| anyhow::anyhow!("the manifest does not accept its own signer: {refusal}"))
}

/// The fingerprint of an OpenPGP signer, and its armored key from the files of `--openpgp-key`.
fn key(args: &FromList, subject: &str) -> anyhow::Result<(String, String)> {
    for path in &args.of.openpgp_key {
        let (keys, bytes) = read_keys(path)?;
        if let Some(key) = keys.iter().find(|key| key.fingerprint().as_name() == subject) {
            return Ok((key.fingerprint().to_string(), armour(path, bytes)?));
        }
    }
    bail!("expected the key {subject} in a file of --openpgp-key, found none")
}

fn armour(path: &Path, bytes: Vec<u8>) -> anyhow::Result<String> {
    let text = String::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    text.with_context(|| {
        format!("{}: expected a key in armour (gpg --armor --export), found another form", path.display())
    })
}

/// The given name, or one made from the last part of the signer's name. Further signers get a number.
fn name(args: &FromList, signer: &Signer, place: usize) -> String {
    let last = || signer.subject.rsplit(['=', ':']).next().and_then(object_name);
    let name = args.name.clone().or_else(last).unwrap_or_else(|| "endorser".to_owned());
    if place == 0 { name } else { format!("{name}-{}", place + 1) }
}

/// Makes the name of an object from a text: `Erin Endorser` becomes `erin-endorser`. `None` if no character can be
/// used.
fn object_name(text: &str) -> Option<String> {
    const LONGEST: usize = 60;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").to_ascii_lowercase().chars().take(LONGEST).collect();
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

fn scalar(text: &str) -> anyhow::Result<String> {
    Ok(serde_yaml::to_string(text)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signers_name_becomes_an_objects() {
        for (text, name) in [
            ("Erin Endorser", Some("erin-endorser")),
            ("appdb.egi.eu", Some("appdb-egi-eu")),
            ("  -- ", None),
            ("Jörg", Some("j-rg")),
            ("a".repeat(99).as_str(), Some("a".repeat(60).as_str())),
        ] {
            assert_eq!(object_name(text).as_deref(), name, "{text}");
        }
    }
}
