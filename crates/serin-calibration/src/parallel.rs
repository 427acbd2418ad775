//! Many runs on a few threads, with results in the order of the runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Results of `run(0)` to `run(count - 1)`, in that order however the work was divided.
pub fn map<T: Send>(count: usize, threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| work(&next, count, &run, &done));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn work<T>(
    next: &AtomicUsize,
    count: usize,
    run: &impl Fn(usize) -> T,
    done: &Mutex<Vec<(usize, T)>>,
) {
    let mut mine = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= count {
            break;
        }
        mine.push((at, run(at)));
    }
    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.append(&mut mine);
}
