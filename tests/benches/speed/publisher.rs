//! A site whose lists and images are served by nginx.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use harness::image_server::ServerCertificate;
use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use harness::site::Site;
use openssl::sha::Sha512;

use super::measured::RUNS;
use super::relay::relay;

/// The ports of the server: the program opens two connections to each address.
const PORTS: usize = 4;

/// The site, its folder of files, and the server.
pub(crate) struct Publisher {
    pub(crate) site: Site,
    server: Nginx,
}

/// A running nginx.
struct Nginx {
    process: Child,
    ports: Vec<u16>,
    root: PathBuf,
    /// The file of the authority of its certificate, if it has TLS.
    authority: Option<PathBuf>,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// HTTP without TLS.
    Plain,
    /// HTTPS with HTTP/1.1.
    Http1,
    /// HTTPS with HTTP/2.
    Http2,
}

impl Publisher {
    /// A site without images.
    pub(crate) fn start() -> Self {
        Self::over(Transport::Plain)
    }

    /// The same with a server that is reached in another way.
    pub(crate) fn over(transport: Transport) -> Self {
        let site = Site::new();
        let root = site.path("served");
        fs::create_dir(&root).unwrap();
        Self { server: Nginx::start(&site.path("nginx"), root, transport), site }
    }

    /// Puts the server so far away, in each direction. What is published afterwards has addresses of the relay.
    pub(crate) fn move_away(&mut self, delay: Duration) {
        for port in &mut self.server.ports {
            *port = relay(*port, delay);
        }
    }

    /// The file of the authority of the server's certificate, if it has TLS.
    pub(crate) fn authority(&self) -> Option<&Path> {
        self.server.authority.as_deref()
    }

    /// A folder on the same disk.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// The address of a file; different numbers have different ports.
    pub(crate) fn url(&self, name: &str, number: usize) -> String {
        let scheme = if self.server.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/{name}", self.server.ports[number % PORTS])
    }

    /// Makes files of random bytes, and publishes a list of them. Returns their names.
    pub(crate) fn publish(&self, count: usize, size: u64, spread: bool) -> Vec<String> {
        let list = self.list_of(0..count, size, spread);
        self.subscribe("vo", &list, "match: [{name: all}]");
        (0..count).map(file_name).collect()
    }

    /// Makes files of random bytes with these numbers, and a list of them.
    pub(crate) fn list_of(&self, numbers: Range<usize>, size: u64, spread: bool) -> ListBuilder {
        let mut list = self.site.list("1.0", &[]);
        for number in numbers {
            let name = file_name(number);
            let digest = random_file(&self.server.root.join(&name), size, number as u64);
            let url = self.url(&name, if spread { number } else { 0 });
            list = list.image(&identifier(number), "1.0", &url, size, &digest);
        }
        list
    }

    /// Signs a list, serves it as `NAME.list`, and subscribes to what is included.
    pub(crate) fn subscribe(&self, name: &str, list: &ListBuilder, include: &str) {
        let url = self.serve(name, list);
        self.site.subscribe_to(name, &url, &format!("images: {{include: {{{include}}}}}"));
    }

    /// Signs a list, and serves it. Returns its address.
    pub(crate) fn serve(&self, name: &str, list: &ListBuilder) -> String {
        let message = sign(&list.json(), &self.site.pki.endorser, Form::Detached);
        let file = format!("{name}.list");
        fs::write(self.server.root.join(&file), message).unwrap();
        self.url(&file, 0)
    }

    /// One run of the program over a volume that has nothing.
    pub(crate) fn once(&self, more: &[&str]) -> Command {
        let mut command = Command::new(super::program());
        if let Some(authority) = self.authority() {
            command.env("SSL_CERT_FILE", authority);
        }
        command.args(["reconcile", "--once", "--quiet"]).args(more).stderr(Stdio::null());
        for (option, folder) in [("--manifests", "manifests"), ("--volume", "volume"), ("--trust", "trust")] {
            command.arg(option).arg(self.path(folder));
        }
        command
    }

    /// Puts a folder aside until the end, and syncs. Unlike [`Self::empty`], it frees nothing that the next run would take
    /// again: ext4 without a journal skips each inode that was freed within the last minutes, which takes long if they are
    /// thousands.
    pub(crate) fn put_aside(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if path.exists() {
            let mut names = (0..RUNS).map(|number| self.path(&format!("{name}-{number}")));
            fs::rename(&path, names.find(|path| !path.exists()).unwrap()).unwrap();
        }
        self.sync();
        path
    }

    /// Removes a folder and what is in it, and syncs.
    pub(crate) fn empty(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let _none = fs::remove_dir_all(&path);
        self.sync();
        path
    }

    fn sync(&self) {
        assert!(Command::new("sync").arg("-f").arg(self.path("")).status().unwrap().success());
    }
}

fn file_name(number: usize) -> String {
    format!("{number}.img")
}

/// An identifier by its number.
pub(crate) fn identifier(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

impl Nginx {
    fn start(folder: &Path, root: PathBuf, transport: Transport) -> Self {
        fs::create_dir(folder).unwrap();
        let (word, tls, authority) = match transport {
            Transport::Plain => ("", String::new(), None),
            Transport::Http1 => ("ssl", certify(folder), Some(folder.join("ca.pem"))),
            Transport::Http2 => ("ssl http2", certify(folder), Some(folder.join("ca.pem"))),
        };
        let ports: Vec<u16> = (0..PORTS).map(|_| free_port()).collect();
        let listen: Vec<String> = ports.iter().map(|port| format!("listen 127.0.0.1:{port} {word}; ")).collect();
        let listen = listen.concat();
        let text = format!(
            "daemon off; worker_processes 1; user root; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{\n  \
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; client_body_temp_path {0}/body; \
             proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path \
             {0}/scgi;\n  server {{ {listen} {tls} root {1}; }}\n}}\n",
            folder.display(),
            root.display()
        );
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, text).unwrap();
        let process = Command::new("nginx").arg("-c").arg(&configuration).spawn().expect("nginx is installed");
        for port in &ports {
            wait_for(*port);
        }
        Self { process, ports, root, authority }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its worker at SIGTERM.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ended = self.process.wait();
    }
}

/// Makes the files of a certificate. Returns the settings that name them.
fn certify(folder: &Path) -> String {
    let certificate = ServerCertificate::generate();
    let (chain, key) = certificate.server_pem();
    for (name, pem) in [("ca.pem", certificate.authority_pem()), ("server.pem", chain), ("key.pem", key)] {
        fs::write(folder.join(name), pem).unwrap();
    }
    format!("ssl_certificate {0}/server.pem; ssl_certificate_key {0}/key.pem;", folder.display())
}

/// A port that no one listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something listens on a port.
pub(crate) fn wait_for(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing listens on {port}");
        #[allow(clippy::disallowed_methods, reason = "another program gives no sign when it listens")]
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes random bytes, and returns their SHA-512.
fn random_file(path: &Path, size: u64, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut block = vec![0; 1 << 20];
    random.fill(&mut block);
    let (mut file, mut digest, mut missing) = (fs::File::create(path).unwrap(), Sha512::new(), size);
    while missing > 0 {
        // Each block is another one, and as little work as possible.
        block[..8].copy_from_slice(&missing.to_le_bytes());
        let part = &block[..usize::try_from(missing.min(1 << 20)).unwrap()];
        file.write_all(part).unwrap();
        digest.update(part);
        missing -= part.len() as u64;
    }
    HEXLOWER.encode(&digest.finish())
}
