//! Signatures of OCI artefacts by a key pair, as cosign makes them: the older form (a signed payload that names the
//! manifest) and Sigstore bundles. Keyless signatures (Fulcio, Rekor) are not read: the key must be a credential.

mod bundle;
mod evidence;
mod key;
mod payload;

pub(super) use evidence::evidence;
pub use key::{CosignKey, CosignKeyError};
