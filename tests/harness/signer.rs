//! Signs lists with the `openssl` command, in every form that S/MIME and CMS have.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pki::Identity;

/// A form that a signed list may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `openssl cms -sign`: multipart/signed.
    Detached,
    /// `openssl smime -sign`: the same by the older code, with x-pkcs7-signature.
    DetachedSmime,
    /// The whole message with CRLF line ends, as it comes through mail.
    DetachedCrlf,
    /// The text signed as it stands, with LF.
    DetachedBinary,
    /// With `Content-Type: text/plain` headers inside what is signed.
    DetachedText,
    /// application/pkcs7-mime, the text inside.
    Opaque,
    /// The same with indefinite lengths (BER).
    OpaqueStream,
    /// With `Content-Type: text/plain` headers inside.
    OpaqueText,
    /// `openssl smime -sign -nodetach`.
    OpaqueSmime,
    Pem,
    /// `openssl smime -outform PEM`: `BEGIN PKCS7`.
    PemSmime,
    Der,
    /// The signer is named by key identifier.
    KeyId,
    /// No signed attributes: the signature is over the text itself.
    NoAttributes,
}

impl Form {
    pub const ALL: [Self; 14] = [
        Self::Detached,
        Self::DetachedSmime,
        Self::DetachedCrlf,
        Self::DetachedBinary,
        Self::DetachedText,
        Self::Opaque,
        Self::OpaqueStream,
        Self::OpaqueText,
        Self::OpaqueSmime,
        Self::Pem,
        Self::PemSmime,
        Self::Der,
        Self::KeyId,
        Self::NoAttributes,
    ];

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Detached => &["cms", "-sign", "-outform", "SMIME"],
            Self::DetachedSmime => &["smime", "-sign", "-outform", "SMIME"],
            Self::DetachedCrlf => &["cms", "-sign", "-outform", "SMIME", "-crlfeol"],
            Self::DetachedBinary => &["cms", "-sign", "-outform", "SMIME", "-binary"],
            Self::DetachedText => &["cms", "-sign", "-outform", "SMIME", "-text"],
            Self::Opaque => &["cms", "-sign", "-outform", "SMIME", "-nodetach"],
            Self::OpaqueStream => &["cms", "-sign", "-outform", "SMIME", "-nodetach", "-stream", "-indef"],
            Self::OpaqueText => &["cms", "-sign", "-outform", "SMIME", "-nodetach", "-text"],
            Self::OpaqueSmime => &["smime", "-sign", "-outform", "SMIME", "-nodetach"],
            Self::Pem => &["cms", "-sign", "-outform", "PEM", "-nodetach"],
            Self::PemSmime => &["smime", "-sign", "-outform", "PEM", "-nodetach"],
            Self::Der => &["cms", "-sign", "-outform", "DER", "-nodetach"],
            Self::KeyId => &["cms", "-sign", "-outform", "SMIME", "-keyid"],
            Self::NoAttributes => &["cms", "-sign", "-outform", "SMIME", "-noattr"],
        }
    }
}

/// Signs a text with SHA-256 as one signer, intermediates inside.
pub fn sign(text: &[u8], signer: &Identity, form: Form) -> Vec<u8> {
    sign_as(text, &[signer], form, "sha256")
}

/// Signs a text as one or more signers, over a digest that `openssl dgst -list` knows.
pub fn sign_as(text: &[u8], signers: &[&Identity], form: Form, digest: &str) -> Vec<u8> {
    sign_with(text, signers, form, digest, &[])
}

/// The same with more arguments, which follow each signer (`-keyopt rsa_padding_mode:pss`).
pub fn sign_with(text: &[u8], signers: &[&Identity], form: Form, digest: &str, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("openssl");
    command.args(form.arguments()).args(["-md", digest]);
    command.arg("-in").arg(write(folder.path(), "text", text));
    command.arg("-out").arg(folder.path().join("out"));
    let mut chain = Vec::new();
    for (index, signer) in signers.iter().enumerate() {
        let (certificate, key) = signer.pem();
        command.arg("-signer").arg(write(folder.path(), &format!("certificate{index}"), &certificate));
        command.arg("-inkey").arg(write(folder.path(), &format!("key{index}"), &key)).args(more);
        chain.extend(signer.chain.iter().map(|certificate| certificate.to_pem().unwrap()));
    }
    chain.sort();
    chain.dedup();
    if !chain.is_empty() {
        command.arg("-certfile").arg(write(folder.path(), "chain", &chain.concat()));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{form:?}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(folder.path().join("out")).unwrap()
}

fn openssl(arguments: &[&str], folder: &Path) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A detached signature of a text, as a file of its own; `more` are arguments such as `-binary`, `-outform`, `DER`.
pub fn detached(text: &[u8], signer: &Identity, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = signer.pem();
    let chain: Vec<u8> = signer.chain.iter().flat_map(|certificate| certificate.to_pem().unwrap()).collect();
    for (name, bytes) in [("text", text), ("certificate", &certificate), ("key", &key), ("chain", &chain)] {
        write(folder.path(), name, bytes);
    }
    let arguments = ["cms", "-sign", "-in", "text", "-signer", "certificate", "-inkey", "key", "-certfile", "chain"];
    openssl(&[&arguments[..], &["-out", "out"], more].concat(), folder.path());
    std::fs::read(folder.path().join("out")).unwrap()
}

/// A message that is encrypted to a certificate; `more` are arguments such as `-aes256`.
pub fn encrypted(message: &[u8], to: &Identity, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "text", message);
    write(folder.path(), "to", &to.pem().0);
    openssl(&[&["cms", "-encrypt", "-binary", "-in", "text", "-out", "out"], more, &["to"]].concat(), folder.path());
    std::fs::read(folder.path().join("out")).unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
