//! Finds the file of an image in a file of checksums. Pure.

use std::cmp::Ordering;

use super::super::described::{self, Described, DescribedImage, SourceId};
use super::super::json::describe_text;
use super::super::{ListVersion, SourceUrl};
use super::lines::{Sum, Sums};
use super::rule::{ImageRule, VERSION};

/// A file whose name matches.
struct Match<'s> {
    name: &'s str,
    sum: &'s Sum,
    /// The version in its name.
    version: Option<ListVersion>,
}

impl ImageRule {
    /// The image, or why it cannot be used. A file that is not there takes nothing out: only the statement of a list can.
    pub(super) fn describe(&self, list: SourceId, url: &SourceUrl, sums: &Sums) -> Described {
        let outcome = self.find(sums).and_then(|found| self.image(url, found));
        Described { identifier: list.image(&self.name), name: self.name.clone(), outcome }
    }

    /// The file with the greatest version.
    fn find<'s>(&self, sums: &'s Sums) -> Result<Match<'s>, String> {
        let mut newest: Option<Match<'s>> = None;
        let mut other = None;
        for found in sums.files().filter_map(|(name, sum)| self.matches(name, sum)) {
            let order = match (&newest, &found.version) {
                (None, _) => Ordering::Greater,
                (Some(Match { version: Some(before), .. }), Some(version)) => version.compare(before),
                (Some(_), _) => Ordering::Equal,
            };
            match order {
                Ordering::Greater => (newest, other) = (Some(found), None),
                Ordering::Equal => other = Some(found.name),
                Ordering::Less => {}
            }
        }
        match (newest, other) {
            (Some(newest), None) => Ok(newest),
            (Some(newest), Some(other)) => Err(format!(
                "expected one file of the newest version, found {} and {}",
                describe_text(newest.name),
                describe_text(other)
            )),
            (None, _) => Err("expected a file that its pattern matches, found none".to_owned()),
        }
    }

    fn matches<'s>(&self, name: &'s str, sum: &'s Sum) -> Option<Match<'s>> {
        let captures = self.file.captures(name)?;
        let version = captures.name(VERSION).and_then(|version| version.as_str().parse().ok());
        Some(Match { name, sum, version })
    }

    fn image(&self, url: &SourceUrl, found: Match<'_>) -> Result<DescribedImage, String> {
        let Match { name, sum, version } = found;
        let at = |message: String| format!("{}: {message}", describe_text(name));
        if sum.contradicts {
            return Err(at("expected the same digest and size in all lines, found different ones".to_owned()));
        }
        let digest = described::strongest(sum.sha512, sum.sha256).ok_or_else(|| {
            at(format!("expected a SHA-256 or SHA-512 digest, found {} only", sum.other.unwrap_or("another")))
        })?;
        Ok(DescribedImage {
            version: version.map_or_else(|| digest.short(), |version| version.to_string()),
            title: self.title.clone().unwrap_or_else(|| name.to_owned()),
            size: sum.size,
            digest,
            uri: described::beside(url, 1, name)?,
            path: name.to_owned(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            arch: self.arch.clone(),
        })
    }
}
