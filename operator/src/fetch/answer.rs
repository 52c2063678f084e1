//! An answer: its head, where it came from in the end, and its bytes, decoded.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::came::Came;
use super::encoding::{Decoded, Decoder, Encoding};
use super::error::FetchError;
use super::request::failure;
use crate::imagelist::SourceUrl;

/// So long is waited for the first bytes of an answer that is refused anyway, to tell how it begins.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer whose body was not read yet.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    asked: SourceUrl,
    encoding: Encoding,
    came: Came,
}

/// The bytes of an answer.
#[derive(Debug)]
pub(super) struct Body {
    response: Response,
    decoder: Option<Decoder>,
    begun: bool,
    url: SourceUrl,
}

impl Answer {
    /// The answer of `last` to a request that began with `asked`, and the proxy that it came through.
    pub(super) fn new(response: Response, asked: &SourceUrl, last: &SourceUrl, proxy: Option<String>) -> Self {
        let encoding = Encoding::of(response.headers());
        let came = Came::of(response.headers(), &encoding, asked, last, proxy);
        Self { response, asked: asked.clone(), encoding, came }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// `Content-Length`: of the bytes on the way, encoded as they are.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    pub(super) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The bytes that were encoded.
    pub(super) fn decoded(self) -> (Body, Came) {
        let decoder = self.encoding.decoder();
        (Body { response: self.response, decoder, begun: false, url: self.asked }, self.came)
    }

    /// The bytes as they are on the way.
    pub(super) fn raw(self) -> (Body, Came) {
        (Body { response: self.response, decoder: None, begun: false, url: self.asked }, self.came)
    }

    /// What came, with how it begins: for an answer that is of no use.
    pub(super) async fn came(self) -> Box<Came> {
        let (mut body, mut came) = self.decoded();
        body.begin(&mut came).await;
        Box::new(came)
    }
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let encoded = |message| FetchError::Encoding { url: self.url.clone(), message };
                match decoder.next().map_err(encoded)? {
                    Decoded::Piece(piece) => return Ok(Some(piece)),
                    Decoded::End => return Ok(None),
                    Decoded::Hungry => {}
                }
            }
            let came = self.response.chunk().await.map_err(|error| failure(&self.url, error))?;
            if !std::mem::replace(&mut self.begun, true) {
                self.decoder.take_if(|decoder| came.as_ref().is_some_and(|bytes| !decoder.takes(bytes)));
            }
            match (&mut self.decoder, came) {
                (None, came) => return Ok(came),
                (Some(decoder), Some(bytes)) => decoder.feed(bytes),
                (Some(decoder), None) => decoder.end(),
            }
        }
    }

    /// Whether an encoding is undone.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Reads what comes first, for a message. Whatever goes wrong on the way goes wrong without a word.
    pub(super) async fn begin(&mut self, came: &mut Came) {
        if let Ok(Ok(Some(bytes))) = timeout(PATIENCE, self.next()).await {
            came.begins_with(&bytes);
        }
    }
}
