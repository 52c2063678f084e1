//! A file system that loses what was not synced: every state that a power failure may leave.
//!
//! The rules are those of POSIX and no more. `fsync` of a file keeps its bytes, not its name. `fsync` of a directory keeps
//! the names in it, not the bytes. Of everything else any part may be there afterwards: each name by itself, even of the
//! two that a rename changes, and bytes not at all, as zeros, by half or whole. Real file systems keep more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::recording::Change;

/// Up to this many changes of names that are not synced, all combinations are made.
const ALL: usize = 6;

/// The disk.
pub struct Disk {
    root: PathBuf,
    /// The first is the root.
    nodes: Vec<Node>,
}

type Names = BTreeMap<OsString, usize>;

/// Whether a change of the names in a node survives, by the node and the number of the change.
type IsKept<'a> = dyn Fn(&(usize, usize)) -> bool + 'a;

enum Node {
    File { bytes: Vec<u8>, synced: Vec<u8> },
    Folder { names: Names, synced: Names, waiting: Vec<(OsString, Option<usize>)> },
}

/// What is left of the bytes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    None,
    Zeros,
    Half,
    All,
}

/// What a power failure left: each file with the node that it is, and each directory with `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Left(BTreeMap<PathBuf, Option<(usize, Vec<u8>)>>);

impl Disk {
    /// A folder as it is, with everything synced.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self { root: root.to_owned(), nodes: vec![folder()] };
        disk.read(0, root, &mut BTreeMap::new());
        disk
    }

    fn read(&mut self, node: usize, path: &Path, known: &mut BTreeMap<u64, usize>) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            let of = *known.entry(about.ino()).or_insert(self.nodes.len());
            if of == self.nodes.len() && about.is_dir() {
                self.nodes.push(folder());
                self.read(of, &entry.path(), known);
            } else if of == self.nodes.len() {
                let bytes = fs::read(entry.path()).unwrap();
                self.nodes.push(Node::File { synced: bytes.clone(), bytes });
            }
            let Node::Folder { names, synced, .. } = &mut self.nodes[node] else { unreachable!() };
            names.insert(entry.file_name(), of);
            synced.insert(entry.file_name(), of);
        }
    }

    /// The node that has a path now.
    fn find(&self, path: &Path) -> Option<usize> {
        let below = path.strip_prefix(&self.root).unwrap();
        below.components().try_fold(0, |node, name| match &self.nodes[node] {
            Node::Folder { names, .. } => names.get(name.as_os_str()).copied(),
            Node::File { .. } => None,
        })
    }

    fn name(&mut self, path: &Path, node: Option<usize>) {
        let above = self.find(path.parent().unwrap()).unwrap();
        let Node::Folder { names, waiting, .. } = &mut self.nodes[above] else { panic!("{}", path.display()) };
        let name = path.file_name().unwrap().to_owned();
        match node {
            Some(node) => names.insert(name.clone(), node),
            None => names.remove(&name),
        };
        waiting.push((name, node));
    }

    fn make(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        self.name(path, Some(self.nodes.len() - 1));
    }

    /// Makes a change.
    pub fn change(&mut self, change: &Change) {
        let node = |disk: &Self, path: &Path| disk.find(path).unwrap_or_else(|| panic!("{}", path.display()));
        match change {
            Change::Create(path) if self.find(path).is_none() => {
                self.make(path, Node::File { bytes: Vec::new(), synced: Vec::new() });
            }
            Change::Create(_) | Change::Said(_) => {}
            Change::Append(path, more) => self.bytes(path).extend_from_slice(more),
            Change::Cut(path, length) => self.bytes(path).resize(*length, 0),
            Change::Link(from, to) => self.name(to, Some(node(self, from))),
            Change::Rename(from, to) => {
                let node = node(self, from);
                self.name(to, Some(node));
                self.name(from, None);
            }
            Change::Remove(path) => self.name(path, None),
            Change::Folder(path) => self.make(path, folder()),
            Change::Sync(path) => {
                let node = node(self, path);
                match &mut self.nodes[node] {
                    Node::File { bytes, synced } => synced.clone_from(bytes),
                    Node::Folder { names, synced, waiting } => {
                        synced.clone_from(names);
                        waiting.clear();
                    }
                }
            }
        }
    }

    fn bytes(&mut self, path: &Path) -> &mut Vec<u8> {
        let node = self.find(path).unwrap_or_else(|| panic!("{}", path.display()));
        let Node::File { bytes, .. } = &mut self.nodes[node] else { panic!("{}", path.display()) };
        bytes
    }

    /// Everything that a power failure may leave now, but for the directories of temporary files, which are emptied anyway.
    pub fn after_power_failure(&self, temporary: &Path) -> Vec<Left> {
        let temporary = self.find(&self.root.join(temporary));
        let waiting: Vec<(usize, usize)> = (0..self.nodes.len())
            .filter(|node| Some(*node) != temporary)
            .flat_map(|node| match &self.nodes[node] {
                Node::Folder { waiting, .. } => (0..waiting.len()).map(|nth| (node, nth)).collect(),
                Node::File { .. } => Vec::new(),
            })
            .collect();
        let mut found = Vec::new();
        for kept in selections(waiting.len()) {
            let is_kept =
                |change: &(usize, usize)| waiting.iter().position(|one| one == change).is_some_and(|n| kept[n]);
            for bytes in [Bytes::None, Bytes::Zeros, Bytes::Half, Bytes::All] {
                let mut left = Left::default();
                self.leave(0, Path::new(""), (bytes, &is_kept), &mut left);
                found.push(left);
            }
        }
        found
    }

    fn leave(&self, node: usize, path: &Path, kept: (Bytes, &IsKept<'_>), left: &mut Left) {
        match &self.nodes[node] {
            Node::File { bytes, synced } => {
                left.0.insert(path.to_owned(), Some((node, mix(synced, bytes, kept.0))));
            }
            Node::Folder { synced, waiting, .. } => {
                left.0.insert(path.to_owned(), None);
                let mut names = synced.clone();
                for (_, (name, to)) in waiting.iter().enumerate().filter(|(nth, _)| kept.1(&(node, *nth))) {
                    let _before = match to {
                        Some(to) => names.insert(name.clone(), *to),
                        None => names.remove(name),
                    };
                }
                for (name, below) in names {
                    self.leave(below, &path.join(name), kept, left);
                }
            }
        }
    }
}

