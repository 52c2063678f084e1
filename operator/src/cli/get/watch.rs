//! `get --watch`: shows what has changed, until it is stopped.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kube::CustomResourceExt;

use super::{Args, join, objects, parts};
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind, ObjectKey, Resource};
use crate::cli::operation::stop;
use crate::cli::standing::Shown;
use crate::cli::table::{Output, show};
use crate::cli::written;
use crate::store::directory::Directory;
use crate::text::{self, printable_json, printable_lines};

/// How often the folders are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A folder that was changed this short a time before it was read is read once more: another change at the same moment
/// leaves no trace in its time.
const UNSURE: Duration = Duration::from_secs(2);
/// Clears the screen of a terminal (ECMA-48: CUP, ED).
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows objects, and again what has changed, until SIGINT or SIGTERM.
pub(super) fn watch(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = pin!(stop()?);
        let mut watched = Watched::default();
        while watched.look(args, std::io::stdout().is_terminal())? {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What was shown.
#[derive(Default)]
struct Watched {
    folders: Folders,
    /// By kind: a hash of each object.
    objects: BTreeMap<String, BTreeMap<ObjectKey, u64>>,
    /// The kind of the last rows.
    last: Option<String>,
    screen: String,
}

impl Watched {
    /// Shows what has changed since the last look. Returns whether anybody still reads it.
    fn look(&mut self, args: &Args, terminal: bool) -> anyhow::Result<bool> {
        let folders = Folders::below(&args.kept.resources());
        if folders == self.folders && !folders.are_unsure() {
            return Ok(true);
        }
        let (directory, _) = args.kept.open()?;
        self.folders = folders;
        if !terminal {
            return written(self.changes(&directory, args)?.as_bytes());
        }
        let screen = join(args.output, &parts(&directory, args, Shown::All)?)?;
        if screen == self.screen {
            return Ok(true);
        }
        let text = format!("{CLEAR}{}", printable_lines(&screen));
        self.screen = screen;
        written(text.as_bytes())
    }

    fn changes(&mut self, directory: &Directory, args: &Args) -> anyhow::Result<String> {
        let mut text = String::new();
        if args.kind.has(Kind::Target) {
            text.push_str(&self.changes_of::<CloudTarget>(directory, args)?);
        }
        if args.kind.has(Kind::Endorser) {
            text.push_str(&self.changes_of::<Endorser>(directory, args)?);
        }
        if args.kind.has(Kind::Subscription) {
            text.push_str(&self.changes_of::<ImageListSubscription>(directory, args)?);
        }
        if args.kind.has(Kind::Image) {
            text.push_str(&self.changes_of::<CachedImage>(directory, args)?);
        }
        Ok(text)
    }

    /// The objects of one kind that are new or have changed: rows, or one document each. The head of the table comes
    /// before the first row, and again after rows of another kind.
    fn changes_of<K: Resource + CustomResourceExt>(
        &mut self,
        directory: &Directory,
        args: &Args,
    ) -> anyhow::Result<String> {
        let kind = K::kind(&()).into_owned();
        let mut changed = objects::<K>(directory, args, Shown::All);
        let mut now = BTreeMap::new();
        for object in &changed {
            let mut hasher = DefaultHasher::new();
            serde_json::to_string(&**object)?.hash(&mut hasher);
            now.insert(ObjectKey::of(&**object), hasher.finish());
        }
        let before = self.objects.entry(kind.clone()).or_default();
        changed.retain(|object| {
            let key = ObjectKey::of(&**object);
            before.get(&key) != now.get(&key)
        });
        *before = now;
        if changed.is_empty() {
            return Ok(String::new());
        }
        match args.output {
            Output::Table | Output::Wide => {
                let table = show(&changed, args.output == Output::Wide, Timestamp::now())?;
                let has_head = self.last.replace(kind.clone()).is_some_and(|last| last == kind);
                Ok(table.split_inclusive('\n').skip(if has_head { 2 } else { 0 }).collect())
            }
            Output::Json => changed
                .iter()
                .map(|object| Ok(format!("{}\n", printable_json(&serde_json::to_string(&**object)?))))
                .collect(),
            Output::Yaml => changed.iter().map(|object| Ok(format!("---\n{}", text::yaml(&**object)?))).collect(),
            Output::None => Ok(String::new()),
        }
    }
}

/// The folders of the stored objects, with the times of their last changes: files are replaced as a whole, so each write
/// changes the time of its folder.
#[derive(Default, PartialEq, Eq)]
struct Folders(BTreeMap<PathBuf, Option<SystemTime>>);

impl Folders {
    /// The folder `resources`, its namespaces, and their kinds. One that cannot be read has no time.
    fn below(resources: &Path) -> Self {
        let mut folders = BTreeMap::new();
        let mut level = vec![resources.to_owned()];
        for _ in 0..3 {
            let mut next = Vec::new();
            for folder in level {
                next.extend(folders_in(&folder).unwrap_or_default());
                let changed = fs::metadata(&folder).and_then(|about| about.modified()).ok();
                folders.insert(folder, changed);
            }
            level = next;
        }
        Self(folders)
    }

    /// Whether one was changed a moment ago.
    fn are_unsure(&self) -> bool {
        let newest = self.0.values().flatten().max();
        newest.is_some_and(|at| at.elapsed().map_or(true, |elapsed| elapsed < UNSURE))
    }
}

fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    Ok(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect())
}
