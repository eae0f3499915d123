//! Who is there, what is to be done, and who may do what: the crew and its list of open work.

use super::slice;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Work that is under way.
pub(super) trait Pieces: Sync {
    /// Whether a piece can be begun now.
    fn has_more(&self) -> bool;
    /// Does one piece; none if others were faster. Does not panic.
    fn advance(&self);
    /// Lets no further piece be begun.
    fn close(&self);
}

/// So many threads, of which whoever asks for work is one. Clones are the same crew.
#[derive(Clone)]
pub struct Threads(Arc<Handle>);

/// The threads end when nobody can ask them for anything any more.
struct Handle(Arc<Crew>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

pub(super) struct Crew {
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Threads that sleep or are about to: if there are none, nobody need be told of a change.
    sleeping: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    open: Vec<Open>,
    last_id: WorkId,
    started: bool,
    ended: bool,
}

pub(super) type WorkId = u64;

/// Work on the list.
struct Open {
    /// The ids of the work that it is part of, the outermost first, and its own.
    path: Arc<[WorkId]>,
    /// Valid while this stands on the list: see [`Crew::conduct`].
    pieces: &'static dyn Pieces,
    /// Threads other than the one that asked that are at a piece.
    helpers: usize,
}

impl Open {
    fn id(&self) -> WorkId {
        self.path[self.path.len() - 1]
    }
}

thread_local! {
    /// The work that this thread's own work is part of, the outermost first.
    static PATH: RefCell<Arc<[WorkId]>> = RefCell::default();
}

/// Runs `work` as part of what `path` names.
pub(super) fn along<R>(path: &Arc<[WorkId]>, work: impl FnOnce() -> R) -> R {
    let _back = enter(Arc::clone(path));
    work()
}

/// Makes what this thread does part of what `path` names, until the result is dropped.
pub(super) fn enter(path: Arc<[WorkId]>) -> Back {
    Back(PATH.replace(path))
}

/// Puts back what a thread's work was part of.
pub(super) struct Back(Arc<[WorkId]>);

impl Drop for Back {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        // A thread that is ending has no path any more, and needs none.
        let _ = PATH.try_with(|path| path.replace(before));
    }
}

/// The path of `id` as a part of what this thread does.
pub(super) fn path_to(id: WorkId) -> Arc<[WorkId]> {
    PATH.with_borrow(|path| path.iter().copied().chain([id]).collect())
}

impl Threads {
    /// A crew of so many; 0 for as many as the machine runs at once. Threads are started when there is work for them.
    pub fn new(count: usize) -> Self {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let crew =
            Crew { count, state: Mutex::default(), changed: Condvar::new(), sleeping: AtomicUsize::new(0) };
        Self(Arc::new(Handle(Arc::new(crew))))
    }

    /// How many there are, with the one that asks.
    pub fn count(&self) -> usize {
        self.0.0.count
    }

    pub(super) fn crew(&self) -> &Arc<Crew> {
        &self.0.0
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Threads").field(&self.count()).finish()
    }
}

impl Crew {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic happens under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other work and no turn has.
    pub(super) fn new_id(&self) -> WorkId {
        let mut state = self.lock();
        state.last_id += 1;
        state.last_id
    }

    /// Puts `pieces` on the list while `lead`, which is given their path, does its share of them; returns when nobody
    /// is at one any more.
    pub(super) fn conduct<R>(
        self: &Arc<Self>,
        pieces: &dyn Pieces,
        lead: impl FnOnce(&Arc<[WorkId]>) -> R,
    ) -> R {
        let path = path_to(self.new_id());
        // SAFETY: `pieces` outlives `_listed`, whose drop takes it off the list after the last helper has left it; it
        // is dropped on every way out of this function, also by a panic. Nobody keeps it who is not counted as a helper.
        let pieces: &'static dyn Pieces =
            unsafe { std::mem::transmute::<&dyn Pieces, &'static dyn Pieces>(pieces) };
        {
            let mut state = self.lock();
            state.open.push(Open { path: Arc::clone(&path), pieces, helpers: 0 });
            self.start(&mut state);
        }
        let _listed = Listed { crew: self, pieces, path: &path };
        self.tell();
        lead(&path)
    }

    /// Starts the threads, once. Fewer than wanted will do: whoever asks works himself.
    fn start(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.started, true) {
            return;
        }
        for number in 1..self.count {
            let crew = Arc::clone(self);
            let thread = thread::Builder::new().name(format!("coral-{number}"));
            let serve = move || {
                slice::compute_at_length();
                crew.serve();
            };
            if thread.spawn(serve).is_err() {
                return;
            }
        }
    }