fn folder() -> Node {
    Node::Folder { names: Names::new(), synced: Names::new(), waiting: Vec::new() }
}

/// The bytes of a file that a power failure leaves.
fn mix(synced: &[u8], live: &[u8], left: Bytes) -> Vec<u8> {
    let half = |whole: usize| if left == Bytes::Half { whole / 2 } else { 0 };
    match left {
        _ if synced == live => live.to_vec(),
        Bytes::None => synced.to_vec(),
        Bytes::All => live.to_vec(),
        Bytes::Zeros | Bytes::Half => {
            let whole = half(live.len());
            let mut bytes = live[..whole].to_vec();
            bytes.extend(synced.iter().skip(whole));
            bytes.resize(live.len(), 0);
            bytes
        }
    }
}

/// Which of so many changes survive: all combinations if they are few, else none, all, each alone, and all but each.
fn selections(count: usize) -> Vec<Vec<bool>> {
    if count <= ALL {
        return (0..1_usize << count).map(|bits| (0..count).map(|bit| bits >> bit & 1 == 1).collect()).collect();
    }
    let alone = (0..=count).map(|one| (0..count).map(|nth| nth == one).collect());
    let others = (0..=count).map(|one| (0..count).map(|nth| nth != one).collect());
    alone.chain(others).collect()
}

impl Left {
    /// Makes it in an empty folder.
    pub fn make_in(&self, folder: &Path) {
        let mut made: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for (path, what) in &self.0 {
            let path = folder.join(path);
            match what {
                None => fs::create_dir_all(path).unwrap(),
                Some((node, _)) if made.contains_key(node) => fs::hard_link(&made[node], path).unwrap(),
                Some((node, bytes)) => {
                    fs::write(&path, bytes).unwrap();
                    made.insert(*node, path);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_may_be_lost_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("old"), "old").unwrap();
        let mut disk = Disk::of(root);
        let path = |name: &str| root.join(name);
        let contents = |disk: &Disk, name: &str| -> Vec<Option<String>> {
            let left = disk.after_power_failure(Path::new("none"));
            let mut found: Vec<Option<String>> = left
                .iter()
                .map(|left| left.0.get(Path::new(name)).map(|what| String::from_utf8(what.clone().unwrap().1).unwrap()))
                .collect();
            found.sort();
            found.dedup();
            found
        };
        let some = |text: &str| Some(text.to_owned());
        disk.change(&Change::Create(path("new")));
        disk.change(&Change::Append(path("new"), b"new!".to_vec()));
        assert_eq!(contents(&disk, "new"), [None, some(""), some("\0\0\0\0"), some("ne\0\0"), some("new!")]);
        disk.change(&Change::Sync(path("new")));
        assert_eq!(contents(&disk, "new"), [None, some("new!")]);
        disk.change(&Change::Rename(path("new"), path("old")));
        assert_eq!(contents(&disk, "old"), [some("new!"), some("old")]);
        disk.change(&Change::Sync(root.to_owned()));
        assert_eq!(contents(&disk, "old"), [some("new!")]);
        assert_eq!(contents(&disk, "new"), [None]);
    }
}
