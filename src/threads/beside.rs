//! What only waits, beside what computes.

use std::panic::resume_unwind;
use std::thread;

/// Runs `wait`, which waits for something that needs no processor, in a thread of its own while `work` goes on in this one,
/// and returns what both gave. Where no thread can be started, it is waited for afterwards.
pub fn while_waiting<W: Send, T>(wait: impl Fn() -> W + Sync, work: impl FnOnce() -> T) -> (W, T) {
    thread::scope(|scope| {
        let waiting = thread::Builder::new().name("wait".into()).spawn_scoped(scope, &wait);
        let worked = work();
        let waited = match waiting {
            Ok(waiting) => waiting.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => wait(),
        };
        (waited, worked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn both_go_on_at_once() {
        let (send, receive) = channel();
        let (answer, answered) = channel();
        let receive = std::sync::Mutex::new(receive);
        let wait = || {
            let said: i32 = receive.lock().unwrap().recv().unwrap();
            answer.send(said + 1).unwrap();
            said
        };
        let work = || {
            send.send(1).unwrap();
            answered.recv().unwrap()
        };
        assert_eq!(while_waiting(wait, work), (1, 2));
    }
}