    /// Wakes those who sleep, if anybody does: something changed that they may be waiting for.
    pub(super) fn tell(&self) {
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            drop(self.lock());
            self.changed.notify_all();
        }
    }

    /// What a thread of the crew does all its life.
    fn serve(&self) {
        self.work_until(None, |state| state.ended);
    }

    /// Waits until `is_done`, doing pieces of the work named by `of` and of what is part of it meanwhile.
    pub(super) fn wait(&self, of: WorkId, mut is_done: impl FnMut() -> bool) {
        self.work_until(Some(of), |_| is_done());
    }

    fn work_until(&self, of: Option<WorkId>, mut is_done: impl FnMut(&mut State) -> bool) {
        let mut state = self.lock();
        loop {
            // Before looking: who changes something after this look finds somebody to tell.
            self.sleeping.fetch_add(1, Ordering::SeqCst);
            if is_done(&mut state) {
                self.sleeping.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            let chosen = state.choose(of);
            if chosen.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleeping.fetch_sub(1, Ordering::SeqCst);
            if let Some(at) = chosen {
                state = self.help(state, at);
            }
        }
    }

    /// Does one piece of the work that is `at` this place of the list.
    fn help<'a>(&'a self, mut state: MutexGuard<'a, State>, at: usize) -> MutexGuard<'a, State> {
        let open = &mut state.open[at];
        open.helpers += 1;
        let (id, path, pieces) = (open.id(), Arc::clone(&open.path), open.pieces);
        drop(state);
        along(&path, || pieces.advance());
        let mut state = self.lock();
        if let Some(open) = state.find(id) {
            open.helpers -= 1;
            if open.helpers == 0 && !open.pieces.has_more() {
                self.changed.notify_all();
            }
        }
        state
    }
}

impl State {
    fn find(&mut self, id: WorkId) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.id() == id)
    }

    /// Where on the list work lies that has pieces to be done: what others consist of first, and then the newest. Only
    /// such as is part of the work `of`, if that is given.
    fn choose(&self, of: Option<WorkId>) -> Option<usize> {
        let allowed = |open: &Open| of.is_none_or(|of| open.path.contains(&of));
        let open = self.open.iter().enumerate().rev();
        let can_go_on = open.filter(|(_, open)| allowed(open) && open.pieces.has_more());
        can_go_on.min_by_key(|(_, open)| open.path.len()).map(|(at, _)| at)
    }
}

/// Work that stands on the list; taken off when it is dropped.
struct Listed<'a> {
    crew: &'a Crew,
    pieces: &'a dyn Pieces,
    path: &'a [WorkId],
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let id = self.path[self.path.len() - 1];
        self.pieces.close();
        self.crew.work_until(Some(id), |state| match state.open.iter().position(|open| open.id() == id) {
            Some(at) if state.open[at].helpers > 0 => false,
            Some(at) => {
                state.open.remove(at);
                true
            }
            None => true,
        });
    }
}

/// What became of a piece: its result, or the panic that ended it, which goes on in the thread that asked.
pub(super) type Done<T> = thread::Result<T>;

pub(super) fn caught<T>(piece: impl FnOnce() -> T) -> Done<T> {
    catch_unwind(AssertUnwindSafe(piece))
}

pub(super) fn unless_panicked<T>(done: Done<T>) -> T {
    done.unwrap_or_else(|panic| resume_unwind(panic))
}
