//! The accepted lists of a subscription that the volume keeps, and what each changed. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::shown::{Moment, Text};
use crate::imagelist::{ContentDigest, ImageId, ImageList, ListVersion};

/// The most images that are named for each kind of change.
const MOST: usize = 20;

/// A stored list, as it was read.
pub(super) struct Read {
    pub version: String,
    pub stored: Timestamp,
    /// What it has, or why it cannot be read.
    pub summary: Result<Summary, String>,
}

/// What is compared of a list.
pub(super) struct Summary {
    created: Timestamp,
    images: BTreeMap<ImageId, (ListVersion, ContentDigest, String)>,
}

impl Summary {
    /// Takes from a list what is compared.
    pub(super) fn of(list: ImageList) -> Self {
        let images =
            list.images.into_iter().map(|image| (image.identifier, (image.version, image.digest, image.title)));
        Self { created: list.created, images: images.collect() }
    }
}

/// One list, and what it changed.
pub(super) struct Row {
    pub version: Text,
    pub stored: Moment,
    pub created: Option<Moment>,
    pub images: Option<usize>,
    pub changes: Vec<Change>,
    /// Why it cannot be compared.
    pub trouble: Option<Text>,
    /// Whether there is an older list to compare it with.
    pub is_compared: bool,
}

/// Images that a list added, removed or changed.
pub(super) struct Change {
    pub what: &'static str,
    pub count: usize,
    pub images: Vec<Text>,
    /// Images that are not named.
    pub more: usize,
}

/// The rows of a history, from lists with the newest first.
pub(super) fn rows(lists: &[Read], now: Timestamp) -> Vec<Row> {
    let rows = lists.iter().enumerate().map(|(place, list)| {
        let older = lists.get(place + 1).and_then(|older| older.summary.as_ref().ok());
        let (summary, trouble) = match &list.summary {
            Ok(summary) => (Some(summary), None),
            Err(error) => (None, Some(Text::of(error))),
        };
        Row {
            version: Text::of(&list.version),
            stored: Moment::of(list.stored, now),
            created: summary.map(|summary| Moment::of(summary.created, now)),
            images: summary.map(|summary| summary.images.len()),
            changes: summary.zip(older).map(|(newer, older)| changes(newer, older)).unwrap_or_default(),
            trouble,
            is_compared: summary.is_some() && older.is_some(),
        }
    });
    rows.collect()
}

fn changes(newer: &Summary, older: &Summary) -> Vec<Change> {
    let named = |title: &str, id: &ImageId| if title.is_empty() { id.to_string() } else { title.to_owned() };
    let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (id, (version, digest, title)) in &newer.images {
        match older.images.get(id) {
            None => added.push(format!("{} {version}", named(title, id))),
            Some((before, _, _)) if before != version => {
                changed.push(format!("{} {before} → {version}", named(title, id)));
            }
            Some((_, before, _)) if before != digest => {
                changed.push(format!("{} {version}, with other bytes", named(title, id)));
            }
            Some(_) => {}
        }
    }
    for (id, (version, _, title)) in &older.images {
        if !newer.images.contains_key(id) {
            removed.push(format!("{} {version}", named(title, id)));
        }
    }
    let change = |(what, found): (&'static str, Vec<String>)| Change {
        what,
        count: found.len(),
        more: found.len().saturating_sub(MOST),
        images: found.iter().take(MOST).map(|text| Text::at_most(text, 160)).collect(),
    };
    let all = [("added", added), ("removed", removed), ("changed", changed)];
    all.into_iter().filter(|(_, found)| !found.is_empty()).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imagelist::Sha512Digest;

    fn list(images: &[(&str, &str, u8)]) -> Read {
        let image = |(id, version, byte): &(&str, &str, u8)| {
            let digest = Sha512Digest::from_bytes([*byte; 64]).into();
            (id.parse().unwrap(), (version.parse().unwrap(), digest, format!("Title <{id}>")))
        };
        let summary = Summary { created: Timestamp::UNIX_EPOCH, images: images.iter().map(image).collect() };
        Read { version: "1".to_owned(), stored: Timestamp::UNIX_EPOCH, summary: Ok(summary) }
    }

    #[test]
    fn each_list_is_compared_with_the_one_before() {
        let broken = Read { summary: Err("expected a list".to_owned()), ..list(&[]) };
        let lists = [
            list(&[("a", "2", 2), ("b", "1", 9), ("d", "1", 1)]),
            list(&[("a", "1", 1), ("b", "1", 1), ("c", "1", 1)]),
            broken,
            list(&[("a", "1", 1)]),
        ];
        let rows = rows(&lists, Timestamp::UNIX_EPOCH);
        let said: Vec<String> = rows[0]
            .changes
            .iter()
            .map(|change| {
                let images: Vec<&str> = change.images.iter().map(Text::as_str).collect();
                format!("{} {}: {}", change.count, change.what, images.join("; "))
            })
            .collect();
        assert_eq!(
            said,
            [
                "1 added: Title <d> 1",
                "1 removed: Title <c> 1",
                "2 changed: Title <a> 1 → 2; Title <b> 1, with other bytes"
            ]
        );
        assert!(rows[0].is_compared && !rows[1].is_compared && !rows[2].is_compared && !rows[3].is_compared);
        assert_eq!(rows[2].trouble.as_ref().map(Text::as_str), Some("expected a list"));
    }

    #[test]
    fn many_changes_are_counted_and_some_are_named() {
        let names: Vec<String> = (0..50).map(|number| format!("i{number}")).collect();
        let images: Vec<(&str, &str, u8)> = names.iter().map(|name| (name.as_str(), "1", 1)).collect();
        let rows = rows(&[list(&images), list(&[])], Timestamp::UNIX_EPOCH);
        let added = &rows[0].changes[0];
        assert_eq!((added.count, added.images.len(), added.more), (50, MOST, 30));
    }
}
