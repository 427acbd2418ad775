//! Bodies on their way through, and what their ends mean for the counters and the pool.

use crate::count::Ticket;
use crate::mirror::Tee;
use crate::pool::Line;
use crate::route::{Held, Service};
use crate::session::Session;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Why a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The client's request body ended early or was malformed, or it took nothing of the response
    /// within the request timeout.
    #[error("the client broke off its request")]
    Client,
    /// The instance's response ended early.
    #[error("the instance broke off its response")]
    Instance,
    /// The request timeout ran out within the response.
    #[error("the response made no progress within the request timeout")]
    Timeout,
}

/// State of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploading {
    /// None, or all of it sent.
    Done,
    /// The instance can take more, the client has not sent it yet.
    Waits,
    /// Moving.
    Moves,
    /// The client broke it off.
    Broke,
}

/// State of the response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downloading {
    /// There is no response yet, or nothing is left of it.
    No,
    /// Some of it is there and not the end, and the client has not taken it yet.
    Offered,
    /// The client can take more, the instance has not sent it yet.
    Waits,
}

/// A request body.
pub enum Upload {
    /// None.
    Empty,
    /// Passed on as it comes; gathered on the way if it is copied.
    Stream(Incoming, Rc<Session>, Option<Box<Tee>>),
    /// That of a copy.
    Whole(Option<Bytes>),
}

/// A part of a request body on its way to its copy.
fn gather(tee: &mut Option<Box<Tee>>, poll: &Frames<hyper::Error>, ended: bool) {
    let Some(tee) = tee else { return };
    if let Poll::Ready(Some(Ok(frame))) = poll
        && let Some(data) = frame.data_ref()
    {
        tee.push(data);
    }
    if ended || matches!(poll, Poll::Ready(None)) {
        tee.end();
    }
}

type Frames<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let (incoming, session, tee) = match self.get_mut() {
            Self::Stream(incoming, session, tee) => (incoming, session, tee),
            Self::Whole(body) => return Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Empty => return Poll::Ready(None),
        };
        let poll = Pin::new(&mut *incoming).poll_frame(cx);
        if tee.is_some() {
            gather(tee, &poll, incoming.is_end_stream());
        }
        let (state, poll) = match poll {
            Poll::Pending => (Uploading::Waits, Poll::Pending),
            Poll::Ready(None) => (Uploading::Done, Poll::Ready(None)),
            Poll::Ready(Some(Ok(frame))) => (Uploading::Moves, Poll::Ready(Some(Ok(frame)))),
            Poll::Ready(Some(Err(_))) => (Uploading::Broke, Poll::Ready(Some(Err(Broken::Client)))),
        };
        session.uploading(state);
        poll
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(body) => body.is_none(),
            Self::Stream(incoming, session, _) => {
                let end = incoming.is_end_stream();
                if end {
                    session.uploading(Uploading::Done);
                }
                end
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(incoming, ..) => incoming.size_hint(),
        }
    }
}

/// A response body.
pub enum Download {
    /// None.
    Empty,
    /// One line of our own.
    Text(&'static str),
    /// The instance's, passed on as it comes.
    Stream(Stream),
}

/// A response on its way, with everything that must happen at its end.
pub struct Stream {
    pub incoming: Incoming,
    pub line: Option<Box<Line>>,
    pub held: Held,
    pub ticket: Ticket,
    pub server_error: bool,
    pub service: Rc<Service>,
    pub session: Rc<Session>,
    /// The response's head has just come.
    pub moved: bool,
}

impl Stream {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.session.expired.get() {
            return self.expired();
        }
        let mut poll = Pin::new(&mut self.incoming).poll_frame(cx);
        if let (Poll::Pending, Some(line)) = (&poll, &mut self.line) {
            line.poll(cx);
            poll = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match poll {
            Poll::Pending => {
                self.session.download.set(Downloading::Waits);
                if std::mem::take(&mut self.moved) {
                    self.session.progress(Instant::now());
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.is_end_stream() {
                    self.whole(cx);
                } else {
                    self.session.download.set(Downloading::Offered);
                    self.session.progress(Instant::now());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.cut(),
            Poll::Ready(None) => {
                self.whole(cx);
                Poll::Ready(None)
            }
        }
    }

    /// The whole response has passed.
    pub fn whole(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        self.ticket.finish(now, self.server_error);
        self.session.rest(now);
        if let Some(line) = self.line.take() {
            self.held.0.pool.put(line, cx, now);
        }
    }

    fn expired(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.session.waits_for_client() {
            self.ticket.aborted();
            return self.broke(Broken::Client);
        }
        self.ticket.timed_out();
        self.broke(Broken::Timeout)
    }

    fn cut(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.session.upload.get() == Uploading::Broke {
            self.ticket.aborted();
            return self.broke(Broken::Client);
        }
        self.ticket.reset();
        self.ticket.failed();
        self.broke(Broken::Instance)
    }

    fn broke(&mut self, why: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if why != Broken::Client {
            self.service.truncated.set(self.service.truncated.get() + 1);
        }
        self.line = None;
        Poll::Ready(Some(Err(why)))
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Stream(stream) => stream.step(cx),
            Self::Empty => Poll::Ready(None),
            text @ Self::Text(_) => {
                let Self::Text(line) = std::mem::replace(text, Self::Empty) else {
                    return Poll::Ready(None);
                };
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(line.as_bytes())))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(_) => false,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Text(line) => SizeHint::with_exact(line.len() as u64),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}
