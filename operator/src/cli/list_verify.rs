//! `list verify`: prints every check of a signed list as a row: the check, what was found, and the source of the rule.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::json;

use super::algorithms::Algorithms;
use super::list_input::{read_file, read_keys, refused_document, refused_line};
use super::list_source::Access;
use super::table::render;
use super::{print, print_json};
use crate::anchors::{self, AnchorProblem};
use crate::imagelist::ListFormat;
use crate::text::printable;
use crate::trust::{
    AcceptRequest, AcceptedList, Anchors, Check, CheckResult, Credential, CredentialKind, CrlPolicy, DecryptionKey,
    DistinguishedName, EndorserPolicy, EndorserRule, OpenPgpCredential, Purpose, Refusal, TrustLevel, VerifyRequest,
    accept, decrypt, is_plain_list, join_detached, verify,
};

/// Verifies a signed list and explains every check. Exits with 1 when the list is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Verification,
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
    /// What is required of the CRLs of the CAs on the signer's certification path.
    #[arg(long, value_enum, default_value_t = Crls::Require)]
    pub crls: Crls,
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
    let message = args.of.read()?;
    let (anchors, problems) = anchors::load(&args.of.trust);
    let at = args.of.time();
    let (checks, outcome) = args.of.judge(&endorsers(args)?, &message, &anchors);
    let verdict = Verdict::of(&outcome, args.strict);
    match args.output {
        Output::Table => print(&table(&checks, &outcome, &problems, verdict))?,
        Output::Json => print_json(&document(args, at, &checks, &outcome, &problems, verdict))?,
    }
    Ok(if verdict == Verdict::Good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The result of all checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Images were refused, and no usable image is left.
    NoUsableImage,
    /// Images were refused, which `--strict` does not allow.
    ImagesRefused,
    Refused,
}

impl Verdict {
    fn of(outcome: &Result<AcceptedList, Refusal>, strict: bool) -> Self {
        let Ok(list) = outcome else { return Self::Refused };
        let list = list.list();
        match (list.images.is_empty(), list.refused.is_empty()) {
            (true, false) => Self::NoUsableImage,
            (false, false) if strict => Self::ImagesRefused,
            (_, true) | (false, false) => Self::Good,
        }
    }
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
            EndorserPolicy::NotAsked { crl_policy: self.crls.policy() }
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
            crl_policy: self.crls.policy(),
            anchors: None,
            credentials: vec![Credential { name, trust: TrustLevel::Trusted, kind }],
        }
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
    Ok(endorsers)
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

fn table(
    checks: &[Check],
    outcome: &Result<AcceptedList, Refusal>,
    problems: &[AnchorProblem],
    verdict: Verdict,
) -> String {
    let row = |check: &Check| {
        vec![mark(check.result).to_owned(), check.rule.title().into(), check.rule.source().into(), found(check)]
    };
    let table = render(["", "check", "rule", "found"].into_iter(), checks.iter().map(row).collect());
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    lines.extend(problems.iter().map(|problem| format!("! trust anchors: {}", printable(&problem.to_string()))));
    let refused = outcome.as_ref().map(|list| list.list().refused.as_slice()).unwrap_or_default();
    lines.extend(refused.iter().map(|image| format!("! {}", refused_line(image))));
    lines.push(String::new());
    lines.push(last_line(outcome, verdict));
    lines.join("\n") + "\n"
}

fn last_line(outcome: &Result<AcceptedList, Refusal>, verdict: Verdict) -> String {
    let list = match outcome {
        Ok(list) => list.list(),
        Err(refusal) => return format!("Refused: {}", refusal.reason),
    };
    let word = match verdict {
        Verdict::ImagesRefused => "Not good (--strict)",
        Verdict::NoUsableImage => "Not good",
        Verdict::Good | Verdict::Refused => "Good",
    };
    let refused = if list.refused.is_empty() { String::new() } else { format!(", {} refused", list.refused.len()) };
    format!("{word}: {} version {}, {} images{refused}", list.identifier, list.version, list.images.len())
}

fn found(check: &Check) -> String {
    match check.result {
        CheckResult::Passed | CheckResult::Failed => check.found.clone(),
        CheckResult::NotAsked => format!("not asked ({})", check.found),
    }
}

fn mark(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Passed => "✓",
        CheckResult::Failed => "✗",
        CheckResult::NotAsked => "–",
    }
}

fn document(
    args: &Args,
    at: Timestamp,
    checks: &[Check],
    outcome: &Result<AcceptedList, Refusal>,
    problems: &[AnchorProblem],
    verdict: Verdict,
) -> serde_json::Value {
    let result = |result| match result {
        CheckResult::Passed => "Passed",
        CheckResult::Failed => "Failed",
        CheckResult::NotAsked => "NotAsked",
    };
    let check = |check: &Check| {
        json!({
            "rule": check.rule.as_str(),
            "title": check.rule.title(),
            "result": result(check.result),
            "found": check.found,
            "source": check.rule.source(),
        })
    };
    let mut document = json!({
        "source": args.of.list,
        "at": at,
        "good": verdict == Verdict::Good,
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
        "anchorProblems": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    match outcome {
        Ok(list) => document["list"] = list_document(list),
        Err(Refusal { reason, message, subject, depth, .. }) => {
            document["refusal"] =
                json!({"reason": reason.as_str(), "message": message, "subject": subject, "depth": depth});
        }
    }
    document
}

fn list_document(list: &AcceptedList) -> serde_json::Value {
    let read = list.list();
    json!({
        "identifier": read.identifier,
        "version": read.version,
        "created": read.created,
        "expires": read.expires,
        "images": read.images.len(),
        "refused": read.refused.len(),
        "refusedImages": read.refused.iter().map(refused_document).collect::<Vec<_>>(),
        "messageDigest": list.message_digest(),
        "payloadDigest": list.payload_digest(),
        "signers": list.signers(),
    })
}
