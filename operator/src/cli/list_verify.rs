//! `list verify`: prints every check of a signed list as a row: the check, what was found, and the source of the rule.

mod findings;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::ArgPredicate;
use jiff::Timestamp;

use self::findings::{Findings, Verdict};
use super::algorithms::Algorithms;
use super::list_input::{read_file, read_keys};
use super::list_source::Access;
use super::list_subscription::{self, Answered, Asked};
use super::{NOT_GOOD, WRONG_USE, print, print_json};
use crate::anchors;
use crate::imagelist::ListFormat;
use crate::reconcile::subscription::{PublishedChecks, RequiredSigners};
use crate::trust::{
    AcceptRequest, AcceptedList, Anchors, Check, CosignKey, Credential, CredentialKind, CrlPolicy, DecryptionKey,
    DistinguishedName, EndorserPolicy, EndorserRule, OpenPgpCredential, Purpose, Refusal, TrustLevel, VerifyRequest,
    accept, decrypt, is_plain_list, join_detached, verify,
};

/// Verifies a signed list and explains every check. Exits with 1 when the list is refused.
#[derive(Debug, clap::Args)]
#[command(mut_arg("list", not_needed_of_a_subscription))]
pub(crate) struct Args {
    #[command(flatten)]
    of: Verification,
    /// Instead of FILE|URL: the ImageListSubscription in the folder of manifests. Its source, of any kind, is asked as the
    /// operator does it, with its Secrets, and verified with its Endorsers or with the signers that options name. Nothing is
    /// changed, and it does not matter what was accepted before.
    #[arg(
        long,
        value_name = "[NAMESPACE/]NAME",
        requires = "manifests",
        conflicts_with_all = [
            "list", "token_file", "user", "password_file", "allow_plain_http", "secret", "decrypt_with", "signature",
        ]
    )]
    subscription: Option<String>,
    /// With --subscription of a repository: required signer: the public key of a file (cosign.pub). Can be given several
    /// times, and with the other options for signers: any one of them.
    #[arg(long, value_name = "FILE", requires = "subscription")]
    cosign_key: Vec<PathBuf>,
    /// Required signer: the certificate's subject, as /DC=org/…/CN=Name or CN=Name,…,DC=org. Can be given several
    /// times: any one of them.
    #[arg(long, value_name = "SUBJECT")]
    endorser: Vec<DistinguishedName>,
    /// Required purpose of the signer's certificate.
    #[arg(long, value_enum, default_value_t = CertificatePurpose::SmimeSign, requires = "endorser")]
    purpose: CertificatePurpose,
    /// Fail if any image of the list was refused. (A list without any usable image always fails.)
    #[arg(long)]
    strict: bool,
    /// Format of the checks.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The list to verify, and the trust settings.
#[derive(Debug, clap::Args)]
pub(super) struct Verification {
    /// The signed list: a file, - for standard input, or an http(s) URL.
    #[arg(value_name = "FILE|URL")]
    pub list: String,
    #[command(flatten)]
    access: Access,
    /// Trust anchors and CRLs: a directory in IGTF layout, or a bundle of certificates.
    #[arg(long, value_name = "DIR", default_value = "/etc/grid-security/certificates")]
    pub trust: PathBuf,
    /// What is required of the CRLs of the CAs on the signer's certification path [default: Require].
    #[arg(long, value_enum)]
    crls: Option<Crls>,
    #[command(flatten)]
    algorithms: Algorithms,
    /// Required signer: the OpenPGP public keys of a file (gpg --armor --export). Can be given several times, and with
    /// --endorser: any one of them.
    #[arg(long, value_name = "FILE")]
    pub openpgp_key: Vec<PathBuf>,
    /// Decrypt an encrypted list with this certificate and key, both in one PEM file.
    #[arg(long, value_name = "FILE")]
    decrypt_with: Option<PathBuf>,
    /// A detached signature of the list (CMS in DER or PEM, OpenPGP) [default: the list's name or address with .p7s and
    /// .asc appended].
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// Verify the list as of this time instead of now, such as 2026-11-22T01:34:05Z.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// What is required of CRLs; spelled as in an Endorser's `crlPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(super) enum Crls {
    /// Every CA must have a valid CRL.
    Require,
    /// A CA may have no CRL, but not an invalid or expired one.
    IfPresent,
    /// CRLs are not checked.
    Ignore,
}

