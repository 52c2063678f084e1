//! `Endorser`: who may sign image lists.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::{CrlPolicy, ObjectReference, Trust, has_conditions};

/// Who may sign image lists: the certificates and keys by which one signer is known.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vmcatcher.io",
    version = "v1alpha1",
    kind = "Endorser",
    doc = "Who may sign image lists: the certificates and keys by which one signer is known.",
    namespaced,
    status = "EndorserStatus",
    derive = "PartialEq",
    shortname = "end",
    category = "vmcatcher",
    printcolumn(name = "Trust", type_ = "string", json_path = ".spec.trust"),
    printcolumn(name = "Subscriptions", type_ = "integer", json_path = ".status.subscriptions"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#)
)]
#[serde(rename_all = "camelCase")]
pub struct EndorserSpec {
    /// For people.
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Trusted: its lists are accepted. Hold: no new list; what is in force stays. Revoked: what it signed goes out now.
    #[serde(default)]
    pub trust: Trust,
    /// The certificates and keys of this one signer; any one of them is this endorser. Several, since they are
    /// renewed.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub credentials: Vec<Credential>,
    /// Its own certificate authorities and CRLs; they count for this endorser instead of the operator's trust directory. The
    /// entries are files as a trust directory in IGTF layout has them (site-ca.pem, site-ca.r0, site-ca.signing_policy);
    /// another name holds certificates.
    pub trust_anchors: Option<FilesSource>,
    /// What revocation lists must say of every certificate on a signer's path. Require (default): each CA has a current
    /// CRL. IfPresent: none is fine, a bad or outdated one is not. Ignore: not looked at.
    #[serde(default)]
    pub crl_policy: CrlPolicy,
}

/// A `ConfigMap` or a Secret whose entries are files: exactly one of the two.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.configMapRef) != has(self.secretRef)",
    "message": "expected exactly one of configMapRef and secretRef",
}]))]
pub struct FilesSource {
    /// The ConfigMap.
    pub config_map_ref: Option<ObjectReference>,
    /// The Secret.
    pub secret_ref: Option<ObjectReference>,
}

/// One certificate or key by which the endorser is known: exactly one of x509, openPGP and cosign.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.x509), has(self.openPGP), has(self.cosign)].exists_one(one, one)",
    "message": "expected exactly one of x509, openPGP and cosign",
}]))]
pub struct Credential {
    /// Name of this credential, for status and messages.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The same three for this credential alone. Taking the entry away acts as Hold.
    #[serde(default)]
    pub trust: Trust,
    /// An X.509 certificate, known by its names.
    pub x509: Option<X509Credential>,
    /// An OpenPGP key, known by its fingerprint.
    #[serde(rename = "openPGP")]
    pub open_pgp: Option<OpenPgpCredential>,
    /// A key that signs OCI artefacts, as cosign does. It counts for subscriptions with source.oci only.
    pub cosign: Option<CosignCredential>,
}

/// A key that signs OCI artefacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CosignCredential {
    /// The public key in PEM (BEGIN PUBLIC KEY), as cosign.pub has it: ECDSA (P-256, P-384, P-521), RSA or Ed25519.
    #[schemars(length(min = 1, max = 16_384))]
    pub public_key: String,
}

/// An OpenPGP key known by its fingerprint, with the key itself: exactly one of publicKey and publicKeyFrom.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.publicKey) != has(self.publicKeyFrom)",
    "message": "expected exactly one of publicKey and publicKeyFrom",
}]))]
pub struct OpenPgpCredential {
    /// The whole fingerprint (40 or 64 hexadecimal digits, spaces do not count): of the primary key, for it and all its
    /// subkeys that may sign, or of one such subkey alone.
    #[schemars(length(min = 40, max = 128), regex(pattern = r"^[0-9A-Fa-f ]+$"))]
    pub fingerprint: String,
    /// The public key in armour, as gpg --armor --export writes it. A revocation is honoured where it is in the key, or
    /// follows it as a block of its own.
    #[schemars(length(min = 1, max = 131_072))]
    pub public_key: Option<String>,
    /// Where the public key is kept. The entries are read one after the other: keys and revocations.
    pub public_key_from: Option<FilesSource>,
}

/// A certificate known by subject and issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct X509Credential {
    /// Subject as grid tools print it (/DC=org/CN=Name) or as RFC 4514 does (CN=Name,DC=org).
    #[schemars(length(min = 1, max = 1024))]
    pub subject: String,
    /// Issuer, in either spelling.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// SMIMESign (default): the certificate must be made for signing mail. Any: also a host certificate.
    #[serde(default)]
    pub purpose: Purpose,
}

/// What a signing certificate must be made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Purpose {
    /// S/MIME signing: an extended key usage, if there is one, has emailProtection.
    #[default]
    SMIMESign,
    /// Any: a host certificate without emailProtection too.
    Any,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What was seen of an endorser.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndorserStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Ready, CRLsFresh; CredentialExpiring while a credential's certificate has less than 30 days left.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many subscriptions name this endorser.
    #[serde(default)]
    pub subscriptions: i32,
    /// The credentials, with their names as they were understood.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub credentials: Vec<CredentialStatus>,
}

/// What was seen of one credential.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// Name of the credential.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Subject as it was understood, in one spelling; the first name in an OpenPGP key; cosign: and the fingerprint of a cosign key.
    #[schemars(length(max = 2048))]
    pub subject: String,
    /// Issuer as it was understood; empty for a key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub issuer: String,
    /// Fingerprint of the OpenPGP key; of a cosign key, the SHA-256 of its DER.
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,
    /// When the certificate last seen ends, or until when the OpenPGP key can sign.
    pub not_after: Option<Time>,
    /// When a list in force was last accepted with it.
    pub last_seen_time: Option<Time>,
}

has_conditions!(EndorserStatus);
