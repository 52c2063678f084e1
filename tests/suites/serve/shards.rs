//! Images of all shards on one volume, served by any program: real sockets, real folders.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use openssl::sha::sha512;
use reqwest::{Client, Method, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vmcatcher_operator::cache::{BlobCheck, ShardFolder, Volume};
use vmcatcher_operator::imagelist::Sha512Digest;
use vmcatcher_operator::metrics::Metrics;
use vmcatcher_operator::serve::{ImageServer, Limits, Listening, Tickets, router};

/// A volume that several shards share, and the image servers of two programs.
struct Shared {
    folder: tempfile::TempDir,
    servers: [Listening; 2],
    later: Arc<AtomicI64>,
    client: Client,
}

/// What the program has that works for a shard.
struct Owner {
    volume: Volume,
    tickets: Tickets,
}

fn begin() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap()
}

impl Owner {
    /// Puts bytes on the volume as a verified image.
    fn add(&self, bytes: &[u8]) -> Sha512Digest {
        let digest = Sha512Digest::from_bytes(sha512(bytes));
        let path = self.volume.path_of(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A new file takes the place of the old one, as at the end of a download.
        let new = self.volume.scratch().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, path).unwrap();
        let check = self.volume.verify_blob(&digest, begin()).unwrap();
        assert!(matches!(check, Some(BlobCheck::Good(_))), "{check:?}");
        digest
    }

    fn path(&self, digest: &Sha512Digest) -> String {
        self.tickets.path(digest, "raw", begin()).unwrap()
    }
}

impl Shared {
    async fn start() -> Self {
        let (folder, later) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(0)));
        let volume = folder.path().join("volume");
        fs::create_dir(&volume).unwrap();
        let server = async || {
            let offset = later.clone();
            let clock = Arc::new(move || begin() + jiff::SignedDuration::from_secs(offset.load(Ordering::SeqCst)));
            let app = router(ImageServer::of_shards(volume.clone(), clock, Metrics::default()));
            Listening::start("127.0.0.1:0".parse().unwrap(), app, Limits::default()).await.unwrap()
        };
        let servers = [server().await, server().await];
        Self { folder, servers, later, client: Client::new() }
    }

    fn root(&self, shard: u16) -> PathBuf {
        self.folder.path().join("volume").join(ShardFolder::new(shard).unwrap().to_string())
    }

    /// Begins to work for a shard.
    fn own(&self, shard: u16) -> Owner {
        let volume = Volume::open(&self.root(shard)).unwrap();
        let tickets = Tickets::kept(&volume).unwrap().of_shard(ShardFolder::new(shard).unwrap());
        Owner { volume, tickets }
    }

    async fn ask(&self, server: usize, method: Method, path: &str, range: &str) -> Response {
        let request = self.client.request(method, format!("http://{}/{path}", self.servers[server].address()));
        let request = if range.is_empty() { request } else { request.header("Range", range) };
        request.send().await.unwrap()
    }

    /// The status of both servers to a `GET`, which looks at the volume each time.
    async fn status(&self, path: &str) -> u16 {
        let status = async |server| self.ask(server, Method::GET, path, "").await.status().as_u16();
        let both = [status(0).await, status(1).await];
        assert_eq!(both[0], both[1], "both servers answer the same: {path}");
        both[0]
    }

    /// The status of the first server to a path that is sent as it is.
    async fn raw(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.servers[0].address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let line = String::from_utf8_lossy(&response);
        line.split(' ').nth(1).unwrap_or_else(|| panic!("no status to {path}: {line}")).parse().unwrap()
    }
}

