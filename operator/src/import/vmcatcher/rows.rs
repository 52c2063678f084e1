//! The rows of the database, as values of their types. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::outcome::{Fate, Outcome};
use super::schema::Part;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// NULL, or no such column.
    Nothing,
    /// An integer.
    Number(i64),
    /// A text in UTF-8 without NUL.
    Text(String),
    /// Anything else: what it is.
    Other(String),
}

/// A row: its table, and its values in the order of [`Part::columns`].
pub(super) struct Row<'a> {
    pub(super) part: Part,
    pub(super) cells: &'a [Cell],
}

/// All rows that are read.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) endorsers: Vec<Endorser>,
    pub(super) credentials: Vec<Credential>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) links: Vec<Link>,
    /// `None` if the database is of the age without them: then all images are cached.
    pub(super) definitions: Option<Vec<Definition>>,
    pub(super) instances: Vec<Instance>,
    pub(super) messages: Vec<Message>,
    /// Rows that cannot be read.
    pub(super) outcomes: Vec<Outcome>,
}

#[derive(Debug)]
pub(super) struct Endorser {
    pub(super) id: i64,
    pub(super) identifier: Option<String>,
}

#[derive(Debug)]
pub(super) struct Credential {
    pub(super) id: i64,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) endorser: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: i64,
    pub(super) identifier: String,
    pub(super) description: Option<String>,
    pub(super) uri: String,
    pub(super) authorised: bool,
    pub(super) latest: Option<i64>,
    /// 0: none, 1: browser, 2: IGTF.
    pub(super) trust_anchor: i64,
    pub(super) user: String,
    pub(super) password: String,
    /// 0: refuse new images, 1: accept them, 3: subscribe to them.
    pub(super) update_mode: i64,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: i64,
    pub(super) subscription: Option<i64>,
    pub(super) endorser: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Definition {
    pub(super) id: i64,
    pub(super) identifier: String,
    pub(super) latest: Option<i64>,
    pub(super) cached: bool,
    pub(super) subscription: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: i64,
    pub(super) sha512: String,
    pub(super) size: Option<u64>,
    pub(super) version: Option<String>,
    /// The definition. `None` in the age without them.
    pub(super) definition: Option<i64>,
    pub(super) message: Option<i64>,
    /// `dc:identifier`, in the age without definitions.
    pub(super) identifier: Option<String>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) expires: Option<Timestamp>,
}

impl Row<'_> {
    fn wrong(&self, place: usize, expected: &str) -> String {
        let found = match &self.cells[place] {
            Cell::Nothing => "nothing".to_owned(),
            Cell::Number(number) => format!("the number {number}"),
            Cell::Text(_) => "another text".to_owned(),
            Cell::Other(found) => found.clone(),
        };
        format!("cannot be read: expected {expected} in {}, found {found}", self.part.columns()[place][0])
    }

    fn text(&self, place: usize) -> Result<String, String> {
        self.maybe_text(place)?.ok_or_else(|| self.wrong(place, "a text"))
    }

    fn maybe_text(&self, place: usize) -> Result<Option<String>, String> {
        match &self.cells[place] {
            Cell::Nothing => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            // A column without a type gives back what was stored, such as the version 1.
            Cell::Number(number) => Ok(Some(number.to_string())),
            Cell::Other(_) => Err(self.wrong(place, "a text")),
        }
    }

    fn number(&self, place: usize) -> Result<i64, String> {
        self.maybe_number(place)?.ok_or_else(|| self.wrong(place, "a number"))
    }

    fn maybe_number(&self, place: usize) -> Result<Option<i64>, String> {
        match &self.cells[place] {
            Cell::Nothing => Ok(None),
            Cell::Number(number) => Ok(Some(*number)),
            Cell::Text(text) => text.trim().parse().map(Some).map_err(|_| self.wrong(place, "a number")),
            Cell::Other(_) => Err(self.wrong(place, "a number")),
        }
    }
}

impl Rows {
    /// Adds a row of the table `table`.
    pub(super) fn add(&mut self, table: &str, row: &Row<'_>) {
        if let Err(reason) = self.take(row) {
            let id = row.number(0).map_or_else(|_| "without an id".to_owned(), |id| id.to_string());
            self.outcomes.push(Outcome::new(table, id, Fate::ByHand(reason)));
        }
    }

    fn take(&mut self, row: &Row<'_>) -> Result<(), String> {
        let id = row.number(0)?;
        match row.part {
            Part::Endorsers => self.endorsers.push(Endorser { id, identifier: row.maybe_text(1)? }),
            Part::Credentials => {
                let (subject, issuer, endorser) = (row.text(1)?, row.text(2)?, row.maybe_number(3)?);
                self.credentials.push(Credential { id, subject, issuer, endorser });
            }
            Part::Subscriptions => self.subscriptions.push(subscription(row, id)?),
            Part::Links => {
                let (subscription, endorser) = (row.maybe_number(1)?, row.maybe_number(2)?);
                self.links.push(Link { id, subscription, endorser });
            }
            Part::Definitions => {
                let (identifier, latest, cache) = (row.text(1)?, row.maybe_number(2)?, row.number(3)?);
                let (cached, subscription) = (cache & 1 == 1, row.maybe_number(4)?);
                let all = self.definitions.get_or_insert_default();
                all.push(Definition { id, identifier, latest, cached, subscription });
            }
            Part::Instances => self.instances.push(instance(row, id)?),
            Part::Messages => {
                let expires = row.maybe_text(2)?.as_deref().and_then(time);
                self.messages.push(Message { id, expires });
            }
        }
        Ok(())
    }
}

fn subscription(row: &Row<'_>, id: i64) -> Result<Subscription, String> {
    // The column's default in the original is the number 0, which is no user name.
    let credential = |place| Ok::<_, String>(row.maybe_text(place)?.filter(|text| text != "0").unwrap_or_default());
    Ok(Subscription {
        id,
        identifier: row.text(1)?,
        description: row.maybe_text(2)?,
        uri: row.text(3)?,
        authorised: row.maybe_number(4)?.unwrap_or(1) != 0,
        latest: row.maybe_number(5)?,
        trust_anchor: row.maybe_number(6)?.unwrap_or_default(),
        user: credential(7)?,
        password: credential(8)?,
        update_mode: row.maybe_number(9)?.unwrap_or_default(),
    })
}

fn instance(row: &Row<'_>, id: i64) -> Result<Instance, String> {
    let size = row.maybe_number(2)?.and_then(|size| u64::try_from(size).ok());
    let (sha512, version) = (row.text(1)?, row.maybe_text(3)?);
    let (definition, message, identifier) = (row.maybe_number(4)?, row.maybe_number(5)?, row.maybe_text(6)?);
    Ok(Instance { id, sha512, size, version, definition, message, identifier })
}

/// A time as SQLAlchemy stores it in SQLite: `2014-01-25 22:20:29.859405`, UTC.
fn time(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
