//! Spans and the evaluations within them, which come apart: the evaluations as log records, the
//! spans when they have ended, in any order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most spans that have ended, and most that evaluations wait for.
const MAX_SPANS: usize = 20_000;
/// Most evaluations that wait for one span.
const MAX_WAITING: usize = 100;

/// A trace's id and a span's.
pub type SpanId = [u8; 24];

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    pub failed: bool,
    /// Microseconds it took; none: it does not say.
    pub took_us: Option<u64>,
    /// Milliseconds of Unix time; 0: it does not say.
    pub at_ms: u64,
}

/// A flag was evaluated for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    pub set: String,
    pub flag: String,
    pub user: String,
    pub variant: String,
}

/// The last of both.
#[derive(Default)]
pub struct Spans {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    ended: Recent<Ending>,
    waiting: Recent<Vec<Evaluated>>,
}

/// The newest of many.
struct Recent<T> {
    held: HashMap<SpanId, T>,
    order: VecDeque<SpanId>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { held: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T: Default> Recent<T> {
    /// What is held of a span; the oldest makes room for a new one.
    fn place(&mut self, id: SpanId) -> &mut T {
        if !self.held.contains_key(&id) {
            if self.order.len() == MAX_SPANS
                && let Some(oldest) = self.order.pop_front()
            {
                self.held.remove(&oldest);
            }
            self.order.push_back(id);
        }
        self.held.entry(id).or_default()
    }
}

impl Spans {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the span has ended; if it has not yet, the evaluation waits for that.
    pub fn evaluated(&self, id: SpanId, what: Evaluated) -> Option<Ending> {
        let mut kept = self.lock();
        if let Some(ending) = kept.ended.held.get(&id) {
            return Some(*ending);
        }
        let waiting = kept.waiting.place(id);
        if waiting.len() < MAX_WAITING {
            waiting.push(what);
        }
        None
    }

    /// The evaluations that have waited for the end of a span.
    pub fn ended(&self, id: SpanId, ending: Ending) -> Vec<Evaluated> {
        let mut kept = self.lock();
        *kept.ended.place(id) = ending;
        kept.waiting.held.get_mut(&id).map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> SpanId {
        let mut id = [0; 24];
        id[..8].copy_from_slice(&n.to_le_bytes());
        id
    }

    fn evaluated(user: &str) -> Evaluated {
        let text = str::to_owned;
        Evaluated { set: text("s"), flag: text("f"), user: text(user), variant: text("on") }
    }

    #[test]
    fn a_span_and_its_evaluations_meet_in_any_order_and_once() {
        let spans = Spans::default();
        let ending = Ending { failed: true, took_us: Some(7), at_ms: 9 };
        assert_eq!(spans.evaluated(id(1), evaluated("u1")), None);
        assert_eq!(spans.evaluated(id(1), evaluated("u2")), None);
        assert_eq!(spans.ended(id(1), ending), [evaluated("u1"), evaluated("u2")]);
        assert_eq!(spans.ended(id(1), ending), []);
        assert_eq!(spans.evaluated(id(1), evaluated("u3")), Some(ending));
        assert_eq!(spans.ended(id(2), ending), []);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let spans = Spans::default();
        let most = MAX_SPANS as u64;
        for n in 0..=most {
            spans.evaluated(id(n), evaluated("u"));
            spans.ended(id(n + 1_000_000), Ending::default());
        }
        assert_eq!(spans.ended(id(0), Ending::default()), []);
        assert_eq!(spans.ended(id(most), Ending::default()).len(), 1);
        assert_eq!(spans.evaluated(id(1_000_000), evaluated("u")), None);
        for _ in 0..200 {
            spans.evaluated(id(1), evaluated("u"));
        }
        assert_eq!(spans.ended(id(1), Ending::default()).len(), MAX_WAITING);
    }
}
