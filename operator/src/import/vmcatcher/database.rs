//! Reads the SQLite file. It is hostile: it is opened without locks and journals, and nothing in it is executed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, fcntl_lock};

use super::super::error::ImportError;
use super::rows::{Cell, Row, Rows};
use super::schema::{Part, Schema};

/// The largest file.
const LARGEST: u64 = 4 << 30;
/// The most rows of a table.
const ROWS: u64 = 500_000;
/// The most tables, and the most columns of a table, that are looked at.
const TABLES: u32 = 1000;
/// The longest text of a row in bytes. What is read are names, addresses and digests.
const LONGEST: usize = 8192;
/// The longest value that SQLite reads. The messages are longer in no database that was seen, and are not read.
const LONGEST_VALUE: i32 = 16 << 20;
/// The first bytes of the file (SQLite file format, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The characters of a path that are not encoded in a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Reads the schema and the rows.
pub(super) fn read(path: &Path) -> Result<(Schema, Rows), ImportError> {
    let _unchanged = check_file(path)?;
    let database = Database::open(path)?;
    let schema = database.schema()?;
    if let Some(found) = schema.missing() {
        return Err(ImportError::OtherForm { path: path.to_owned(), expected: "the tables of vmcatcher", found });
    }
    let mut rows = Rows::default();
    for part in Part::ALL {
        if let Some((table, columns)) = schema.place(part) {
            if part == Part::Definitions {
                rows.definitions = Some(Vec::new());
            }
            database.rows(part, (table, &columns), &mut rows)?;
        }
    }
    Ok((schema, rows))
}

/// Checks that the file is a database that no other program changes. While the returned file is open, no other program can begin to
/// change it: SQLite uses the same locks of fcntl(2).
fn check_file(path: &Path) -> Result<File, ImportError> {
    let unreadable = ImportError::unreadable(path);
    let about = fs::metadata(path).map_err(&unreadable)?;
    let other = |found: String| ImportError::OtherForm { path: path.to_owned(), expected: "a SQLite database", found };
    if !about.is_file() {
        return Err(other("no regular file".to_owned()));
    }
    if about.len() > LARGEST {
        return Err(ImportError::TooMuch { path: path.to_owned(), most: LARGEST, of: "bytes".to_owned() });
    }
    let mut file = File::open(path).map_err(&unreadable)?;
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == *MAGIC => {}
        Ok(()) => return Err(other("other first bytes".to_owned())),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(other(format!("a file of {} bytes", about.len())));
        }
        Err(error) => return Err(unreadable(error)),
    }
    for (suffix, found) in [
        ("-wal", "found a write-ahead log beside it, whose changes are not in the file"),
        ("-journal", "found a journal beside it: a change was cut off, or is being made"),
    ] {
        let beside = fs::metadata(beside(path, suffix));
        if beside.is_ok_and(|beside| beside.len() > 0) {
            return Err(ImportError::InUse { path: path.to_owned(), found });
        }
    }
    // Where the file system has no locks, none can be held.
    match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(ImportError::InUse { path: path.to_owned(), found: "found it locked by another process" })
        }
        Ok(()) | Err(_) => Ok(file),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

struct Database<'a> {
    path: &'a Path,
    connection: Connection,
}

impl<'a> Database<'a> {
    /// Opens it as a file that does not change, so that SQLite takes no lock and makes no file.
    fn open(path: &'a Path) -> Result<Self, ImportError> {
        let whole = fs::canonicalize(path).map_err(ImportError::unreadable(path))?;
        let encoded = percent_encode(whole.as_os_str().as_encoded_bytes(), PATH);
        let uri = format!("file:{encoded}?mode=ro&immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(uri, flags).and_then(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
            connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
            Ok(connection)
        });
        let connection = opened.map_err(Self::failed(path, "it"))?;
        Ok(Self { path, connection })
    }

    fn failed(path: &Path, what: &str) -> impl Fn(rusqlite::Error) -> ImportError {
        move |error| ImportError::Database { path: path.to_owned(), what: what.to_owned(), message: error.to_string() }
    }

    /// The ordinary tables and their columns. A view or a virtual table with the name of a table is not one.
    fn schema(&self) -> Result<Schema, ImportError> {
        let failed = Self::failed(self.path, "its tables");
        let ask = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 LIMIT ?1";
        let mut names = self.connection.prepare(ask).map_err(&failed)?;
        let names = names.query_map([TABLES], |row| row.get::<_, String>(0)).map_err(&failed)?;
        let mut schema = Schema::default();
        for name in names.collect::<Result<Vec<_>, _>>().map_err(&failed)? {
            let ask = "SELECT name FROM pragma_table_info(?1) LIMIT ?2";
            let mut columns = self.connection.prepare(ask).map_err(&failed)?;
            let columns = columns.query_map((&name, TABLES), |row| row.get::<_, String>(0)).map_err(&failed)?;
            schema.add(&name, columns.collect::<Result<Vec<_>, _>>().map_err(&failed)?);
        }
        Ok(schema)
    }

    /// Adds the rows of a part. The names are those of [`Part`], not of the file.
    fn rows(&self, part: Part, (table, columns): (&str, &[Option<&str>]), rows: &mut Rows) -> Result<(), ImportError> {
        let failed = Self::failed(self.path, table);
        let names: Vec<_> =
            columns.iter().map(|name| name.map_or("NULL".to_owned(), |name| format!("{name:?}"))).collect();
        let ask = format!("SELECT {} FROM {table:?} LIMIT {}", names.join(", "), ROWS + 1);
        let mut statement = self.connection.prepare(&ask).map_err(&failed)?;
        let mut found = statement.query([]).map_err(&failed)?;
        let mut count = 0;
        while let Some(row) = found.next().map_err(&failed)? {
            count += 1;
            if count > ROWS {
                let of = format!("rows of {table}");
                return Err(ImportError::TooMuch { path: self.path.to_owned(), most: ROWS, of });
            }
            let cells: Result<Vec<_>, _> = (0..columns.len()).map(|place| row.get_ref(place).map(cell)).collect();
            rows.add(table, &Row { part, cells: &cells.map_err(&failed)? });
        }
        Ok(())
    }
}

/// A value of SQLite. Any column can have values of any type (SQLite, "Datatypes", section 3).
fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Nothing,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Real(_) => Cell::Other("a number with a fraction".to_owned()),
        ValueRef::Blob(bytes) => Cell::Other(format!("{} bytes that are no text", bytes.len())),
        ValueRef::Text(bytes) if bytes.len() > LONGEST => Cell::Other(format!("a text of {} bytes", bytes.len())),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Cell::Text(text.to_owned()),
            Ok(_) => Cell::Other("a text with NUL".to_owned()),
            Err(_) => Cell::Other("a text that is not UTF-8".to_owned()),
        },
    }
}
