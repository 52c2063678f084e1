//! Conditions: made from the findings of a pass and merged with the previous conditions. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::time;
use crate::text::printable;

/// The maximum length of a condition's message, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// The result of a pass for one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The type, such as `Ready`.
    pub name: &'static str,
    /// `True`, `False`, or `Unknown` while nothing is known yet.
    pub status: Status,
    /// The reason: one word.
    pub reason: String,
    /// What was expected and what was found.
    pub message: String,
}

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The condition is true.
    True,
    /// The condition is false.
    False,
    /// It is not known yet.
    Unknown,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Finding {
    /// A condition with the status `True`.
    pub(super) fn holds(name: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name, status: Status::True, reason: reason.into(), message: message.into() }
    }

    /// A condition with the status `False`.
    pub(super) fn fails(name: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name, status: Status::False, reason: reason.into(), message: message.into() }
    }

    /// A condition with the status `Unknown`.
    pub(super) fn unknown(name: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name, status: Status::Unknown, reason: reason.into(), message: message.into() }
    }
}

/// The condition of a request on a suspended object. The request is handled when the object is resumed.
pub(super) fn request_ignored(request: &str) -> Finding {
    let message = format!("the request {request:?} is ignored while this is suspended; it is acted on when that ends");
    Finding::holds("RequestIgnored", "Suspended", message)
}

/// The conditions after a pass: one for each finding. The transition time stays if the status is unchanged.
pub(super) fn merge(
    before: &[Condition],
    findings: Vec<Finding>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    findings.into_iter().map(|finding| condition(before, finding, generation, now)).collect()
}

fn condition(before: &[Condition], finding: Finding, generation: Option<i64>, now: Timestamp) -> Condition {
    let status = finding.status.as_str();
    let unchanged = before.iter().find(|old| old.type_ == finding.name && old.status == status);
    Condition {
        type_: finding.name.to_owned(),
        status: status.to_owned(),
        last_transition_time: unchanged.map_or_else(|| time(now), |old| old.last_transition_time.clone()),
        reason: finding.reason,
        message: message(&finding.message, LONGEST_MESSAGE),
        observed_generation: generation,
    }
}

/// A message for people: one line, printable on terminals, at most `most` bytes.
pub(super) fn message(text: &str, most: usize) -> String {
    shorten(&printable(text), most)
}

/// Cuts a text to at most `most` bytes, at a character boundary. Adds an ellipsis if something was cut.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// The type of the condition that is set while the local clock may be wrong.
pub(in crate::reconcile) const DOUBTED: &str = "ClockSkewDetected";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = merge(&[], vec![Finding::fails("Ready", "FetchFailed", "no route")], Some(1), at(10));
        let second = merge(&first, vec![Finding::fails("Ready", "Timeout", "60 s")], Some(2), at(20));
        assert_eq!((second[0].last_transition_time.0, second[0].reason.as_str()), (at(10), "Timeout"));
        let third = merge(&second, vec![Finding::holds("Ready", "Succeeded", "")], Some(2), at(30));
        assert_eq!(third[0].last_transition_time.0, at(30));
        assert_eq!(merge(&third, vec![], Some(2), at(40)), vec![]);
    }

    #[test]
    fn messages_are_on_one_line_and_printable() {
        let told = merge(&[], vec![Finding::fails("Ready", "FetchFailed", "a\nb\u{1b}[2J\u{202e}")], None, at(10));
        assert_eq!(told[0].message, "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(message(&"\n".repeat(9), 9), "\\n\\n\\n…");
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        let long = "é".repeat(2000);
        let cut = shorten(&long, 1024);
        assert!(cut.len() <= 1024 && cut.ends_with('…'), "{}", cut.len());
        assert_eq!(shorten("short", 1024), "short");
    }
}
