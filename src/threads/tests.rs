//! Every piece once, in bounded stacks, without a deadlock.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use super::{Threads, Turn};

thread_local! {
    /// Pieces on this thread's stack.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs a piece and remembers how many were on one stack at most.
fn on_stack<R>(deepest: &AtomicUsize, piece: impl FnOnce() -> R) -> R {
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    deepest.fetch_max(depth, Ordering::Relaxed);
    let result = piece();
    DEPTH.set(depth - 1);
    result
}

/// Some work that cannot be optimised away.
fn spin(rounds: u64) -> u64 {
    (0..rounds).fold(rounds, |x, y| std::hint::black_box(x.rotate_left(5) ^ y))
}

#[test]
fn every_item_is_done_once_and_results_keep_the_order() {
    for count in 1..5 {
        let threads = Threads::new(count);
        for len in [0, 1, 2, 3, 500] {
            let doubled = threads.map(0..len, |n| n * 2);
            assert_eq!(doubled, (0..len).map(|n| n * 2).collect::<Vec<_>>());
            let sum = AtomicU64::new(0);
            let add = |_: &mut (), n: u32| {
                sum.fetch_add(u64::from(n), Ordering::Relaxed);
                Ok::<(), ()>(())
            };
            threads.try_each(0..len, || (), add).unwrap();
            assert_eq!(sum.into_inner(), (0..u64::from(len)).sum::<u64>());
        }
    }
}

#[test]
fn a_stack_has_one_piece_for_each_level_however_many_pieces_there_are() {
    let threads = Threads::new(4);
    let (deepest, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let turn = Turn::default();
    threads.map(0..10, |_| {
        on_stack(&deepest, || {
            threads.map(0..300, |outer: u32| {
                on_stack(&deepest, || {
                    let _turn = outer.is_multiple_of(3).then(|| threads.take(&turn));
                    threads.map(0..4, |inner: u32| {
                        on_stack(&deepest, || {
                            done.fetch_add(spin(50 * u64::from(inner)) | 1, Ordering::Relaxed)
                        });
                    });
                });
            });
        });
    });
    assert!(deepest.into_inner() <= 3);
}

#[test]
fn one_thread_does_all_where_one_is_allowed() {
    let threads = Threads::new(1);
    let caller = thread::current().id();
    threads.map(0..100, |_| assert_eq!(thread::current().id(), caller));
    let work = |(): &mut (), _| thread::current().id() == caller;
    let all_here = threads.in_order(100, || (), work, |all| all.filter(|here| *here).count() == 100);
    assert!(all_here);
}

#[test]
fn no_more_threads_work_than_are_allowed() {
    let threads = Threads::new(3);
    let seen: Mutex<HashSet<ThreadId>> = Mutex::default();
    for _ in 0..20 {
        threads.map(0..50, |_| {
            threads.map(0..5u32, |n| {
                seen.lock().unwrap().insert(thread::current().id());
                spin(200 * u64::from(n));
            });
        });
    }
    assert!((1..=3).contains(&seen.into_inner().unwrap().len()));
}

#[test]
fn results_come_in_order_and_few_are_made_ahead() {
    for count in 1..5 {
        let threads = Threads::new(count);
        let (made, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        let work = |_: &mut (), index: u64| {
            let ahead = made.fetch_add(1, Ordering::SeqCst) + 1 - taken.load(Ordering::SeqCst);
            assert!(ahead <= 2 * count as u64 + 1, "{ahead}");
            spin((index * 7919) % 500);
            index
        };
        let consume = |results: &mut dyn Iterator<Item = u64>| {
            let count = |index| {
                taken.fetch_add(1, Ordering::SeqCst);
                index
            };
            results.map(count).collect::<Vec<_>>()
        };
        assert_eq!(threads.in_order(400, || (), work, consume), (0..400).collect::<Vec<_>>());
    }
}

#[test]
fn a_consumer_may_stop_early() {
    let threads = Threads::new(3);
    let first =
        threads.in_order(1000, || (), |(), index| index, |results| results.take(5).collect::<Vec<_>>());
    assert_eq!(first, [0, 1, 2, 3, 4]);
}

#[test]
fn the_first_error_stops_the_rest() {
    let threads = Threads::new(3);
    let begun = AtomicUsize::new(0);
    let work = |_: &mut (), n: u32| {
        begun.fetch_add(1, Ordering::Relaxed);
        spin(300);
        if n == 20 { Err(n) } else { Ok(()) }
    };
    assert_eq!(threads.try_each(0..100_000, || (), work), Err(20));
    assert!(begun.into_inner() < 100_000);
}

#[test]
fn a_panic_arrives_where_the_work_was_asked_for_and_the_crew_goes_on() {
    let threads = Threads::new(3);
    for _ in 0..20 {
        let each = || threads.map(0..50, |n| assert!(n != 30, "piece {n}"));
        assert!(catch_unwind(AssertUnwindSafe(each)).is_err());
        let ordered =
            || threads.in_order(50, || (), |(), n| assert!(n != 30, "piece {n}"), |all| all.count());
        assert!(catch_unwind(AssertUnwindSafe(ordered)).is_err());
        assert_eq!(threads.map(0..3, |n| n), [0, 1, 2]);
    }
}

#[test]
fn the_turn_is_had_by_one_at_a_time_and_those_who_wait_help() {
    let threads = Threads::new(3);
    let (turn, inside, total) = (Turn::default(), AtomicUsize::new(0), AtomicU64::new(0));
    let piece = |_: u32| {
        let _turn = threads.take(&turn);
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
        let sum = threads.in_order(40, || (), |(), index| spin(20) & 1 | index, |all| all.count());
        total.fetch_add(sum as u64, Ordering::Relaxed);
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    // From several threads of others as well as from pieces.
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| threads.map(0..60, piece));
        }
    });
    assert_eq!(total.into_inner(), 3 * 60 * 40);
}
