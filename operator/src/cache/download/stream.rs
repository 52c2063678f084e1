//! Transfers the bytes of one connection to the disk.
//!
//! Three threads work at the same time, each on a block of its own: one fills it from the socket, one writes it, and one
//! hashes it. Then the block is filled again. So a download has at most [`BLOCKS`] blocks of memory, however slow the disk
//! is, and takes as long as the slowest of the three. A small image has only few blocks, so one thread writes and hashes
//! them; other downloads use the other processors.

use std::path::PathBuf;
use std::sync::mpsc as threads;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::{Attempts, DOWNLOAD, Download, Tried};
use crate::cache::append_file::AppendFile;
use crate::cache::bandwidth::Slot;
use crate::cache::block::{ALIGNMENT, BLOCK, Block, SpareBlocks};
use crate::cache::error::{CacheError, DownloadError};
use crate::cache::file_scan::ByteScan;
use crate::cache::partial::Partial;
use crate::fetch::{FetchError, ImageBody, SMALL_IMAGE};
use crate::metrics::Work;

/// The blocks of one download: one is filled, one written, one hashed, and one waits.
const BLOCKS: usize = 4;

/// How long received bytes wait for more before they are written. So a kill costs not more than this of a slow transfer.
const PATIENCE: Duration = Duration::from_millis(100);

/// How the transfer of one connection ended.
enum Ended {
    /// The server ended the response.
    All,
    /// The connection failed or stalled.
    Broken(FetchError),
    /// More bytes than the image has.
    TooLong,
}

impl Download {
    /// Transfers bytes from the socket to the disk, and hashes them.
    pub(super) async fn stream(
        &self,
        attempts: &mut Attempts,
        body: ImageBody,
        slot: &mut Option<Slot>,
    ) -> Result<Tried, DownloadError> {
        let Some(Partial { place, file, scan }) = attempts.partial.take() else { return Ok(Tried::Complete) };
        let ends_surely = body.ends_surely();
        let begins = file.length() == 0;
        let (full, to_store) = mpsc::channel(BLOCKS);
        let (stored, free) = mpsc::channel(BLOCKS);
        let mut filler = Filler::new(file.length(), self.size(), full, free, self.blocks.clone());
        let storing = self.store((place.path().to_owned(), file, scan), to_store, stored);
        let ended = self.pump(body, attempts, begins, &mut filler).await;
        filler.hand_over();
        if let (Ok(Ended::All), 0, Some(slot)) = (&ended, filler.missing(), slot) {
            slot.leave_host();
        }
        let mut free = filler.end();
        let broken = |error| CacheError::io(DOWNLOAD, self.volume.root())(std::io::Error::other(error));
        let (file, scan, done) = storing.ended().await.map_err(broken)?;
        while let Ok(block) = free.try_recv() {
            self.blocks.put(block);
        }
        attempts.partial = Some(Partial { place, file, scan });
        done?;
        self.conclude(attempts, ended?, ends_surely).await
    }

    /// Starts the threads that write and hash blocks, and give them back to be filled again.
    fn store(
        &self,
        (path, file, scan): (PathBuf, AppendFile, ByteScan),
        to_store: mpsc::Receiver<Block>,
        stored: mpsc::Sender<Block>,
    ) -> Storing {
        let (volume, progress, mut scan) = (self.volume.clone(), self.progress.clone(), scan);
        let told = move |length| progress.set_bytes(length);
        let step = move || volume.step("partial: write");
        if self.size() <= SMALL_IMAGE {
            return Storing::One(spawn_blocking(move || {
                let hash = |block: Block| {
                    scan.take(block.bytes(), &path)?;
                    // It is not filled again after the end of the transfer.
                    let _ended = stored.try_send(block);
                    Ok(true)
                };
                let (file, done) = write_all(file, to_store, hash, step, told);
                (file, scan, done)
            }));
        }
        let (written, to_hash) = threads::channel();
        let write = move || write_all(file, to_store, |block| Ok(written.send(block).is_ok()), step, told);
        let write_thread = spawn_blocking(write);
        let hash_thread = spawn_blocking(move || {
            let done = hash_all(&mut scan, &to_hash, &stored, &path);
            (scan, done)
        });
        Storing::Two(write_thread, hash_thread)
    }

    /// What the end of a connection means for the download.
    async fn conclude(&self, attempts: &mut Attempts, ended: Ended, ends_surely: bool) -> Result<Tried, DownloadError> {
        let length = attempts.partial.as_ref().map_or(0, Partial::length);
        match ended {
            Ended::TooLong => self.wrong_size(attempts, format!("more than {}", self.size())).await,
            Ended::All | Ended::Broken(_) if length == self.size() => Ok(Tried::Complete),
            Ended::All if ends_surely => self.wrong_size(attempts, length.to_string()).await,
            Ended::All => {
                let message = format!("expected {} bytes, the connection ended at {length}", self.size());
                Ok(Tried::Broken(FetchError::Connection { url: self.request.source.url.clone(), message }))
            }
            Ended::Broken(FetchError::Encoding { .. }) if attempts.turns_to_what_came() => {
                self.with_partial(attempts, Partial::start_over).await?;
                Ok(Tried::Anew)
            }
            Ended::Broken(error) => Ok(Tried::Broken(error)),
        }
    }

