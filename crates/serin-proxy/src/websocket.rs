//! WebSockets of an instance that leaves: their clients are told so before the connection ends.
//!
//! Whoever sees the end of a connection without a close frame takes it for a fault of the network
//! (code 1006). Where the instance says nothing, the load balancer says "going away" in its place
//! (code 1001, RFC 6455 section 7.4.1), so that clients come back at once, to the live version.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A close frame with code 1001, unmasked as all frames of a server (RFC 6455 section 5.2).
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

const CLOSE: u8 = 0x8;

/// Where a stream of frames is.
#[derive(Debug, Default)]
pub struct Frames {
    /// What there is of the present frame's head; at most 14 bytes.
    head: [u8; 14],
    read: usize,
    /// Bytes of its payload that are still to come.
    payload: u64,
    closed: bool,
}

impl Frames {
    /// Takes note of what the instance sent.
    pub fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len() as u64);
            self.payload -= skipped;
            bytes = bytes.get(skipped as usize..).unwrap_or_default();
            if let Some((first, rest)) = bytes.split_first() {
                self.take(*first);
                bytes = rest;
            }
        }
    }

    /// One byte of a frame's head.
    fn take(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.read) {
            *place = byte;
        }
        self.read += 1;
        let [first, second, ..] = self.head;
        let (long, masked) = (second & 0x7f, second & 0x80 != 0);
        let extra = match long {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.read < 2 || self.read < 2 + extra + if masked { 4 } else { 0 } {
            return;
        }
        let length = self.head.iter().skip(2).take(extra);
        let length = length.fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        self.payload = if extra == 0 { u64::from(long) } else { length };
        self.closed |= first & 0xf == CLOSE;
        self.read = 0;
    }

    /// Whether a frame may be put in here, and the client was not told yet that this is the end.
    fn may_close(&self) -> bool {
        !self.closed && self.read == 0 && self.payload == 0
    }
}

/// The instance's side of a tunnel. At its end a client of a WebSocket reads a close frame first.
pub struct Watched<T> {
    io: T,
    frames: Option<Frames>,
    /// What is still to be said of the close frame, once it is the end.
    last: &'static [u8],
    ended: bool,
}

impl<T> Watched<T> {
    /// `frames` where it is a WebSocket, with what was read of it before.
    pub fn new(io: T, frames: Option<Frames>) -> Self {
        Self { io, frames, last: &[], ended: false }
    }

    fn end(&mut self) {
        self.ended = true;
        if self.frames.as_ref().is_some_and(Frames::may_close) {
            self.last = &GOING_AWAY;
        }
    }

    fn say(&mut self, buf: &mut ReadBuf<'_>) {
        let (now, later) = self.last.split_at(self.last.len().min(buf.remaining()));
        buf.put_slice(now);
        self.last = later;
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        if !self.ended {
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
            let new = buf.filled().get(before..).unwrap_or_default();
            if read.is_ok() && !new.is_empty() {
                if let Some(frames) = &mut self.frames {
                    frames.see(new);
                }
                return Poll::Ready(Ok(()));
            }
            // A plain stream ends as it ended; for a client of a WebSocket a fault is an end too.
            if self.frames.is_none() {
                return Poll::Ready(read);
            }
            self.end();
        }
        self.say(buf);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(length as u8),
            126..65_536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; length]);
        frame
    }

    #[test]
    fn a_close_frame_goes_between_two_frames_and_only_once() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for cut in [1, 2, 3, 7, 4096] {
                let mut frames = Frames::default();
                assert!(frames.may_close());
                let whole = frame(1, length);
                let mut seen = 0;
                for part in whole.chunks(cut) {
                    frames.see(part);
                    seen += part.len();
                    assert_eq!(frames.may_close(), seen == whole.len(), "{length} {cut} {seen}");
                }
            }
        }
        let mut frames = Frames::default();
        frames.see(&frame(CLOSE, 2));
        assert!(!frames.may_close(), "the instance has said it itself");
    }

    #[test]
    fn what_is_ours_is_a_whole_frame() {
        let mut frames = Frames::default();
        frames.see(&GOING_AWAY);
        assert!(frames.closed && frames.payload == 0 && frames.read == 0);
    }
}
