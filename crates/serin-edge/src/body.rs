//! Bodies: whole, with the status line of gRPC behind it, or as long as there is news.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body of an answer.
pub enum Body {
    /// All there is to say.
    Whole(Option<Bytes>),
    /// One message of gRPC, then its trailers.
    Message(Option<Bytes>, Option<HeaderMap>),
    /// As long as it goes on.
    Stream(Pin<Box<dyn Frames>>),
    /// The first frame of a stream that is carried on without the codec.
    Lead(Rc<Handover>),
}

/// A stream on its way from the codec to whoever carries it on.
#[derive(Default)]
pub struct Handover {
    frames: RefCell<Option<Pin<Box<dyn Frames>>>>,
    led: Cell<bool>,
    ready: Cell<bool>,
}

impl Handover {
    /// Of these frames.
    pub fn new(frames: Pin<Box<dyn Frames>>) -> Rc<Self> {
        Rc::new(Self { frames: RefCell::new(Some(frames)), ..Self::default() })
    }

    /// Whether the codec has taken the first frame and waits for more.
    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// The rest of it.
    pub fn take(&self) -> Option<Pin<Box<dyn Frames>>> {
        self.frames.take()
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.led.get() {
            self.ready.set(true);
            return Poll::Pending;
        }
        let mut frames = self.frames.borrow_mut();
        let Some(frames) = frames.as_mut() else { return Poll::Ready(None) };
        let polled = frames.as_mut().poll_next(cx);
        self.led.set(matches!(polled, Poll::Ready(Some(_))));
        polled
    }
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// A body that asks `next` for one frame after the other until there is none. State goes from
    /// call to call.
    pub fn unfold<S, F, W>(state: S, next: F) -> Self
    where
        S: 'static,
        F: FnMut(S) -> W + 'static,
        W: Future<Output = Option<(Frame<Bytes>, S)>> + 'static,
    {
        Self::Stream(Box::pin(Unfold { state: Some(state), next, waiting: None }))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

/// What gives one frame after the other.
pub trait Frames {
    /// The next frame; none at the end.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>>;
}

struct Unfold<S, F, W> {
    state: Option<S>,
    next: F,
    waiting: Option<Pin<Box<W>>>,
}

impl<S, F, W> Unpin for Unfold<S, F, W> {}

impl<S, F, W> Frames for Unfold<S, F, W>
where
    F: FnMut(S) -> W,
    W: Future<Output = Option<(Frame<Bytes>, S)>>,
{
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let this = &mut *self;
        if let Some(state) = this.state.take() {
            this.waiting = Some(Box::pin((this.next)(state)));
        }
        let Some(waiting) = &mut this.waiting else { return Poll::Ready(None) };
        waiting.as_mut().poll(cx).map(|step| {
            this.waiting = None;
            let (frame, state) = step?;
            this.state = Some(state);
            Some(frame)
        })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut *self {
            Self::Whole(bytes) => bytes.take().map(Frame::data),
            Self::Message(bytes, trailers) => {
                bytes.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers))
            }
            Self::Stream(frames) => return frames.as_mut().poll_next(cx).map(|one| one.map(Ok)),
            Self::Lead(handover) => return handover.poll(cx).map(|one| one.map(Ok)),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None) | Self::Message(None, None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Message(..) | Self::Stream(_) | Self::Lead(_) => SizeHint::new(),
        }
    }
}
