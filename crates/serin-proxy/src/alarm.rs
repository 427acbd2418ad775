//! A timer for a deadline that moves with every request: it is set only when the deadline comes
//! closer, or when it rings too early. A request that ends in time costs no timer operation.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::time::Sleep;

/// The timer. It must always be polled by the same task.
pub struct Alarm {
    timer: Pin<Box<Sleep>>,
    set_for: Instant,
    /// The timer knows whom to wake.
    armed: bool,
}

impl Alarm {
    /// A timer set for this deadline.
    pub fn new(deadline: Instant) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(deadline.into()));
        Self { timer, set_for: deadline, armed: false }
    }

    /// Whether the deadline, which may have moved, is over. If not, the task will be woken.
    pub fn rings(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        deadline: impl Fn() -> Instant,
    ) -> bool {
        let mut wanted = deadline();
        loop {
            if wanted < self.set_for || self.timer.is_elapsed() && wanted > self.set_for {
                self.set_for = wanted;
                self.armed = false;
                self.timer.as_mut().reset(wanted.into());
            }
            if self.armed && !self.timer.is_elapsed() {
                return false;
            }
            self.armed = true;
            match self.timer.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if wanted <= Instant::now() => return true,
                Poll::Ready(()) => wanted = deadline(),
            }
        }
    }
}