    /// Fills blocks until the server, the writer, the limit or a cancellation ends it.
    async fn pump(
        &self,
        mut body: ImageBody,
        attempts: &mut Attempts,
        begins: bool,
        filler: &mut Filler,
    ) -> Result<Ended, DownloadError> {
        loop {
            let next = filler.while_waiting(body.next(&mut attempts.floor));
            let chunk = match self.or_cancelled(next).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Ended::All),
                Err(error) => return Ok(Ended::Broken(error)),
            };
            if begins {
                attempts.came.begins_with(&chunk);
            }
            if chunk.len() as u64 > filler.missing() {
                return Ok(Ended::TooLong);
            }
            self.client.settings().metrics.fetched(Work::Image, chunk.len() as u64);
            self.or_cancelled(self.bandwidth.pay(chunk.len())).await?;
            // It takes no more if the writer failed. The writer returns the error.
            let taken = self.or_cancelled(filler.take(&chunk)).await?;
            if !taken || filler.missing() == 0 && !body.ends_surely() {
                return Ok(Ended::All);
            }
        }
    }
}

/// The threads that write and hash.
enum Storing {
    One(JoinHandle<Stored>),
    Two(JoinHandle<(AppendFile, Result<(), CacheError>)>, JoinHandle<(ByteScan, Result<(), CacheError>)>),
}

/// The end of the threads that write and hash.
type Stored = (AppendFile, ByteScan, Result<(), CacheError>);

impl Storing {
    async fn ended(self) -> Result<Stored, JoinError> {
        match self {
            Self::One(thread) => thread.await,
            Self::Two(write_thread, hash_thread) => {
                let (file, written) = write_thread.await?;
                let (scan, hashed) = hash_thread.await?;
                Ok((file, scan, written.and(hashed)))
            }
        }
    }
}

/// Puts chunks into blocks, and hands the blocks to the writer.
struct Filler {
    /// The offset of the next byte in the file.
    offset: u64,
    size: u64,
    block: Option<Block>,
    /// When the block is handed over even if it is not full.
    until: Instant,
    made: usize,
    full: mpsc::Sender<Block>,
    free: mpsc::Receiver<Block>,
    spare: SpareBlocks,
}

impl Filler {
    fn new(offset: u64, size: u64, full: mpsc::Sender<Block>, free: mpsc::Receiver<Block>, spare: SpareBlocks) -> Self {
        Self { offset, size, block: None, until: Instant::now(), made: 0, full, free, spare }
    }

    /// Ends the transfer. Returns where the blocks come to that are stored.
    fn end(self) -> mpsc::Receiver<Block> {
        self.free
    }

    fn missing(&self) -> u64 {
        self.size.saturating_sub(self.offset)
    }

    /// Waits, and hands the block over when it has waited long enough.
    async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if self.block.is_some() {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(self.until) => self.hand_over(),
            }
        }
        work.await
    }

    /// Takes the bytes of a chunk. Returns `false` if the writer or the hasher ended.
    async fn take(&mut self, chunk: &Bytes) -> bool {
        let mut rest = chunk.as_ref();
        while !rest.is_empty() {
            let mut block = match self.block.take() {
                Some(block) => block,
                None => match self.empty_block().await {
                    Some(block) => block,
                    None => return false,
                },
            };
            let count = block.fill(rest);
            self.offset += count as u64;
            rest = &rest[count..];
            let is_due = block.is_full() || self.missing() == 0;
            self.block = Some(block);
            if is_due {
                self.hand_over();
            }
        }
        !self.full.is_closed()
    }

    /// A block that ends at a multiple of the alignment in the file, so that the one after it can be written directly.
    async fn empty_block(&mut self) -> Option<Block> {
        self.until = Instant::now() + PATIENCE;
        let missing = usize::try_from(self.missing()).unwrap_or(BLOCK);
        let largest = BLOCK.min(missing.next_multiple_of(ALIGNMENT));
        let over = usize::try_from(self.offset % ALIGNMENT as u64).unwrap_or(0);
        let mut block = match self.free.try_recv() {
            Ok(block) => block,
            Err(_) if self.made < BLOCKS => {
                self.made += 1;
                self.spare.take(largest)
            }
            Err(_) => self.free.recv().await?,
        };
        block.reset((largest - over).max(1));
        Some(block)
    }

    /// Hands the block to the writer. The queue has room for all blocks. It is closed only if the writer failed.
    fn hand_over(&mut self) {
        if let Some(block) = self.block.take().filter(|block| !block.is_empty()) {
            let _closed = self.full.try_send(block);
        }
    }
}

/// Writes until the queue is closed or a block is not taken, and passes the blocks on. Always returns the file.
fn write_all(
    mut file: AppendFile,
    mut full: mpsc::Receiver<Block>,
    mut pass_on: impl FnMut(Block) -> Result<bool, CacheError>,
    step: impl Fn(),
    told: impl Fn(u64),
) -> (AppendFile, Result<(), CacheError>) {
    while let Some(block) = full.blocking_recv() {
        step();
        if let Err(error) = file.append(block.bytes()) {
            return (file, Err(error));
        }
        told(file.length());
        match pass_on(block) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return (file, Err(error)),
        }
    }
    (file, Ok(()))
}

/// Hashes until the queue is closed, and passes the blocks on to be filled again.
fn hash_all(
    scan: &mut ByteScan,
    written: &threads::Receiver<Block>,
    hashed: &mpsc::Sender<Block>,
    path: &std::path::Path,
) -> Result<(), CacheError> {
    for block in written {
        scan.take(block.bytes(), path)?;
        // It is not filled again after the end of the transfer.
        let _ended = hashed.try_send(block);
    }
    Ok(())
}
