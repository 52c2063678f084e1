//! OpenPGP keys and signatures, made by the `gpg` command at a time that a test chooses.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A keyring of its own, and the clock of whoever uses it.
pub struct Gpg {
    home: PathBuf,
    at: Timestamp,
    files: AtomicUsize,
    /// One `gpg` at a time: two of them spoil a keyring.
    turn: Mutex<()>,
    keeper: Child,
}

/// Waits until its input ends, however that comes about, ends the agent and removes the keyring.
const KEEPER: &str = r#"cat >/dev/null; gpgconf --homedir "$0" --kill all; rm -rf "$0""#;

/// Form of a signed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PgpForm {
    /// The text as people read it.
    Clear,
    /// The same with CRLF line ends.
    ClearCrlf,
    /// The text inside, compressed, in packets.
    Binary,
    /// The same in armour.
    Armor,
    /// Not compressed.
    Uncompressed,
    /// Over the text with CRLF line ends (signature type 0x01), the text inside.
    Text,
}

impl PgpForm {
    pub const ALL: [Self; 6] =
        [Self::Clear, Self::ClearCrlf, Self::Binary, Self::Armor, Self::Uncompressed, Self::Text];

    /// How `gpg` is told.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Clear | Self::ClearCrlf => &["--clear-sign"],
            Self::Binary => &["--sign"],
            Self::Armor => &["--sign", "--armor"],
            Self::Uncompressed => &["--sign", "--armor", "--compress-algo", "none"],
            Self::Text => &["--sign", "--textmode", "--armor"],
        }
    }
}

impl Gpg {
    /// An empty keyring; what it makes is made at `at`. Instead of the present second it is the one before: `gpg` stops its
    /// clock at every second but that one, and a key that takes a moment to make would be newer than what it signs.
    pub fn at(at: Timestamp) -> Self {
        let is_present = at.as_second() == Timestamp::now().as_second();
        let at = if is_present { at - SignedDuration::from_secs(1) } else { at };
        // The agent's socket lies in it: its path must be short.
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let home = tempfile::Builder::new().prefix("gpg").permissions(owner).tempdir_in("/tmp").unwrap().keep();
        let keeper = Command::new("sh").args(["-c", KEEPER]).arg(&home).stdin(Stdio::piped()).spawn().unwrap();
        // It returns when the agent listens. `gpg` starts one too, but waits for it for five seconds only.
        let mut agent = Command::new("gpg-agent");
        let agent =
            agent.arg("--homedir").arg(&home).arg("--daemon").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(agent.expect("gpg-agent is installed (Debian: gpg-agent)").success());
        Self { home, at, files: AtomicUsize::new(0), turn: Mutex::default(), keeper }
    }

    /// The same keyring with its clock set.
    #[must_use]
    pub fn set(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// The time at which it makes things.
    pub fn clock(&self) -> Timestamp {
        self.at
    }

    /// Runs `gpg`, gives what it prints.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        self.run_at(self.at, arguments, input)
    }

    /// The same at another time.
    pub fn run_at(&self, at: Timestamp, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        self.command(at, &[&["--batch"], arguments].concat(), input)
    }

    /// Runs what `gpg` does in a dialogue only; gives what it prints.
    pub fn talk(&self, arguments: &[&str], answers: &str) -> Vec<u8> {
        self.command(self.at, &[&["--command-fd", "0"], arguments].concat(), answers.as_bytes())
    }

