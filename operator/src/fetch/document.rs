//! A fetched document. A small one is in memory and a larger one in a file, so that neither a slow server nor the wait
//! for verification uses memory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// The maximum size of a document in memory, in bytes.
const SMALL: usize = 64 * 1024;

/// A document. Cheap to clone. An unnamed file is removed with the last clone.
#[derive(Debug, Clone)]
pub struct Document {
    size: u64,
    held: Arc<Held>,
}

#[derive(Debug)]
enum Held {
    Memory(Vec<u8>),
    /// An unnamed file. It is removed when the program ends, even after a crash.
    Unnamed(Arc<File>),
    Named(PathBuf),
}

impl Document {
    /// A document in memory.
    pub fn in_memory(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, held: Arc::new(Held::Memory(bytes)) }
    }

    /// A document in a file that somebody else owns. It is an error if it cannot be opened now.
    pub fn at(path: PathBuf) -> io::Result<Self> {
        let size = File::open(&path)?.metadata()?.len();
        Ok(Self { size, held: Arc::new(Held::Named(path)) })
    }

    /// A document in a file if it is large and there is a folder, otherwise in memory.
    pub fn put_by(bytes: Vec<u8>, folder: Option<&Path>) -> io::Result<Self> {
        let Some(folder) = folder.filter(|_| bytes.len() > SMALL) else { return Ok(Self::in_memory(bytes)) };
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(&bytes)?;
        Ok(Self { size: bytes.len() as u64, held: Arc::new(Held::Unnamed(Arc::new(file))) })
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the whole document.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.begin(self.size)
    }

    /// Reads its first bytes, at most `most`.
    pub fn begin(&self, most: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.size.min(most)).map_err(io::Error::other)?;
        match &*self.held {
            Held::Memory(bytes) => Ok(bytes[..length].to_vec()),
            Held::Unnamed(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes)
            }
            Held::Named(path) => {
                let mut bytes = Vec::with_capacity(length);
                File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// Whether it is the same document, not only one with the same bytes.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }
}

impl Eq for Document {}

/// A document that is being received.
pub(super) struct Arriving<'a> {
    folder: Option<&'a Path>,
    size: u64,
    memory: Vec<u8>,
    file: Option<Arc<File>>,
}

impl<'a> Arriving<'a> {
    /// A document that is not small is written to a file in `folder`, if given.
    pub(super) fn new(folder: Option<&'a Path>) -> Self {
        Self { folder, size: 0, memory: Vec::new(), file: None }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) async fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        self.size += chunk.len() as u64;
        if let Some(file) = &self.file {
            let file = file.clone();
            return tokio::task::spawn_blocking(move || (&*file).write_all(&chunk)).await?;
        }
        self.memory.extend_from_slice(&chunk);
        if let Some(folder) = self.folder.filter(|_| self.memory.len() > SMALL) {
            let (folder, memory) = (folder.to_owned(), std::mem::take(&mut self.memory));
            let begun = tokio::task::spawn_blocking(move || {
                let mut file = tempfile::tempfile_in(folder)?;
                file.write_all(&memory).map(|()| file)
            });
            self.file = Some(Arc::new(begun.await??));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Document {
        match self.file {
            Some(file) => Document { size: self.size, held: Arc::new(Held::Unnamed(file)) },
            None => Document::in_memory(self.memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_document_lies_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        for (length, in_memory) in [(0, true), (SMALL, true), (SMALL + 1, false), (3 * SMALL, false)] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut arriving = Arriving::new(Some(folder.path()));
            for chunk in bytes.chunks(10_000) {
                arriving.push(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            let came = arriving.finish();
            for document in [came, Document::put_by(bytes.clone(), Some(folder.path())).unwrap()] {
                assert_eq!(matches!(&*document.held, Held::Memory(_)), in_memory, "{length}");
                assert_eq!((document.size(), document.read().unwrap()), (length as u64, bytes.clone()));
                assert_eq!(document.read().unwrap(), bytes, "again");
                assert_eq!(document.begin(5).unwrap(), bytes[..length.min(5)]);
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