#[tokio::test]
async fn each_program_serves_the_images_of_all_shards() {
    let shared = Shared::start().await;
    let owners = [shared.own(0), shared.own(63)];
    for (number, owner) in owners.iter().enumerate() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|byte| (byte % 251) as u8 + u8::try_from(number).unwrap()).collect();
        let digest = owner.add(&bytes);
        let path = owner.path(&digest);
        for server in [0, 1] {
            let head = shared.ask(server, Method::HEAD, &path, "").await;
            assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"700000".parse().unwrap()));
            assert_eq!(head.headers()["etag"], format!("\"{digest}\""));
            let whole = shared.ask(server, Method::GET, &path, "").await;
            assert_eq!(whole.status().as_u16(), 200);
            assert_eq!(whole.bytes().await.unwrap(), bytes);
            let part = shared.ask(server, Method::GET, &path, "bytes=1000-300999").await;
            assert_eq!((part.status().as_u16(), part.content_length()), (206, Some(300_000)));
            assert_eq!(part.bytes().await.unwrap(), bytes[1000..301_000]);
            assert_eq!(shared.ask(server, Method::GET, &path, "bytes=700000-").await.status().as_u16(), 416);
            assert_eq!(shared.ask(server, Method::PUT, &path, "").await.status().as_u16(), 405);
        }
    }
    let path = owners[1].path(&owners[1].volume.blobs().unwrap()[0]);
    shared.later.store(13 * 3600, Ordering::SeqCst);
    assert_eq!(shared.status(&path).await, 403, "its time is over");
    assert_eq!(shared.ask(0, Method::HEAD, &path, "").await.status().as_u16(), 403);
}

#[tokio::test]
async fn an_address_is_for_its_shard_alone() {
    let shared = Shared::start().await;
    let (first, second) = (shared.own(0), shared.own(1));
    let (one, other, both) = (first.add(b"one"), second.add(b"other"), first.add(b"both"));
    assert_eq!(second.add(b"both"), both);
    let stolen = first.path(&one);
    assert_eq!(shared.status(&stolen).await, 200);
    assert_eq!(shared.status(&stolen.replace("/shard-0/", "/shard-1/")).await, 403, "signed with another key");
    assert_eq!(shared.status(&first.path(&both).replace("/shard-0/", "/shard-1/")).await, 403);
    assert_eq!(shared.status(&first.path(&other)).await, 404, "its key opens nothing in another folder");
    assert_eq!(shared.status(&stolen.replace("/shard-0/", "/shard-2/")).await, 404, "no such folder");
    assert_eq!(shared.status(&stolen.replace("/shard-0/", "/")).await, 404, "no address of a shard");

    // What one shard gives up, the other one keeps.
    assert_eq!((shared.status(&first.path(&both)).await, shared.status(&second.path(&both)).await), (200, 200));
    fs::remove_file(first.volume.path_of(&both).with_extension("json")).unwrap();
    assert_eq!((shared.status(&first.path(&both)).await, shared.status(&second.path(&both)).await), (404, 200));
}

#[tokio::test]
async fn no_name_of_a_shard_leads_elsewhere() {
    let shared = Shared::start().await;
    let owner = shared.own(1);
    let digest = owner.add(b"in the shard");
    let good = owner.path(&digest);
    let (_, ticketed) = good.split_once("shard-1/").unwrap();
    assert_eq!(shared.raw(&format!("/images/shard-1/{ticketed}")).await, 200);
    // A copy of the folder, key and all, at other names: beside the shard, and outside of the volume.
    let places = ["shard-01", "shard-64", "other", "../other"].map(|name| shared.root(1).with_file_name(name));
    for place in places {
        let ended = std::process::Command::new("cp").arg("-r").arg(shared.root(1)).arg(&place).status().unwrap();
        assert!(ended.success());
        Volume::read_only(&place).unwrap();
    }
    let names = [
        "shard-01",
        "shard-64",
        "shard-65536",
        "shard-+1",
        "shard--1",
        "Shard-1",
        "SHARD-1",
        "shard-1%20",
        "%20shard-1",
        "shard-",
        "other",
        "..%2fother",
        "shard-1%2f..%2fother",
        "shard-1%2f..%2f..%2fother",
        "%2e%2e%2fother",
        "shard-1%00",
        "shard-%d9%a1",
        "..",
        ".",
        "%2e",
        "%2e%2e",
        "shard-1%2f.",
        "shard-1%5c..",
    ];
    for name in names {
        assert_eq!(shared.raw(&format!("/images/{name}/{ticketed}")).await, 404, "{name}");
    }
    assert_eq!(shared.raw(&format!("/images/shard-%ff/{ticketed}")).await, 400, "no text");
    for path in ["/images/shard-1/../shard-1/", "/images//shard-1/", "/images/shard-1//", "//images/shard-1/"] {
        assert_eq!(shared.raw(&format!("{path}{ticketed}")).await, 404, "{path}");
    }
    let long = "9".repeat(10_000);
    assert_eq!(shared.raw(&format!("/images/shard-{long}/{ticketed}")).await, 404);
    assert_eq!(shared.raw(&format!("/images/shard-1/1-00/{digest}.raw")).await, 403);
    assert_eq!(shared.raw("/images/shard-1/..%2f..%2fstate%2fserve/tickets.json").await, 403);
}