/// The required purpose of a certificate; spelled as in an Endorser's `purpose`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum CertificatePurpose {
    /// emailProtection, if the certificate has an extended key usage.
    #[value(name = "SMIMESign")]
    SmimeSign,
    /// Any purpose, such as that of a host certificate.
    #[value(name = "Any")]
    Any,
}

/// Format of the checks.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// A table.
    Table,
    /// One JSON object.
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let findings = match &args.subscription {
        Some(name) => match of_subscription(args, name)? {
            Ok(findings) => findings,
            Err(wrong_use) => {
                tracing::error!("{wrong_use}");
                return Ok(ExitCode::from(WRONG_USE));
            }
        },
        None => of_list(args)?,
    };
    let verdict = findings.verdict(args.strict);
    match args.output {
        Output::Table => print(&findings.table(verdict))?,
        Output::Json => print_json(&findings.document(verdict))?,
    }
    Ok(if verdict == Verdict::Good { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

/// Verifies the list at FILE or URL.
fn of_list(args: &Args) -> anyhow::Result<Findings> {
    let message = args.of.read()?;
    let (anchors, problems) = anchors::load(&args.of.trust);
    let (checks, outcome) = args.of.judge(&endorsers(args)?, &message, &anchors);
    let (source, at) = (args.of.list.clone(), args.of.time());
    Ok(Findings { source, subscription: None, at, checks, outcome, anchors: problems, endorsers: Vec::new() })
}

/// Verifies what the source of a subscription has now. The inner error is a wrong use of the command.
fn of_subscription(args: &Args, name: &str) -> anyhow::Result<Result<Findings, &'static str>> {
    let manifests = args.of.access.manifests().context("expected --manifests, found none")?;
    let given = endorsers(args)?;
    if given.is_empty() && args.of.crls.is_some() {
        return Ok(Err(
            "expected --crls with --endorser, for a subscription's Endorsers have a crlPolicy of their own",
        ));
    }
    let signers = if given.is_empty() { RequiredSigners::OfSubscription } else { RequiredSigners::AnyOf(given) };
    let asked = Asked {
        name,
        manifests,
        trust: &args.of.trust,
        algorithms: args.of.algorithms.policy(),
        list_limit: args.of.access.list_limit(),
    };
    let Answered { key, published, anchor_problems } = list_subscription::ask(&asked)?;
    let (source, at) = (published.address().to_string(), args.of.time());
    let verified = published.verify(signers, at).with_context(|| format!("ImageListSubscription {key}"))?;
    let PublishedChecks { checks, outcome, unusable, by_certificate } = verified;
    // Keys need no trust anchors, so their users have none.
    let anchors = if by_certificate { anchor_problems } else { Vec::new() };
    Ok(Ok(Findings { source, subscription: Some(key), at, checks, outcome, anchors, endorsers: unusable }))
}

/// The checks in order, and their outcome.
pub(super) type Judged = (Vec<Check>, Result<AcceptedList, Refusal>);

impl Verification {
    /// Reads the signed message: decrypted, or joined with its detached signatures.
    pub(super) fn read(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = self.access.read(&self.list)?.bytes;
        if is_plain_list(&bytes) {
            let mut signatures: Vec<Vec<u8>> =
                self.signature.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?;
            if signatures.is_empty() {
                signatures = self.access.beside(&self.list)?;
            }
            return Ok(if signatures.is_empty() { bytes } else { join_detached(&bytes, &signatures) });
        }
        let Some(path) = &self.decrypt_with else { return Ok(bytes) };
        let pem = read_file(path)?;
        let key = DecryptionKey::from_pem(&pem, &pem).with_context(|| path.display().to_string())?;
        Ok(decrypt(&bytes, Some(&key)).map(std::borrow::Cow::into_owned)?)
    }

    /// Runs all checks. Returns them in order, and their outcome.
    pub(super) fn judge(&self, endorsers: &[EndorserRule], message: &[u8], anchors: &Anchors) -> Judged {
        let at = self.time();
        let policy = if endorsers.is_empty() {
            EndorserPolicy::NotAsked { crl_policy: self.crls().policy() }
        } else {
            EndorserPolicy::Enforce { endorsers, required: NonZeroUsize::MIN }
        };
        let algorithms = self.algorithms.policy();
        let verification = verify(
            message,
            &VerifyRequest { anchors, policy, revoked: &[], algorithms, format: &ListFormat::Hepix, wanted: None, at },
        );
        let mut checks = verification.checks;
        let outcome = verification.outcome.and_then(|list| {
            let request =
                AcceptRequest { identifier: None, last: None, max_list_age: None, accept_list: None, now: at };
            let acceptance = accept(list, &request);
            checks.extend(acceptance.checks);
            acceptance.outcome
        });
        (checks, outcome)
    }

    /// The keys of `--openpgp-key`, as allowed signers.
    pub(super) fn keys(&self) -> anyhow::Result<Vec<EndorserRule>> {
        let mut rules = Vec::new();
        for path in &self.openpgp_key {
            let (keys, _) = read_keys(path)?;
            rules.extend(keys.into_iter().map(|key| {
                let fingerprint = key.fingerprint().clone();
                let (name, key) = (fingerprint.to_string(), Ok(key));
                self.rule("--openpgp-key", name, CredentialKind::OpenPgp(OpenPgpCredential { fingerprint, key }))
            }));
        }
        Ok(rules)
    }

    /// An endorser with one credential.
    pub(super) fn rule(&self, option: &str, name: String, kind: CredentialKind) -> EndorserRule {
        EndorserRule {
            name: option.to_owned(),
            trust: TrustLevel::Trusted,
            crl_policy: self.crls().policy(),
            anchors: None,
            credentials: vec![Credential { name, trust: TrustLevel::Trusted, kind }],
        }
    }

    /// What is required of CRLs.
    pub(super) fn crls(&self) -> Crls {
        self.crls.unwrap_or(Crls::Require)
    }

    /// The time as of which the list is verified.
    pub(super) fn time(&self) -> Timestamp {
        self.at.unwrap_or_else(super::now)
    }
}

/// All allowed signers.
fn endorsers(args: &Args) -> anyhow::Result<Vec<EndorserRule>> {
    let purpose = match args.purpose {
        CertificatePurpose::SmimeSign => Purpose::SmimeSign,
        CertificatePurpose::Any => Purpose::Any,
    };
    let certificate = |subject: &DistinguishedName| {
        let kind = CredentialKind::X509 { subject: subject.clone(), issuer: None, purpose };
        args.of.rule("--endorser", subject.to_string(), kind)
    };
    let mut endorsers: Vec<EndorserRule> = args.endorser.iter().map(certificate).collect();
    endorsers.extend(args.of.keys()?);
    for path in &args.cosign_key {
        let shown = || path.display().to_string();
        let key = CosignKey::read(&String::from_utf8_lossy(&read_file(path)?)).with_context(shown)?;
        endorsers.push(args.of.rule("--cosign-key", key.as_name(), CredentialKind::Cosign(key)));
    }
    Ok(endorsers)
}

/// FILE|URL is not required with `--subscription`.
fn not_needed_of_a_subscription(list: clap::Arg) -> clap::Arg {
    let list = list.required(false).required_unless_present("subscription");
    list.default_value_if("subscription", ArgPredicate::IsPresent, "")
}

impl Crls {
    fn policy(self) -> CrlPolicy {
        match self {
            Self::Require => CrlPolicy::Require,
            Self::IfPresent => CrlPolicy::IfPresent,
            Self::Ignore => CrlPolicy::Ignore,
        }
    }
}
