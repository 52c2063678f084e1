//! Signatures as cosign makes them with a key pair. The `openssl` command signs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::BUNDLE;

/// A key pair.
pub struct SigningKey {
    folder: TempDir,
    is_edwards: bool,
}

impl SigningKey {
    /// A key of ECDSA on P-256, which `cosign generate-key-pair` makes.
    pub fn new() -> Self {
        Self::of_kind(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    /// A key of another kind, by arguments of `openssl genpkey`.
    pub fn of_kind(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Self { folder, is_edwards: arguments.contains(&"ED25519") };
        openssl(Command::new("openssl").arg("genpkey").args(arguments).arg("-out").arg(key.private()), b"");
        key
    }

    fn private(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The public key in PEM.
    pub fn public(&self) -> String {
        let arguments = ["pkey", "-pubout", "-in"];
        String::from_utf8(openssl(Command::new("openssl").args(arguments).arg(self.private()), b"")).unwrap()
    }

    /// SHA-256 of the public key's DER.
    pub fn digest(&self) -> [u8; 32] {
        let arguments = ["pkey", "-pubout", "-outform", "DER", "-in"];
        Sha256::digest(openssl(Command::new("openssl").args(arguments).arg(self.private()), b"")).into()
    }

    /// The signature over a text, in base64.
    pub fn sign(&self, text: &[u8]) -> String {
        let mut command = Command::new("openssl");
        let signature = if self.is_edwards {
            let path = self.folder.path().join(format!("text-{}", fastrand::u64(..)));
            std::fs::write(&path, text).unwrap();
            openssl(
                command.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(self.private()).arg("-in").arg(path),
                b"",
            )
        } else {
            openssl(command.args(["dgst", "-sha256", "-sign"]).arg(self.private()), text)
        };
        STANDARD.encode(signature)
    }

    /// A bundle with a DSSE envelope of a statement.
    pub fn envelope(&self, statement: &Value) -> Vec<u8> {
        let (kind, payload) = ("application/vnd.in-toto+json", statement.to_string());
        let text = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
        self.bundle(
            "dsseEnvelope",
            &json!({
                "payload": STANDARD.encode(&payload), "payloadType": kind,
                "signatures": [{"sig": self.sign(text.as_bytes()), "keyid": ""}],
            }),
        )
    }

    /// A bundle with a signature over a manifest itself.
    pub fn message_signature(&self, manifest: &[u8]) -> Vec<u8> {
        self.bundle(
            "messageSignature",
            &json!({
                "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(manifest))},
                "signature": self.sign(manifest),
            }),
        )
    }

    fn bundle(&self, member: &str, content: &Value) -> Vec<u8> {
        let mut bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "publicKey": {"hint": STANDARD.encode(self.digest())},
                "tlogEntries": [], "timestampVerificationData": {"rfc3161Timestamps": []},
            },
        });
        bundle[member] = content.clone();
        bundle.to_string().into_bytes()
    }
}

impl Default for SigningKey {
    fn default() -> Self {
        Self::new()
    }
}

/// The payload of the older form.
pub fn payload(reference: &str, digest: &str) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    payload.to_string().into_bytes()
}

/// The statement of a signature of an artefact.
pub fn statement(digest: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.trim_start_matches("sha256:")}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    })
}

fn openssl(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = piped.spawn().expect("openssl starts");
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