#[tokio::test]
async fn a_shard_whose_folder_comes_later_is_served_from_then_on() {
    let shared = Shared::start().await;
    let path = |shard: u16| format!("images/shard-{shard}/1-00/a.raw");
    assert_eq!(shared.status(&path(0)).await, 503, "no shard has a folder: the volume may not be there");
    let first = shared.own(0);
    assert_eq!((shared.status(&path(0)).await, shared.status(&path(1)).await), (403, 404));
    fs::create_dir(shared.root(1)).unwrap();
    assert_eq!(shared.status(&path(1)).await, 503, "a folder that is no volume yet");
    let volume = Volume::open(&shared.root(1)).unwrap();
    assert_eq!(shared.status(&path(1)).await, 503, "no key yet");
    drop(volume);
    let second = shared.own(1);
    for owner in [&first, &second] {
        let digest = owner.add(b"later");
        assert_eq!(shared.status(&owner.path(&digest)).await, 200);
    }
    // Away with its disk, and back.
    let (digest, aside) = (second.volume.blobs().unwrap()[0], shared.folder.path().join("aside"));
    fs::rename(shared.root(1), &aside).unwrap();
    assert_eq!((shared.status(&second.path(&digest)).await, shared.status(&first.path(&digest)).await), (404, 200));
    fs::rename(&aside, shared.root(1)).unwrap();
    assert_eq!(shared.status(&second.path(&digest)).await, 200);
}

/// A blob whose bytes the disk has spoiled is taken out of use, and downloaded again.
#[tokio::test]
async fn a_blob_that_is_replaced_is_served_right_or_not_at_all() {
    let shared = Shared::start().await;
    let owner = shared.own(3);
    // More than the sockets of both sides hold.
    let bytes = vec![7_u8; 20_000_000];
    let digest = owner.add(&bytes);
    let path = owner.path(&digest);
    let mut running = shared.ask(0, Method::GET, &path, "").await;
    let mut taken = running.chunk().await.unwrap().unwrap().to_vec();

    let blob = owner.volume.path_of(&digest);
    let spoiled = owner.volume.scratch().join("spoiled");
    fs::write(&spoiled, vec![8_u8; bytes.len()]).unwrap();
    fs::rename(&spoiled, &blob).unwrap();
    let check = owner.volume.verify_blob(&digest, begin()).unwrap();
    assert!(matches!(check, Some(BlobCheck::Bad { .. })), "{check:?}");
    assert_eq!(shared.status(&path).await, 404);
    assert_eq!(shared.ask(1, Method::HEAD, &path, "").await.status().as_u16(), 404);

    owner.add(&bytes);
    let resumed = shared.ask(1, Method::GET, &path, "bytes=5000000-").await;
    assert_eq!(resumed.status().as_u16(), 206);
    assert!(resumed.bytes().await.unwrap() == bytes[5_000_000..], "the new bytes from there on");
    while let Some(chunk) = running.chunk().await.unwrap() {
        taken.extend_from_slice(&chunk);
    }
    assert!(taken == bytes, "what began before it was replaced ends with the same bytes");
}

#[tokio::test]
async fn a_key_that_another_program_makes_counts_at_once() {
    let shared = Shared::start().await;
    let owner = shared.own(0);
    let digest = owner.add(b"an image");
    let old = owner.path(&digest);
    assert_eq!(shared.status(&old).await, 200);
    drop(owner);
    let file = shared.root(0).join("state/serve/tickets.json");
    fs::write(&file, "{").unwrap();
    assert_eq!(shared.status(&old).await, 200, "the last key counts until there is another");
    let next = shared.own(0);
    let new = next.path(&digest);
    assert_ne!(new, old);
    assert_eq!((shared.status(&new).await, shared.status(&old).await), (200, 403));
    assert_eq!(shared.ask(0, Method::HEAD, &old, "").await.status().as_u16(), 403);
    fs::remove_file(&file).unwrap();
    assert_eq!(shared.status(&new).await, 200, "the last key counts until there is another");
}
