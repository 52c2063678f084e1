//! What the source of a subscription has now, and every check that a pass would make of it. Nothing is kept, and no
//! resource changes.

use std::num::NonZeroUsize;

use jiff::Timestamp;

use super::check::{Checked, check};
use super::fetched::Fetched;
use super::observe::{Observed, observe};
use super::problem::FetchProblem;
use super::schedule::FetchTrigger;
use super::verification::{every_check, explained};
use crate::api::ImageListSubscription;
use crate::imagelist::{ListFormat, SourceUrl};
use crate::reconcile::check::SpecError;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::Message;
use crate::store::ResourceStore;
use crate::trust::{AcceptedList, Check, CredentialKind, EndorserRule, Refusal};

/// Why nothing is known of what a source has now.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The subscription cannot work.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The source cannot be asked, or did not answer with its list.
    #[error("{reason}: {message}")]
    NotFetched {
        /// The reason of the condition `FetchFailed`.
        reason: &'static str,
        /// What was expected and what was found.
        message: String,
    },
    /// No Endorser of the subscription can be used.
    #[error("expected an Endorser that can be used, found none: {unusable}")]
    NoEndorser {
        /// Each Endorser that the subscription names, with the reason.
        unusable: String,
    },
    /// What was fetched cannot be read again.
    #[error("cannot read what was fetched: {0}")]
    Unreadable(std::io::Error),
}

/// Who must have signed.
#[derive(Debug)]
pub enum RequiredSigners {
    /// The Endorsers of the subscription, as many as it requires.
    OfSubscription,
    /// Any one of these.
    AnyOf(Vec<EndorserRule>),
}

/// What a source has now.
pub struct Published {
    checked: Checked,
    observed: Observed,
    message: Message,
    bytes: Vec<u8>,
}

/// The checks of what a source has now.
#[derive(Debug)]
pub struct PublishedChecks {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// The list, as if it were the first one, or why it is refused.
    pub outcome: Result<AcceptedList, Refusal>,
    /// The named Endorsers that do not exist or cannot be used, each with the reason.
    pub unusable: Vec<String>,
    /// Whether a signer may have a certificate, so that trust anchors matter.
    pub by_certificate: bool,
}

impl Published {
    /// Fetches what the source of a subscription has, with its Secrets and certificates, whether it is suspended or not.
    pub async fn fetch<S: ResourceStore>(
        context: &Context<S>,
        object: &ImageListSubscription,
        now: Timestamp,
    ) -> Result<Self, PublishedError> {
        let checked = Checked { suspend: false, deleting: false, ..check(object, &context.settings)? };
        let observed = observe(context, object, &checked, FetchTrigger::Now, now).await;
        let message = match &observed.fetched {
            Fetched::Message(message) => message.clone(),
            Fetched::Failed(FetchProblem { reason, message, .. }) => {
                return Err(PublishedError::NotFetched { reason, message: message.clone() });
            }
            // Nothing is known of it, so its server was asked without a condition.
            Fetched::NotAsked | Fetched::NotModified => {
                let message = format!("{}: expected what it has, found `not modified`", checked.url);
                return Err(PublishedError::NotFetched { reason: "HTTPError", message });
            }
        };
        let bytes = message.document.read().map_err(PublishedError::Unreadable)?;
        Ok(Self { checked, observed, message, bytes })
    }

    /// The address of the source.
    pub fn address(&self) -> &SourceUrl {
        &self.checked.url
    }

    /// How the message becomes a list.
    pub fn format(&self) -> &ListFormat {
        &self.checked.format
    }

    /// The message, as the volume would keep it: joined with its signatures, and not encrypted.
    pub fn into_message(self) -> Vec<u8> {
        self.bytes
    }

    /// Makes every check of the message, as if it were the first one of the subscription. Fails if no Endorser can be used.
    pub fn verify(mut self, signers: RequiredSigners, now: Timestamp) -> Result<PublishedChecks, PublishedError> {
        match signers {
            RequiredSigners::OfSubscription => {}
            RequiredSigners::AnyOf(rules) => {
                self.observed.rules = rules;
                self.observed.unusable.clear();
                self.checked.required_endorsements = NonZeroUsize::MIN;
                self.checked.auto_endorse = false;
            }
        }
        let Self { checked, observed, message, bytes } = self;
        if observed.rules.is_empty() && !checked.auto_endorse {
            return Err(PublishedError::NoEndorser { unusable: observed.unusable.join("; ") });
        }
        let (checks, outcome) = every_check(&checked, &observed, &bytes, now);
        let outcome = outcome.map_err(|refusal| explained(refusal, &message.came));
        let mut kinds = observed.rules.iter().flat_map(|rule| &rule.credentials).map(|credential| &credential.kind);
        let by_certificate = checked.auto_endorse || kinds.any(|kind| matches!(kind, CredentialKind::X509 { .. }));
        Ok(PublishedChecks { checks, outcome, unusable: observed.unusable, by_certificate })
    }
}
