//! Work whose results are wanted in order while later pieces are done: a window of them is in memory, no more.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Threads;
use super::crew::{Crew, Done, Pieces, WorkId, along, caught, unless_panicked};

/// Results in memory for each thread: one that is made, one that waits for its turn.
const WINDOW_PER_THREAD: u64 = 2;

impl Threads {
    /// Runs `consume` with what `work` gives for 0, 1, ... `count` - 1, in this order, while the next ones are made. No
    /// more results than two for each thread are in memory. Threads keep what `state` gives them between pieces.
    pub fn in_order<T, S, R>(
        &self,
        count: u64,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, u64) -> T + Sync,
        consume: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
    ) -> R
    where
        T: Send,
        S: Send,
    {
        if self.count() == 1 || count < 2 {
            let mut state = state();
            return consume(&mut (0..count).map(|index| work(&mut state, index)));
        }
        let window = WINDOW_PER_THREAD * self.count() as u64;
        let begun = Window { count, window, next: 0, taken: 0, done: VecDeque::new(), is_awaited: false };
        let ordered =
            Ordered { crew: self.crew(), window: Mutex::new(begun), idle: Mutex::default(), state, work };
        self.crew()
            .conduct(&ordered, |path| consume(&mut InOrder { ordered: &ordered, path, crew: self.crew() }))
    }
}

struct Window<T> {
    count: u64,
    window: u64,
    /// The piece that is begun next.
    next: u64,
    /// How many results were handed on.
    taken: u64,
    /// The results from `taken` on, of the pieces that were begun.
    done: VecDeque<Option<Done<T>>>,
    /// Whether the consumer sleeps until the first of these is there.
    is_awaited: bool,
}

impl<T> Window<T> {
    fn has_more(&self) -> bool {
        self.next < self.count.min(self.taken + self.window)
    }

    fn begin(&mut self) -> Option<u64> {
        let index = self.has_more().then_some(self.next)?;
        self.next += 1;
        self.done.push_back(None);
        Some(index)
    }

    fn is_first_done(&self) -> bool {
        matches!(self.done.front(), Some(Some(_)))
    }
}

struct Ordered<'c, T, S, N, W> {
    crew: &'c Crew,
    window: Mutex<Window<T>>,
    idle: Mutex<Vec<S>>,
    state: N,
    work: W,
}

impl<T, S, N, W> Ordered<'_, T, S, N, W> {
    fn window(&self) -> MutexGuard<'_, Window<T>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, S, N, W> Pieces for Ordered<'_, T, S, N, W>
where
    T: Send,
    S: Send,
    N: Fn() -> S + Sync,
    W: Fn(&mut S, u64) -> T + Sync,
{
    fn has_more(&self) -> bool {
        self.window().has_more()
    }

    fn advance(&self) {
        let Some(index) = self.window().begin() else { return };
        let result = caught(|| {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut state = idle.unwrap_or_else(&self.state);
            let result = (self.work)(&mut state, index);
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
            result
        });
        let mut window = self.window();
        let at = (index - window.taken) as usize;
        window.done[at] = Some(result);
        let is_wanted = at == 0 && std::mem::take(&mut window.is_awaited);
        drop(window);
        if is_wanted {
            self.crew.tell();
        }
    }

    fn close(&self) {
        let mut window = self.window();
        window.count = window.next;
    }
}

/// The results in order. Who takes them makes them too where nobody else has begun.
struct InOrder<'o, O> {
    ordered: &'o O,
    path: &'o std::sync::Arc<[WorkId]>,
    crew: &'o Crew,
}

impl<T, S, N, W> Iterator for InOrder<'_, Ordered<'_, T, S, N, W>>
where
    T: Send,
    S: Send,
    N: Fn() -> S + Sync,
    W: Fn(&mut S, u64) -> T + Sync,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            let mut window = self.ordered.window();
            if window.taken == window.count {
                return None;
            }
            if window.is_first_done() {
                let done = window.done.pop_front().flatten()?;
                window.taken += 1;
                drop(window);
                self.crew.tell();
                return Some(unless_panicked(done));
            }
            let has_more = window.has_more();
            window.is_awaited = !has_more;
            drop(window);
            if has_more {
                along(self.path, || self.ordered.advance());
            } else {
                let id = self.path[self.path.len() - 1];
                self.crew.wait(id, || self.ordered.window().is_first_done());
            }
        }
    }
}
