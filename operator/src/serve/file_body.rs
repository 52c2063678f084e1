//! A part of a file as the body of a response. While one chunk is sent, the next one is read on another thread.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures::stream::try_unfold;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use tokio::task::{JoinHandle, spawn_blocking};

/// The size of the chunks that are read, in bytes. A connection has two of them.
const CHUNK: usize = 256 * 1024;

/// The buffers of a connection that were sent, to be filled again.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// The rest of the part.
struct Rest {
    file: Arc<File>,
    offset: u64,
    end: u64,
    spare: Spare,
}

/// A buffer that is being sent.
struct Chunk {
    bytes: Vec<u8>,
    spare: Spare,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// `length` bytes of a file from an offset on. `sent` is called with the length of each chunk when it is passed on. The body
/// fails if the file is shorter.
pub(super) fn file_body(file: File, offset: u64, length: u64, sent: impl Fn(u64) + Send + 'static) -> Body {
    let rest = Rest { file: Arc::new(file), offset, end: offset.saturating_add(length), spare: Spare::default() };
    let begun = read_next(rest);
    Body::from_stream(try_unfold((begun, sent), async |(begun, sent)| {
        let Some(begun) = begun else { return Ok::<_, io::Error>(None) };
        let (chunk, rest) = begun.await.map_err(io::Error::other)??;
        sent(chunk.len() as u64);
        Ok(Some((chunk, (read_next(rest), sent))))
    }))
}

/// Begins to read the next chunk. `None` at the end.
fn read_next(mut rest: Rest) -> Option<JoinHandle<io::Result<(Bytes, Rest)>>> {
    let missing = usize::try_from(rest.end - rest.offset).unwrap_or(CHUNK);
    (missing > 0).then(|| {
        spawn_blocking(move || {
            let chunk = read(&rest, missing.min(CHUNK))?;
            rest.offset += chunk.len() as u64;
            Ok((chunk, rest))
        })
    })
}

fn read(rest: &Rest, length: usize) -> io::Result<Bytes> {
    let known = rest.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut bytes = known.unwrap_or_else(|| Vec::with_capacity(length));
    bytes.clear();
    loop {
        match pread(&rest.file, spare_capacity(&mut bytes), rest.offset) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The buffer may be longer than the rest of the part.
    bytes.truncate(length);
    Ok(Bytes::from_owner(Chunk { bytes, spare: rest.spare.clone() }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    async fn read_all(file: File, offset: u64, length: u64) -> Result<Bytes, axum::Error> {
        let told = Arc::new(AtomicU64::new(0));
        let count = told.clone();
        let body = file_body(file, offset, length, move |bytes| {
            count.fetch_add(bytes, Ordering::SeqCst);
        });
        let read = axum::body::to_bytes(body, usize::MAX).await?;
        assert_eq!(told.load(Ordering::SeqCst), read.len() as u64);
        Ok(read)
    }

    #[tokio::test]
    async fn any_part_comes_whole_and_a_short_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        let open = || File::open(&path).unwrap();
        for (offset, length) in [(0, bytes.len()), (5, 0), (7, 1), (100_000, CHUNK), (3, CHUNK + 1), (1, 3 * CHUNK)] {
            let read = read_all(open(), offset as u64, length as u64).await.unwrap();
            assert!(read == bytes[offset..offset + length], "{length} bytes from {offset} on");
        }
        assert!(read_all(open(), 1, bytes.len() as u64).await.is_err());
    }
}
