//! What `doctor` finds: what is wrong, where, and the command that mends it. Pure.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use crate::text::printable;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Something does not work, or will not.
    Wrong,
    /// Everything works. A person may want to know it all the same.
    Note,
}

/// The part of a site that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    /// The certificate authorities and their CRLs.
    Trust,
    /// The volume.
    Volume,
    /// The folder of manifests.
    Manifests,
    /// The rights of files with secrets.
    Secrets,
    /// The configuration file and the receivers of events.
    Events,
    /// The servers of lists.
    Lists,
    /// The clouds.
    Clouds,
    /// The clock of this machine.
    Clock,
    /// The API server.
    Cluster,
    /// Other programs that the operator runs.
    Programs,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trust => "trust",
            Self::Volume => "volume",
            Self::Manifests => "manifests",
            Self::Secrets => "secrets",
            Self::Events => "events",
            Self::Lists => "lists",
            Self::Clouds => "clouds",
            Self::Clock => "clock",
            Self::Cluster => "cluster",
            Self::Programs => "programs",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The part of the site.
    pub area: Area,
    /// The file, the object or the server.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
    /// The command that mends it, or what a person has to do first.
    pub mend: String,
}

impl Finding {
    /// Something that does not work.
    pub(super) fn wrong(
        area: Area,
        place: impl fmt::Display,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level: Level::Wrong, area, place: place.to_string(), message: message.into(), mend: mend.into() }
    }

    /// Something that a person may want to know.
    pub(super) fn note(
        area: Area,
        place: impl fmt::Display,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level: Level::Note, ..Self::wrong(area, place, message, mend) }
    }
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What was looked at, with what was seen there.
    pub seen: Vec<(Area, String)>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds an area: what was seen of it, and what was found.
    pub(super) fn add(&mut self, area: Area, seen: impl Into<String>, findings: Vec<Finding>) {
        self.seen.push((area, seen.into()));
        self.findings.extend(findings);
    }

    /// Whether nothing is wrong.
    pub(super) fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.level == Level::Note)
    }

    /// The report for people. With `only_findings`, nothing is printed of what is good.
    pub(super) fn text(&self, only_findings: bool) -> String {
        let mut text = String::new();
        for (area, seen) in self.seen.iter().filter(|_| !only_findings) {
            let of_area = self.findings.iter().filter(|finding| finding.area == *area);
            let sign = if of_area.clone().any(|finding| finding.level == Level::Wrong) { "--" } else { "ok" };
            let _ = writeln!(text, "{sign}     {area}: {}", printable(seen));
        }
        for Finding { level, area, place, message, mend } in &self.findings {
            let level = match level {
                Level::Wrong => "WRONG ",
                Level::Note => "note  ",
            };
            let _ = writeln!(text, "{level} {area}: {}: {}", printable(place), printable(message));
            let _ = writeln!(text, "       mend: {}", printable(mend));
        }
        let wrong = self.findings.iter().filter(|finding| finding.level == Level::Wrong).count();
        if !only_findings {
            let _ = writeln!(text, "{wrong} wrong, {} notes", self.findings.len() - wrong);
        }
        text
    }
}
