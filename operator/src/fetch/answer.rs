//! An HTTP response: its head, its final URL, and its decoded body.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::came::Came;
use super::encoding::{Decoded, Decoder, Encoding};
use super::error::{FetchError, failure};
use super::http2::{Stream, is_whole};
use crate::imagelist::SourceUrl;

/// The maximum wait for the first bytes of a refused response, which are shown in the message.
const PATIENCE: Duration = Duration::from_secs(2);

/// A response, and its place if it came over HTTP/2.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) response: Response,
    pub(super) stream: Option<Stream>,
}

/// A response whose body has not been read yet.
#[derive(Debug)]
pub(super) struct Answer {
    arrived: Arrived,
    asked: SourceUrl,
    encoding: Encoding,
    came: Came,
}

/// The body of a response.
#[derive(Debug)]
pub(super) struct Body {
    /// `None` after its last byte.
    arrived: Option<Arrived>,
    decoder: Option<Decoder>,
    begun: bool,
    url: SourceUrl,
}

impl Answer {
    /// The response from `last` to a request that started at `asked`, and the proxy that was used.
    pub(super) fn new(arrived: Arrived, asked: &SourceUrl, last: &SourceUrl, proxy: Option<String>) -> Self {
        let headers = arrived.response.headers();
        let encoding = Encoding::of(headers);
        let came = Came::of(headers, &encoding, asked, last, proxy);
        Self { arrived, asked: asked.clone(), encoding, came }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.arrived.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.arrived.response.headers()
    }

    /// `Content-Length`: the length of the transferred, possibly encoded bytes.
    pub(super) fn length(&self) -> Option<u64> {
        self.arrived.response.content_length()
    }

    /// Whether the server states the end of the body, not only its connection.
    pub(super) fn ends_surely(&self) -> bool {
        self.headers().contains_key(TRANSFER_ENCODING) || self.arrived.stream.is_some() && self.length().is_none()
    }

    pub(super) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The body, decoded.
    pub(super) fn decoded(self) -> (Body, Came) {
        let decoder = self.encoding.decoder();
        (Body { arrived: Some(self.arrived), decoder, begun: false, url: self.asked }, self.came)
    }

    /// The body as it is transferred, not decoded.
    pub(super) fn raw(self) -> (Body, Came) {
        (Body { arrived: Some(self.arrived), decoder: None, begun: false, url: self.asked }, self.came)
    }

    /// The description of the response with its first bytes, for a response that is of no use.
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
            let came = self.chunk().await?;
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

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(arrived) = &mut self.arrived else { return Ok(None) };
        match arrived.response.chunk().await {
            Ok(Some(bytes)) => return Ok(Some(bytes)),
            Ok(None) => {}
            Err(error) => {
                arrived.stream.iter().for_each(|stream| stream.failed(&error));
                return Err(failure(&self.url, error));
            }
        }
        if self.arrived.take().is_none_or(|arrived| is_whole(arrived.response)) {
            return Ok(None);
        }
        let message = "expected the whole answer, the server ended it before its end".to_owned();
        Err(FetchError::Connection { url: self.url.clone(), message })
    }

    /// Whether the body is decoded.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Reads the first bytes, for a message. Errors are ignored.
    pub(super) async fn begin(&mut self, came: &mut Came) {
        if let Ok(Ok(Some(bytes))) = timeout(PATIENCE, self.next()).await {
            came.begins_with(&bytes);
        }
    }
}
