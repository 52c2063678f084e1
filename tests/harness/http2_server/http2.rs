//! HTTP/2, as each path is set up.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_openssl::SslStream;

use super::{Act, Asked, Shared, first_byte};

/// The bytes of one stream that wait to be written to the connection.
const WAITING: usize = 16 << 10;

/// How a connection ends.
enum End {
    GoAway(Reason),
    Cut,
}

pub(super) async fn converse(stream: SslStream<TcpStream>, number: u64, shared: &Arc<Shared>) {
    let handshake = h2::server::Builder::new().max_send_buffer_size(WAITING).handshake(stream);
    let Ok(mut connection) = handshake.await else { return };
    let (ends, mut ended) = mpsc::unbounded_channel();
    loop {
        let request = tokio::select! {
            biased;
            end = ended.recv() => match end {
                Some(End::GoAway(reason)) => {
                    connection.abrupt_shutdown(reason);
                    continue;
                }
                Some(End::Cut) | None => return,
            },
            request = connection.accept() => request,
        };
        let Some(Ok((request, respond))) = request else { return };
        let (shared, ends) = (shared.clone(), ends.clone());
        tokio::spawn(async move {
            let _gone = answer(&request, respond, number, &shared, &ends).await;
        });
    }
}

async fn answer(
    request: &Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: u64,
    shared: &Shared,
    ends: &mpsc::UnboundedSender<End>,
) -> Result<(), h2::Error> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (path, range, if_none_match) = (request.uri().path().to_owned(), header("range"), header("if-none-match"));
    let first = first_byte(range.as_deref());
    let is_known = if_none_match.is_some();
    let authorization = header("authorization");
    let noted = shared.note(Asked { path, http2: true, connection, range, if_none_match, authorization });
    let Some((body, act)) = noted else {
        return respond.send_response(head(StatusCode::NOT_FOUND).body(()).unwrap(), true).map(drop);
    };
    if is_known {
        return respond.send_response(head(StatusCode::NOT_MODIFIED).body(()).unwrap(), true).map(drop);
    }
    match &act {
        Act::Refuse(reason) => {
            respond.send_reset(*reason);
            return Ok(());
        }
        Act::GoAway(None, reason) => return end(ends, End::GoAway(*reason)).await,
        Act::Die(None) => return end(ends, End::Cut).await,
        Act::Redirect(to) => {
            let answer = head(StatusCode::FOUND).header("location", to).body(()).unwrap();
            return respond.send_response(answer, true).map(drop);
        }
        _ => {}
    }
    let bytes = Bytes::from(body.to_vec());
    let answer = answer_head(&act, bytes.len(), first);
    let mut stream = respond.send_response(answer, false)?;
    send(&act, &mut stream, bytes.slice(first.min(bytes.len())..), shared, ends).await
}

fn head(status: StatusCode) -> http::response::Builder {
    Response::builder().status(status).header("etag", "\"1\"")
}

fn answer_head(act: &Act, size: usize, first: usize) -> Response<()> {
    let mut answer = head(if first > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    if first > 0 {
        answer = answer.header("content-range", format!("bytes {first}-{}/{size}", size - 1));
    }
    match act {
        Act::Unmeasured | Act::ResetUnmeasured(..) => {}
        Act::LargeHead(bytes) => {
            for number in 0..bytes / 1000 {
                answer = answer.header(format!("x-{number}"), "x".repeat(1000));
            }
        }
        _ => answer = answer.header("content-length", size.saturating_sub(first)),
    }
    answer.body(()).unwrap()
}

/// Sends the body as the path is set up.
async fn send(
    act: &Act,
    stream: &mut SendStream<Bytes>,
    body: Bytes,
    shared: &Shared,
    ends: &mpsc::UnboundedSender<End>,
) -> Result<(), h2::Error> {
    let part = |length: usize| body.slice(..length.min(body.len()));
    match act {
        Act::Reset(length, reason) | Act::ResetUnmeasured(length, reason) => {
            write(stream, part(*length), false, shared).await?;
            stream.send_reset(*reason);
            Ok(())
        }
        Act::GoAway(length, reason) => {
            write(stream, part(length.unwrap_or(0)), false, shared).await?;
            end(ends, End::GoAway(*reason)).await
        }
        Act::Die(length) => {
            write(stream, part(length.unwrap_or(0)), false, shared).await?;
            end(ends, End::Cut).await
        }
        Act::Hold(length) => {
            write(stream, part(*length), false, shared).await?;
            std::future::pending().await
        }
        Act::Dribble => {
            for at in 0..body.len() {
                write(stream, body.slice(at..=at), at + 1 == body.len(), shared).await?;
            }
            Ok(())
        }
        _ => write(stream, body.clone(), true, shared).await,
    }
}

/// Ends the connection; the stream is kept until then.
async fn end(ends: &mpsc::UnboundedSender<End>, end: End) -> Result<(), h2::Error> {
    let _ended = ends.send(end);
    std::future::pending().await
}

/// Sends bytes as far as the windows of the client let them, and waits until all but the last ones of a body are written
/// to the connection.
async fn write(
    stream: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    is_last: bool,
    shared: &Shared,
) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        let capacity = capacity(stream, 1).await?;
        let piece = bytes.split_to(capacity.min(bytes.len()));
        let sent = piece.len();
        stream.send_data(piece, is_last && bytes.is_empty())?;
        shared.sent(sent);
    }
    if !is_last {
        // There is room for as much as may wait: nothing waits.
        capacity(stream, WAITING).await?;
    }
    Ok(())
}

/// Waits until at least so many bytes may be sent.
async fn capacity(stream: &mut SendStream<Bytes>, least: usize) -> Result<usize, h2::Error> {
    stream.reserve_capacity(WAITING);
    while stream.capacity() < least {
        if poll_fn(|context| stream.poll_capacity(context)).await.transpose()?.is_none() {
            return Err(Reason::CANCEL.into());
        }
    }
    Ok(stream.capacity())
}
