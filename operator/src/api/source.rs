//! Where a list is fetched, and how its server is checked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::ObjectReference;

/// Where a list is fetched.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListSource {
    /// Address of the list: https or http; file only without a cluster. Never with user:password@, use secretRef.
    #[schemars(length(max = 2048), regex(pattern = r"^(https?|file)://"))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!self.matches('^[a-z]+://[^/?#]*@')",
        "message": "expected no user:password@, use secretRef",
    }]))]
    pub url: String,
    /// A Secret with one of: username and password; token (sent as the user name, with the password
    /// x-oauth-basic); bearerToken.
    pub secret_ref: Option<ObjectReference>,
    /// How the server's certificate is checked.
    #[serde(default)]
    pub tls: Tls,
}

/// How a server's certificate is checked.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.trust != 'Secret' || has(self.certSecretRef)",
        "message": "expected certSecretRef with trust: Secret",
    },
    {
        "rule": "self.trust != 'Grid' || !has(self.certSecretRef)",
        "message": "expected no certSecretRef with trust: Grid",
    },
]))]
pub struct Tls {
    /// System (default): the operating system's authorities. Grid: those of the trust directory. Secret: ca.crt of
    /// certSecretRef.
    #[serde(default)]
    pub trust: TlsTrust,
    /// A Secret with ca.crt, and tls.crt and tls.key where the server asks for a client certificate.
    pub cert_secret_ref: Option<ObjectReference>,
}

/// Whose word is taken for a server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsTrust {
    /// The operating system's certificate authorities.
    #[default]
    System,
    /// The certificate authorities of the trust directory.
    Grid,
    /// The authority in `ca.crt` of the Secret.
    Secret,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
