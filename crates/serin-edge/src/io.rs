//! A client's socket as the codec sees it: what was read to tell the protocols apart comes first,
//! and a small answer is one `send`.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Messages up to this size are put together and sent with one plain `send`, which costs the
/// kernel less than `writev`.
const SMALL: usize = 1024;
/// No method of HTTP/1.1 begins like this, every HTTP/2 connection does.
const PREFACE: &[u8; 3] = b"PRI";

/// The socket, and what of its bytes nobody has consumed yet.
pub struct Socket {
    stream: TcpStream,
    first: [u8; PREFACE.len()],
    left: usize,
    /// It took less than it was given last.
    full: Rc<Cell<bool>>,
}

impl Socket {
    /// Waits for the first bytes. Whether the client speaks HTTP/2 comes with it.
    ///
    /// # Errors
    /// The client closes before it has said anything, or whatever the socket says.
    pub async fn open(mut stream: TcpStream) -> io::Result<(Self, bool)> {
        let mut first = [0; PREFACE.len()];
        stream.read_exact(&mut first).await?;
        let is_http2 = first == *PREFACE;
        Ok((Self { stream, first, left: PREFACE.len(), full: Rc::default() }, is_http2))
    }

    /// Whether what was written is not yet out, from now on.
    pub fn full(&self) -> Rc<Cell<bool>> {
        self.full.clone()
    }

    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.full.set(poll.is_pending());
        poll
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left > 0 {
            let from = self.first.len() - self.left;
            let count = self.left.min(buf.remaining());
            buf.put_slice(&self.first[from..from + count]);
            self.left -= count;
            if self.left > 0 {
                return Poll::Ready(Ok(()));
            }
            // What else is there already comes along.
            return match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => Poll::Ready(Ok(())),
            };
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let mut whole = [0; SMALL];
        let mut at = 0;
        for part in parts {
            let Some(room) = whole.get_mut(at..at + part.len()) else {
                let poll = stream.poll_write_vectored(cx, parts);
                return self.written(poll);
            };
            room.copy_from_slice(part);
            at += part.len();
        }
        let poll = stream.poll_write(cx, &whole[..at]);
        self.written(poll)
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test(flavor = "current_thread")]
    async fn what_told_the_protocols_apart_is_read_again() {
        for (sent, wanted) in [("PRI * HTTP/2.0", true), ("POST / HTTP/1.1", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let (mut socket, is_http2) =
                Socket::open(listener.accept().await.unwrap().0).await.unwrap();
            let mut text = String::new();
            socket.read_to_string(&mut text).await.unwrap();
            assert_eq!((text.as_str(), is_http2), (sent, wanted));
        }
    }
}