    fn command(&self, at: Timestamp, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.home)
            .args(["--yes", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--allow-weak-digest-algos", "--allow-weak-key-signatures", "--no-auto-check-trustdb"])
            .args(["--trust-model", "always", "--faked-system-time"])
            // The clock stands still.
            .arg(format!("{}!", at.as_second()))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gpg is installed (Debian: gnupg)");
        let mut stdin = child.stdin.take().unwrap();
        // It need not read all that it is told.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {told}");
        output.stdout
    }

    /// A key of its own that may certify and sign; gives its fingerprint. `expires` as `gpg` reads it: never, 30d.
    pub fn key(&self, name: &str, algorithm: &str, expires: &str) -> String {
        let user = format!("{name} <{}@example.org>", name.to_lowercase().replace(' ', "."));
        self.run(&["--quick-generate-key", &user, algorithm, "sign", expires], b"");
        self.fingerprints(&user).remove(0)
    }

    /// A subkey that may sign; gives its fingerprint.
    pub fn subkey(&self, key: &str, algorithm: &str, expires: &str) -> String {
        self.run(&["--quick-add-key", key, algorithm, "sign", expires], b"");
        self.fingerprints(key).pop().unwrap()
    }

    /// The fingerprints of a key and of its subkeys.
    pub fn fingerprints(&self, key: &str) -> Vec<String> {
        let listed = String::from_utf8(self.run(&["--with-colons", "--list-keys", key], b"")).unwrap();
        let lines = listed.lines().filter(|line| line.starts_with("fpr:"));
        lines.map(|line| line.split(':').nth(9).unwrap().to_owned()).collect()
    }

    /// The public key in armour.
    pub fn export(&self, key: &str) -> Vec<u8> {
        self.run(&["--armor", "--export", key], b"")
    }

    /// The secret key in armour.
    pub fn export_secret(&self, key: &str) -> Vec<u8> {
        self.run(&["--armor", "--export-secret-keys", key], b"")
    }

    /// Takes keys or revocations into the keyring.
    pub fn import(&self, keys: &[u8]) {
        let path = self.file(keys);
        self.run(&["--import", path.to_str().unwrap()], b"");
    }

    /// A revocation certificate as a block of its own; `reason` as `gpg` numbers them: 0 none, 1 compromised, 2
    /// superseded, 3 no longer used.
    pub fn revocation(&self, key: &str, reason: u8) -> Vec<u8> {
        self.talk(&["--armor", "--gen-revoke", key], &format!("y\n{reason}\n\ny\n"))
    }

    /// Revokes a subkey, counted from 1.
    pub fn revoke_subkey(&self, key: &str, number: usize, reason: u8) {
        self.talk(&["--edit-key", key], &format!("key {number}\nrevkey\ny\n{reason}\n\ny\nsave\n"));
    }

    /// Signs a text by one key.
    pub fn sign(&self, text: &[u8], key: &str, form: PgpForm) -> Vec<u8> {
        self.sign_with(text, &[key], form.arguments(), form == PgpForm::ClearCrlf)
    }

    /// Signs a text by several keys; `more` says how.
    pub fn sign_as(&self, text: &[u8], keys: &[&str], more: &[&str]) -> Vec<u8> {
        self.sign_with(text, keys, more, false)
    }

    /// A signature alone, in armour.
    pub fn detached(&self, text: &[u8], key: &str, more: &[&str]) -> Vec<u8> {
        self.sign_with(text, &[key], &[&["--detach-sign", "--armor"], more].concat(), false)
    }

    fn sign_with(&self, text: &[u8], keys: &[&str], more: &[&str], crlf: bool) -> Vec<u8> {
        let path = self.file(text);
        // With a `!` the key itself is taken, and not its newest subkey.
        let mut arguments = Vec::new();
        for key in keys {
            arguments.extend(["--local-user".to_owned(), format!("{key}!")]);
        }
        arguments.extend(more.iter().map(|one| (*one).to_owned()));
        arguments.extend(["--output".to_owned(), "-".to_owned(), path.to_str().unwrap().to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let signed = self.run(&arguments, b"");
        if crlf { String::from_utf8(signed).unwrap().replace('\n', "\r\n").into_bytes() } else { signed }
    }

    /// Whether `gpg` itself takes a message.
    pub fn verifies(&self, message: &[u8], text: Option<&[u8]>) -> bool {
        let (message, text) = (self.file(message), text.map(|text| self.file(text)));
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--quiet", "--trust-model", "always"]);
        command.arg("--faked-system-time").arg(self.at.as_second().to_string()).arg("--verify").arg(message);
        command.args(text).output().unwrap().status.success()
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.home.join(format!("file-{number}"));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
