//! What `list verify` found, as a table and as JSON.

use jiff::Timestamp;
use serde_json::json;

use crate::anchors::AnchorProblem;
use crate::api::ObjectKey;
use crate::cli::list_input::{refused_document, refused_line};
use crate::cli::table::render;
use crate::text::printable;
use crate::trust::{AcceptedList, Check, CheckResult, Refusal};

/// Everything that was found about a list.
pub(super) struct Findings {
    /// Where the list is.
    pub source: String,
    /// The subscription whose source it is.
    pub subscription: Option<ObjectKey>,
    /// The time as of which it was verified.
    pub at: Timestamp,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// Their outcome.
    pub outcome: Result<AcceptedList, Refusal>,
    /// The files of the trust directory that cannot be used.
    pub anchors: Vec<AnchorProblem>,
    /// The Endorsers that cannot be used, each with the reason.
    pub endorsers: Vec<String>,
}

/// The result of all checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Images were refused, and no usable image is left.
    NoUsableImage,
    /// Images were refused, which `--strict` does not allow.
    ImagesRefused,
    Refused,
}

impl Findings {
    /// The result. With `strict`, no image may have been refused.
    pub(super) fn verdict(&self, strict: bool) -> Verdict {
        let Ok(list) = &self.outcome else { return Verdict::Refused };
        let list = list.list();
        match (list.images.is_empty(), list.refused.is_empty()) {
            (true, false) => Verdict::NoUsableImage,
            (false, false) if strict => Verdict::ImagesRefused,
            (_, true) | (false, false) => Verdict::Good,
        }
    }

    /// A row for each check, the problems, and the result.
    pub(super) fn table(&self, verdict: Verdict) -> String {
        let row = |check: &Check| {
            vec![mark(check.result).to_owned(), check.rule.title().into(), check.rule.source().into(), found(check)]
        };
        let table = render(["", "check", "rule", "found"].into_iter(), self.checks.iter().map(row).collect());
        let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
        lines
            .extend(self.anchors.iter().map(|problem| format!("! trust anchors: {}", printable(&problem.to_string()))));
        lines.extend(self.endorsers.iter().map(|problem| format!("! endorsers: {}", printable(problem))));
        let refused = self.outcome.as_ref().map(|list| list.list().refused.as_slice()).unwrap_or_default();
        lines.extend(refused.iter().map(|image| format!("! {}", refused_line(image))));
        lines.push(String::new());
        lines.push(self.last_line(verdict));
        lines.join("\n") + "\n"
    }

    fn last_line(&self, verdict: Verdict) -> String {
        let list = match &self.outcome {
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

    /// One JSON object.
    pub(super) fn document(&self, verdict: Verdict) -> serde_json::Value {
        let mut document = json!({
            "source": self.source,
            "at": self.at,
            "good": verdict == Verdict::Good,
            "checks": self.checks.iter().map(check_document).collect::<Vec<_>>(),
            "anchorProblems": self.anchors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        if let Some(ObjectKey { namespace, name }) = &self.subscription {
            document["subscription"] = json!({"namespace": namespace, "name": name});
            document["endorserProblems"] = json!(self.endorsers);
        }
        match &self.outcome {
            Ok(list) => document["list"] = list_document(list),
            Err(Refusal { reason, message, subject, depth, .. }) => {
                document["refusal"] =
                    json!({"reason": reason.as_str(), "message": message, "subject": subject, "depth": depth});
            }
        }
        document
    }
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

fn check_document(check: &Check) -> serde_json::Value {
    let result = match check.result {
        CheckResult::Passed => "Passed",
        CheckResult::Failed => "Failed",
        CheckResult::NotAsked => "NotAsked",
    };
    json!({
        "rule": check.rule.as_str(),
        "title": check.rule.title(),
        "result": result,
        "found": check.found,
        "source": check.rule.source(),
    })
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
