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
    /// The message as it came, or as it was put together or opened.
    pub document: Document,
    /// How the server names them.
    pub validator: Option<Validator>,
    /// The signatures beside the list that are part of it.
    pub beside: Vec<DetachedSignature>,
    /// What the answer says of itself: the end of a message that says that this is no signed list.
    pub came: String,
}

/// The newest message of each subscription while it is not in force: judged anew in each pass, for what was missing
/// (an endorser, a CRL, space on the volume) may have come.
#[derive(Debug, Default)]
pub struct PendingMessages(Mutex<HashMap<ObjectKey, Message>>);

impl PendingMessages {
    /// The message of a subscription.
    pub fn get(&self, subscription: &ObjectKey) -> Option<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    /// Holds a message, or lets go of the one that was held.
    pub fn set(&self, subscription: &ObjectKey, message: Option<Message>) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Some(message) => messages.insert(subscription.clone(), message),
            None => messages.remove(subscription),
        };
    }
}

/// A signature beside a list, as it was fetched: what tells whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetachedSignature {
    /// What is put behind the list's path.
    pub ending: String,
    /// SHA-256 of the signature: not every server names what it sends.
    pub digest: Sha256Digest,
    /// How the server names it.
    pub validator: Option<Validator>,
}
