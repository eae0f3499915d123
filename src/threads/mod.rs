//! The threads that hash, code, decode and compare: one crew for all of it.
//!
//! Work is cut into pieces. Whoever asks does pieces himself until none is left, and idle threads of the crew take some
//! of them; so asking costs nothing where the crew has one member, and never waits for a free thread.
//!
//! **Who waits does pieces of what he waits for, and no others**: those of the work that it consists of, never some
//! that merely happens to be there. So a stack has at most one piece for each level at which pieces ask for work
//! themselves, however many pieces there are, and a lock that is held while waiting is met again only where it would
//! have been in one thread. A pool that steals work while it waits has neither bound.

mod beside;
mod crew;
mod each;
mod ordered;
mod slice;
#[cfg(test)]
mod tests;
mod turn;

pub use beside::while_waiting;
pub use crew::Threads;
pub use slice::{answer_at_once, compute_at_length};
pub use turn::{Taken, Turn};
