//! A place that one thread at a time may be at, and that others help to become free.

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Threads;
use super::crew::{Back, Crew, WorkId, enter, path_to};

/// What one thread has at a time. Who waits for it does pieces of the work that its holder asked for: so one long
/// piece of work under it has all threads.
#[derive(Debug, Default)]
pub struct Turn {
    taken: AtomicBool,
    id: OnceLock<WorkId>,
}

impl Threads {
    /// Waits until nobody has the turn, and has it until the result is dropped.
    pub fn take<'t>(&'t self, turn: &'t Turn) -> Taken<'t> {
        let crew = self.crew();
        let id = *turn.id.get_or_init(|| crew.new_id());
        let take = || !turn.taken.swap(true, Ordering::SeqCst);
        if !take() {
            crew.wait(id, take);
        }
        Taken { back: Some(enter(path_to(id))), turn, crew, _stays: PhantomData }
    }
}

/// The turn, had by this thread.
pub struct Taken<'t> {
    back: Option<Back>,
    turn: &'t Turn,
    crew: &'t Crew,
    /// It stays in the thread whose work it is part of.
    _stays: PhantomData<*const ()>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.back = None;
        self.turn.taken.store(false, Ordering::SeqCst);
        self.crew.tell();
    }
}
