//! The ages of vmcatcher's schema, and where each keeps what is read. Pure.
//!
//! The original has no migrations: a database keeps the tables of the version that made it, or those that its
//! administrator made by hand as its manual says. So each column is looked for by itself, and the age is only
//! displayed.

use std::collections::{BTreeMap, BTreeSet};

/// The tables of a database, and the columns of each, in lower case: SQLite compares names regardless of case.
#[derive(Debug, Default)]
pub(super) struct Schema {
    tables: BTreeMap<String, BTreeSet<String>>,
}

/// What is read, whatever the tables are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Endorsers,
    Credentials,
    Subscriptions,
    Links,
    /// The images that a subscription has, and which of them are cached. Versions before 0.1.0 have none.
    Definitions,
    /// The images in each message.
    Instances,
    /// The messages.
    Messages,
}

impl Part {
    pub(super) const ALL: [Self; 7] = [
        Self::Endorsers,
        Self::Credentials,
        Self::Subscriptions,
        Self::Links,
        Self::Definitions,
        Self::Instances,
        Self::Messages,
    ];

    /// The names of the table, the newest first.
    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Endorsers => &["endorser"],
            Self::Credentials => &["endorserPrincible", "endorser_princible"],
            Self::Subscriptions => &["subscription"],
            Self::Links => &["subscriptionAuth", "subscription_auth"],
            Self::Definitions => &["ImageDefinition"],
            Self::Instances => &["ImageInstance", "image"],
            Self::Messages => &["imageListInstance", "imagelist"],
        }
    }

    /// What is read of each row, each with the names of its column, the newest first. The id is the first.
    pub(super) fn columns(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Endorsers => &[&["id"], &["identifier"]],
            Self::Credentials => &[&["id"], &["hv_dn"], &["hv_ca"], &["endorser"]],
            Self::Subscriptions => &[
                &["id"],
                &["identifier", "uuid"],
                &["description"],
                &["uri", "url"],
                &["authorised"],
                &["imagelist_latest"],
                &["trustAnchor"],
                &["userName"],
                &["password"],
                &["updateMode"],
            ],
            Self::Links => &[&["id"], &["subscription"], &["endorser"]],
            Self::Definitions => &[&["id"], &["identifier"], &["latest"], &["cache"], &["subscription"]],
            Self::Instances => &[
                &["id"],
                &["sha512"],
                &["size"],
                &["version"],
                &["fkIdentifier"],
                &["fkimagelistinstance", "imagelist"],
                &["identifier"],
            ],
            Self::Messages => &[&["id"], &["sub_auth"], &["expires"]],
        }
    }

    /// The columns without which a row says nothing, by their place in [`Part::columns`].
    fn needed(self) -> &'static [usize] {
        match self {
            Self::Credentials => &[0, 1, 2, 3],
            Self::Subscriptions => &[0, 1, 3],
            Self::Links => &[0, 1, 2],
            Self::Definitions => &[0, 1, 2, 3, 4],
            Self::Endorsers | Self::Instances => &[0, 1],
            Self::Messages => &[0],
        }
    }
}

impl Schema {
    /// Adds a table.
    pub(super) fn add(&mut self, table: &str, columns: impl IntoIterator<Item = String>) {
        let columns = columns.into_iter().map(|column| column.to_lowercase()).collect();
        self.tables.insert(table.to_lowercase(), columns);
    }

    /// The table of a part, and for each of its columns the name. `None` if there is no such table.
    pub(super) fn place(&self, part: Part) -> Option<(&'static str, Vec<Option<&'static str>>)> {
        let table = part.tables().iter().find(|table| self.tables.contains_key(&table.to_lowercase()))?;
        let known = self.tables.get(&table.to_lowercase())?;
        let name =
            |names: &&'static [&'static str]| names.iter().copied().find(|name| known.contains(&name.to_lowercase()));
        Some((table, part.columns().iter().map(name).collect()))
    }

    /// What is missing for a database of vmcatcher. `None` if nothing is.
    pub(super) fn missing(&self) -> Option<String> {
        let always = [Part::Endorsers, Part::Credentials, Part::Subscriptions, Part::Links];
        if let Some(part) = always.into_iter().find(|part| self.place(*part).is_none()) {
            return Some(format!("no table {}", part.tables()[0]));
        }
        Part::ALL.into_iter().find_map(|part| {
            let (table, columns) = self.place(part)?;
            let missing = part.needed().iter().find(|place| columns[**place].is_none())?;
            Some(format!("no column {} in the table {table}", part.columns()[*missing][0]))
        })
    }

    fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(&table.to_lowercase()).is_some_and(|columns| columns.contains(&column.to_lowercase()))
    }

    /// Which versions of vmcatcher make such tables.
    pub(super) fn age(&self) -> &'static str {
        if self.has("subscription", "updateMode") {
            "0.5.0 to 0.6.3"
        } else if self.has("subscription", "trustAnchor") {
            "0.4.0 to 0.4.3"
        } else if self.has("imageListInstance", "version") {
            "0.1.20 to 0.3.8"
        } else if self.has("ImageDefinition", "identifier") {
            "0.1.0 to 0.1.19, hepixvmilsubscriber"
        } else {
            "before 0.1.0, hepixvmilsubscriber"
        }
    }
}
