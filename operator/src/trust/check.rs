//! The checks that were made, with one row for each rule. `list verify` prints them.

use std::fmt;

/// A rule for a message, its signer or its list. The rules are in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The message is signed and can be parsed.
    Message,
    /// Each signature is valid for the text.
    Signature,
    /// Only allowed digests were used.
    Digest,
    /// The signer's certificate has a valid path to a trust anchor at the time of the check.
    Chain,
    /// Every key on the path is strong enough.
    Strength,
    /// No certificate on the path is revoked.
    Revocation,
    /// Each CA on the path signs only within its namespace.
    Namespace,
    /// The OpenPGP key that signed, or its binding, is not revoked by its owner.
    KeyRevocation,
    /// The OpenPGP key that signed is bound to its primary key, may sign, and is within its validity period.
    Key,
    /// The signer is an endorser of the subscription.
    Endorser,
    /// Enough different endorsers signed.
    Endorsements,
    /// The payload is a well-formed image list.
    Shape,
    /// `hv:endorser` names the signer.
    NamedEndorser,
    /// `dc:identifier` is the one that the subscription is pinned to.
    Identifier,
    /// `dc:date:created` is not in the future.
    Created,
    /// `dc:date:expires` is not past.
    Expires,
    /// The list is not older than `maxListAge`.
    Age,
    /// `hv:version` is not lower than the one in force.
    Version,
    /// The message is not an older message that was sent again.
    Replay,
}

impl Rule {
    /// The rule as one word, for programs.
    pub const fn as_str(self) -> &'static str {
        self.texts()[0]
    }

    /// The rule in a few words, for the first column of the table.
    pub const fn title(self) -> &'static str {
        self.texts()[1]
    }

    /// The source of the rule: an RFC, a specification, or a setting.
    pub const fn source(self) -> &'static str {
        self.texts()[2]
    }

    const fn texts(self) -> [&'static str; 3] {
        match self {
            Self::Message => ["Message", "message is signed", "RFC 8551 section 3.5; RFC 9580 sections 7 and 10.3"],
            Self::Signature => ["Signature", "signature fits the text", "RFC 5652 section 5.6; RFC 9580 section 5.2.4"],
            Self::Digest => ["Digest", "digests are allowed", "RFC 8551 section 2.1; --allow-digest"],
            Self::Chain => ["Chain", "signer leads to a trust anchor", "RFC 5280 section 6; RFC 8550 section 4.4"],
            Self::Strength => ["Strength", "keys are long enough", "NIST SP 800-57 part 1; --min-key-strength"],
            Self::Revocation => {
                ["Revocation", "no certificate of the path is revoked", "RFC 5280 section 6.3; crlPolicy"]
            }
            Self::Namespace => ["Namespace", "CAs keep to their namespace", "IGTF signing policy (EACL, namespaces)"],
            Self::KeyRevocation => ["KeyRevocation", "key is not revoked", "RFC 9580 sections 5.2.1.11 to 5.2.1.13"],
            Self::Key => ["Key", "key may sign, and is in its time", "RFC 9580 sections 5.2.1.8 and 10.1"],
            Self::Endorser => ["Endorser", "signer is a trusted endorser", "Endorser credentials"],
            Self::Endorsements => ["Endorsements", "enough endorsers signed", "verify.requiredEndorsements"],
            Self::Shape => ["Shape", "payload is an image list", "HEPiX image list format"],
            Self::NamedEndorser => {
                ["NamedEndorser", "hv:endorser names the signer", "HEPiX hv:endorser (hv:dn, hv:ca)"]
            }
            Self::Identifier => ["Identifier", "dc:identifier is the expected one", "verify.identifier"],
            Self::Created => ["Created", "dc:date:created is not in the future", "HEPiX image list format, dates"],
            Self::Expires => ["Expires", "dc:date:expires is not past", "HEPiX image list format, dates"],
            Self::Age => ["Age", "list is not too old", "verify.maxListAge"],
            Self::Version => ["Version", "hv:version does not go back", "HEPiX hv:version order"],
            Self::Replay => ["Replay", "not an older message again", "last accepted list"],
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// The rule is kept.
    Passed,
    /// The rule is broken. If it concerns one of several signers, the message can still be accepted.
    Failed,
    /// The rule was not checked, because no setting requires it (for example no endorser is given, or no CRLs are
    /// wanted).
    NotAsked,
}

/// One row: a rule, what was found, and the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The rule that was checked. [`Rule::title`] and [`Rule::source`] describe it.
    pub rule: Rule,
    /// What was found.
    pub found: String,
    /// The result.
    pub result: CheckResult,
}

impl Check {
    pub(super) fn passed(rule: Rule, found: impl Into<String>) -> Self {
        Self { rule, found: super::refusal::bounded(found.into()), result: CheckResult::Passed }
    }

    pub(super) fn failed(rule: Rule, found: impl Into<String>) -> Self {
        Self { rule, found: super::refusal::bounded(found.into()), result: CheckResult::Failed }
    }

    pub(super) fn not_asked(rule: Rule, found: impl Into<String>) -> Self {
        Self { rule, found: super::refusal::bounded(found.into()), result: CheckResult::NotAsked }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.result {
            CheckResult::Passed => "✓",
            CheckResult::Failed => "✗",
            CheckResult::NotAsked => "–",
        };
        write!(f, "{mark} {}: {} ({})", self.rule.title(), self.found, self.rule.source())
    }
}
