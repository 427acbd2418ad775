//! Sockets as the codec sees them.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Messages up to this size are put together and sent with one plain `send`, which costs the
/// kernel less than `writev`.
const SMALL: usize = 1024;

fn write_parts(
    stream: Pin<&mut TcpStream>,
    cx: &mut Context<'_>,
    parts: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [one] = parts {
        return stream.poll_write(cx, one);
    }
    let mut whole = [0; SMALL];
    let mut at = 0;
    for part in parts {
        let Some(room) = whole.get_mut(at..at + part.len()) else {
            return stream.poll_write_vectored(cx, parts);
        };
        room.copy_from_slice(part);
        at += part.len();
    }
    stream.poll_write(cx, &whole[..at])
}

/// A client's socket; notes that bytes came.
pub struct Down {
    stream: TcpStream,
    heard: Arc<AtomicBool>,
}

impl Down {
    /// Wraps a client's socket.
    pub fn new(stream: TcpStream, heard: Arc<AtomicBool>) -> Self {
        Self { stream, heard }
    }
}

impl AsyncRead for Down {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        poll
    }
}

impl AsyncWrite for Down {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        write_parts(Pin::new(&mut self.stream), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What the pool keeps of a connection to an instance while the codec owns it.
pub struct Wire {
    stream: RefCell<TcpStream>,
    heard: Cell<bool>,
    full: Cell<bool>,
}

impl Wire {
    /// Wraps a connected socket.
    pub fn new(stream: TcpStream) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
            heard: Cell::new(false),
            full: Cell::new(false),
        })
    }

    /// Forgets that bytes came: a new exchange begins.
    pub fn listen_anew(&self) {
        self.heard.set(false);
    }

    /// Whether any byte came since [`Self::listen_anew`].
    pub fn heard(&self) -> bool {
        self.heard.get()
    }

    /// Whether the socket took less than it was given last: the instance does not read.
    pub fn is_full(&self) -> bool {
        self.full.get()
    }

    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.full.set(poll.is_pending());
        poll
    }

    /// Whether an idle connection is still open on the other side, asked of the kernel.
    pub fn is_open(&self) -> bool {
        let mut byte = [0_u8];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let stream = self.stream.borrow();
        let peeked = rustix::net::recv(stream.as_fd(), &mut byte, flags);
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }
}

/// An instance's socket.
pub struct Up(pub Rc<Wire>);

impl AsyncRead for Up {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.0.heard.set(true);
        }
        poll
    }
}

impl AsyncWrite for Up {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.written(Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.written(write_parts(Pin::new(&mut *self.0.stream.borrow_mut()), cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io::Read;

    #[tokio::test(flavor = "current_thread")]
    async fn a_wire_is_full_until_the_instance_reads() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut instance = listener.accept().unwrap().0;
        let mut up = Up(Wire::new(stream));
        let parts = [7; 2 * SMALL];
        for vectored in [false, true] {
            let write = |mut up: Pin<&mut Up>, cx: &mut Context<'_>| {
                if vectored {
                    up.as_mut().poll_write_vectored(cx, &[io::IoSlice::new(&parts); 2])
                } else {
                    up.as_mut().poll_write(cx, &parts)
                }
            };
            let mut sent = 0;
            while !up.0.is_full() {
                sent += poll_fn(|cx| match write(Pin::new(&mut up), cx) {
                    Poll::Ready(count) => Poll::Ready(count.unwrap()),
                    Poll::Pending => Poll::Ready(0),
                })
                .await;
            }
            let reader = std::thread::spawn(move || {
                instance.read_exact(&mut vec![0; sent]).unwrap();
                instance
            });
            let more = poll_fn(|cx| write(Pin::new(&mut up), cx)).await.unwrap();
            assert!(!up.0.is_full());
            instance = reader.join().unwrap();
            instance.read_exact(&mut vec![0; more]).unwrap();
        }
    }
}
