//! What became of each row or entry that an import found. Pure.

use std::collections::BTreeMap;

/// What became of one row or entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is in this manifest: its kind and name.
    Manifest(String),
    /// It is not needed here, for this reason.
    NotNeeded(String),
    /// A person has to do something: what and why.
    ByHand(String),
}

/// A row or entry, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The table, the file or the folder.
    pub place: String,
    /// The row's id, the entry's name or the file's name.
    pub row: String,
    /// What became of it.
    pub fate: Fate,
}

/// The most rows that are named in one line; the others are counted.
const NAMED: usize = 8;

impl Outcome {
    /// The outcome of a row.
    pub(super) fn new(place: &str, row: impl std::fmt::Display, fate: Fate) -> Self {
        Self { place: place.to_owned(), row: format!("{row}"), fate }
    }
}

impl Fate {
    /// One word for it, and the words that explain it.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Manifest(name) => ("manifest", name),
            Self::NotNeeded(reason) => ("not needed", reason),
            Self::ByHand(reason) => ("by hand", reason),
        }
    }
}

/// The outcomes with rows of the same fate together: place, rows, fate. What is to be done by hand is last.
pub fn grouped(outcomes: &[Outcome]) -> Vec<(String, String, Fate)> {
    let mut groups: BTreeMap<(&Fate, &str), Vec<&str>> = BTreeMap::new();
    for outcome in outcomes {
        groups.entry((&outcome.fate, &outcome.place)).or_default().push(&outcome.row);
    }
    let shown = |rows: &[&str]| match rows.len().saturating_sub(NAMED) {
        0 | 1 => rows.join(", "),
        others => format!("{} and {others} more", rows[..NAMED].join(", ")),
    };
    groups.into_iter().map(|((fate, place), rows)| (place.to_owned(), shown(&rows), fate.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_fate_are_one_line_and_none_is_lost() {
        let old = |row: u64| Outcome::new("ImageInstance", row, Fate::NotNeeded("an older version".to_owned()));
        let mut outcomes: Vec<_> = (0..20).map(old).collect();
        outcomes.push(Outcome::new("endorser", 1, Fate::ByHand("no credential".to_owned())));
        outcomes.push(Outcome::new("endorser", 2, Fate::Manifest("Endorser a".to_owned())));
        let lines = grouped(&outcomes);
        let shown: Vec<_> =
            lines.iter().map(|(place, rows, fate)| (place.as_str(), rows.as_str(), fate.words())).collect();
        assert_eq!(
            shown,
            [
                ("endorser", "2", ("manifest", "Endorser a")),
                ("ImageInstance", "0, 1, 2, 3, 4, 5, 6, 7 and 12 more", ("not needed", "an older version")),
                ("endorser", "1", ("by hand", "no credential")),
            ]
        );
    }
}
