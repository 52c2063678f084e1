//! The newest message of each subscription while it is not in force.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::api::ObjectKey;
use crate::fetch::{Document, Validator};
use crate::trust::Sha256Digest;

/// A message that was fetched.
#[derive(Debug, Clone)]
pub struct Message {
    /// The message as it was fetched, or after it was joined with its signatures or decrypted.
    pub document: Document,
    /// The server's validator of the list.
    pub validator: Option<Validator>,
    /// The detached signatures that are part of it.
    pub beside: Vec<DetachedSignature>,
    /// A description of the response. It is appended to the error that this is no signed list.
    pub came: String,
}

/// The newest message of each subscription while it is not in force. It is verified again in each pass, because what
/// was missing (an endorser, a CRL, space on the volume) may be there now.
#[derive(Debug, Default)]
pub struct PendingMessages(Mutex<HashMap<ObjectKey, Message>>);

impl PendingMessages {
    /// The message of a subscription.
    pub fn get(&self, subscription: &ObjectKey) -> Option<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    /// Sets the message, or removes it.
    pub fn set(&self, subscription: &ObjectKey, message: Option<Message>) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Some(message) => messages.insert(subscription.clone(), message),
            None => messages.remove(subscription),
        };
    }
}

/// A detached signature of a list, with the data to detect changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetachedSignature {
    /// The suffix that is appended to the list's path.
    pub ending: String,
    /// SHA-256 of the signature, because not every server sends a validator.
    pub digest: Sha256Digest,
    /// The server's validator of the signature.
    pub validator: Option<Validator>,
}
