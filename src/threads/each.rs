//! Work whose pieces are the items of an iterator, done in any order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Threads;
use super::crew::{Done, Pieces, along, caught, unless_panicked};

impl Threads {
    /// Does `work` with each item. Threads keep what `state` gives them between items. After an error no further item
    /// is begun; of several errors one is returned.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn try_each<I, S, E>(
        &self,
        items: I,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, I::Item) -> Result<(), E> + Sync,
    ) -> Result<(), E>
    where
        I: ExactSizeIterator + Send,
        I::Item: Send,
        S: Send,
        E: Send,
    {
        if self.count() == 1 || items.len() < 2 {
            let mut state = state();
            return { items }.try_for_each(|item| work(&mut state, item));
        }
        let each = Each {
            items: Mutex::new(items),
            is_over: AtomicBool::new(false),
            idle: Mutex::default(),
            trouble: Mutex::default(),
            state,
            work,
        };
        self.crew().conduct(&each, |path| {
            while each.has_more() {
                along(path, || each.advance());
            }
        });
        let trouble = each.trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
        trouble.map_or(Ok(()), |trouble| Err(unless_panicked(trouble)))
    }

    /// What `work` gives for each item, in the order of the items.
    ///
    /// # Errors
    /// Those of `work`, as [`Threads::try_each`].
    pub fn try_map<I, T, E>(
        &self,
        items: I,
        work: impl Fn(I::Item) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E>
    where
        I: ExactSizeIterator + Send,
        I::Item: Send,
        T: Send,
        E: Send,
    {
        let mut results: Vec<Option<T>> = Vec::new();
        results.resize_with(items.len(), || None);
        self.try_each(
            results.iter_mut().zip(items),
            || (),
            |(), (result, item)| {
                *result = Some(work(item)?);
                Ok(())
            },
        )?;
        Ok(results.into_iter().flatten().collect())
    }

    /// What `work` gives for each item, in the order of the items.
    pub fn map<I, T>(&self, items: I, work: impl Fn(I::Item) -> T + Sync) -> Vec<T>
    where
        I: ExactSizeIterator + Send,
        I::Item: Send,
        T: Send,
    {
        let never = |item| Ok::<T, std::convert::Infallible>(work(item));
        match self.try_map(items, never) {
            Ok(results) => results,
            Err(never) => match never {},
        }
    }
}

struct Each<I, S, E, N, W> {
    items: Mutex<I>,
    /// No further item is to be begun.
    is_over: AtomicBool,
    /// States of threads that are at none.
    idle: Mutex<Vec<S>>,
    trouble: Mutex<Option<Done<E>>>,
    state: N,
    work: W,
}

impl<I, S, E, N, W> Pieces for Each<I, S, E, N, W>
where
    I: Iterator + Send,
    I::Item: Send,
    S: Send,
    E: Send,
    N: Fn() -> S + Sync,
    W: Fn(&mut S, I::Item) -> Result<(), E> + Sync,
{
    fn has_more(&self) -> bool {
        !self.is_over.load(Ordering::Acquire)
    }

    fn advance(&self) {
        let result = caught(|| {
            // An iterator that panicked is left alone: its mutex is poisoned.
            let Some(item) = self.items.lock().ok().and_then(|mut items| items.next()) else {
                self.close();
                return Ok(());
            };
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut state = idle.unwrap_or_else(&self.state);
            (self.work)(&mut state, item)?;
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
            Ok(())
        });
        let trouble = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Ok(error),
            Err(panic) => Err(panic),
        };
        self.close();
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
    }

    fn close(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}
