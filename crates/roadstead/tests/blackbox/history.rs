//! Whether what clients saw of one tag can have happened one request after the other, each at some
//! moment between its sending and its answer (Wing and Gong, 1993).
//!
//! The search takes the requests in every order that their times allow, and remembers where it has
//! been. Values are written once, so that a read says which write it saw.

use std::collections::HashSet;
use std::time::Instant;

/// What a request did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The tag leads to this value from then on.
    Put(String),
    /// The tag was there, and is not from then on.
    Deleted,
    /// It led to this value.
    Found(String),
    /// It was there.
    Present,
    /// It was not there.
    Absent,
}

/// A request, from before it was sent until after its answer.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) what: What,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    /// Whether it is known to have happened; else it may have, up to its end.
    pub(crate) certain: bool,
}

/// A place in the search: what has happened, and what the tag leads to then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// All before this one have happened, or never will.
    base: usize,
    /// As have these behind it, in order.
    done: Vec<usize>,
    value: Option<usize>,
}

/// Checks the history of one tag that was not there at first.
///
/// # Errors
/// The requests of which no order can be found.
pub(crate) fn check(mut history: Vec<Event>) -> Result<(), String> {
    history.sort_by_key(|event| event.begin);
    let start = Place {
        base: 0,
        done: Vec::new(),
        value: None,
    };
    let mut known = HashSet::from([start.clone()]);
    let mut open = vec![start];
    let mut furthest = 0;
    while let Some(place) = open.pop() {
        if place.base == history.len() {
            return Ok(());
        }
        furthest = furthest.max(place.base);
        let next = place.next(&history);
        // The last one is looked at first: what ended first is most likely to have happened first.
        for place in next.into_iter().rev() {
            if known.insert(place.clone()) {
                open.push(place);
            }
        }
    }
    let stuck = &history[furthest..history.len().min(furthest + 10)];
    Err(format!("no order explains what comes at {stuck:#?}"))
}

impl Place {
    /// Where the search can go from here.
    fn next(&self, history: &[Event]) -> Vec<Place> {
        let mut candidates = Vec::new();
        let mut first_end: Option<Instant> = None;
        for (index, event) in history.iter().enumerate().skip(self.base) {
            // Whoever begins after another has ended comes after it.
            if first_end.is_some_and(|end| event.begin > end) {
                break;
            }
            if self.done.binary_search(&index).is_err() {
                candidates.push(index);
                first_end = Some(first_end.map_or(event.end, |end| end.min(event.end)));
            }
        }
        candidates.retain(|index| first_end.is_some_and(|end| history[*index].begin <= end));
        candidates.sort_by_key(|index| history[*index].end);
        let current = self.value.and_then(|index| match &history[index].what {
            What::Put(value) => Some(value),
            _ => None,
        });
        let mut next = Vec::new();
        for index in candidates {
            let event = &history[index];
            let (allowed, value) = match &event.what {
                What::Put(_) => (true, Some(index)),
                What::Deleted => (current.is_some(), None),
                What::Found(value) => (current == Some(value), self.value),
                What::Present => (current.is_some(), self.value),
                What::Absent => (current.is_none(), self.value),
            };
            let reads = !matches!(event.what, What::Put(_) | What::Deleted);
            if allowed && reads {
                // What fits and changes nothing can come first: nothing is lost by it.
                return vec![self.after(index, value, history.len())];
            }
            if allowed {
                next.push(self.after(index, value, history.len()));
            }
            if !event.certain {
                next.push(self.after(index, self.value, history.len()));
            }
        }
        next
    }

    fn after(&self, index: usize, value: Option<usize>, length: usize) -> Place {
        let mut place = self.clone();
        place.value = value;
        let at = place.done.binary_search(&index).unwrap_or_else(|at| at);
        place.done.insert(at, index);
        let counted = place
            .done
            .iter()
            .zip(place.base..length)
            .take_while(|(done, base)| *done == base)
            .count();
        place.done.drain(..counted);
        place.base += counted;
        place
    }
}

mod tests {
    use std::time::Duration;

    use super::*;

    fn history(events: &[(What, u64, u64)]) -> Vec<Event> {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let event = |(what, begin, end): &(What, u64, u64)| Event {
            what: what.clone(),
            begin: at(*begin),
            end: at(*end),
            certain: true,
        };
        events.iter().map(event).collect()
    }

    fn put(value: &str) -> What {
        What::Put(value.to_owned())
    }

    fn found(value: &str) -> What {
        What::Found(value.to_owned())
    }

    #[test]
    fn histories_that_have_an_order_pass() {
        use What::{Absent, Deleted, Present};
        for fine in [
            vec![],
            vec![(Absent, 0, 1), (put("a"), 2, 3), (found("a"), 4, 5)],
            // Both orders of two writes at once.
            vec![(put("a"), 0, 10), (put("b"), 0, 10), (found("a"), 20, 21)],
            vec![(put("a"), 0, 10), (put("b"), 0, 10), (found("b"), 20, 21)],
            // A read during a write sees the old or the new.
            vec![
                (put("a"), 0, 1),
                (put("b"), 2, 9),
                (found("a"), 3, 4),
                (found("b"), 5, 6),
            ],
            vec![
                (put("a"), 0, 9),
                (Absent, 1, 2),
                (Present, 3, 4),
                (Deleted, 5, 8),
                (Absent, 6, 7),
            ],
            // Deleted before it was seen, since the delete was on its way for long.
            vec![
                (put("a"), 0, 1),
                (Deleted, 0, 9),
                (found("a"), 2, 3),
                (Absent, 4, 5),
            ],
            vec![
                (put("a"), 0, 1),
                (Deleted, 2, 3),
                (put("b"), 4, 5),
                (Deleted, 6, 7),
            ],
        ] {
            assert_eq!(check(history(&fine)), Ok(()), "{fine:?}");
        }
    }

    #[test]
    fn histories_without_an_order_are_found() {
        use What::{Absent, Deleted, Present};
        for wrong in [
            // Stale, back, from nowhere, from the future.
            vec![(put("a"), 0, 1), (put("b"), 2, 3), (found("a"), 4, 5)],
            vec![
                (put("a"), 0, 1),
                (put("b"), 2, 9),
                (found("b"), 3, 4),
                (found("a"), 5, 6),
            ],
            vec![(found("a"), 0, 1)],
            vec![(found("a"), 0, 1), (put("a"), 2, 3)],
            // Lost, or back after it was deleted.
            vec![(put("a"), 0, 1), (Absent, 2, 3)],
            vec![(put("a"), 0, 1), (Deleted, 2, 3), (Present, 4, 5)],
            vec![
                (put("a"), 0, 1),
                (Deleted, 2, 9),
                (Absent, 3, 4),
                (found("a"), 5, 6),
            ],
            // Two that both found it there.
            vec![(put("a"), 0, 1), (Deleted, 2, 3), (Deleted, 2, 3)],
        ] {
            assert!(check(history(&wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_was_not_answered_may_have_happened_or_not_but_not_later() {
        let with = |last: What| {
            let mut events = history(&[(put("a"), 0, 1), (put("b"), 2, 5), (last, 6, 7)]);
            events[1].certain = false;
            check(events)
        };
        assert_eq!(with(found("a")), Ok(()));
        assert_eq!(with(found("b")), Ok(()));
        assert!(with(What::Absent).is_err());
        let mut late = history(&[
            (put("a"), 0, 1),
            (put("b"), 2, 5),
            (found("a"), 6, 7),
            (found("b"), 8, 9),
        ]);
        late[1].certain = false;
        assert!(check(late).is_err());
        let mut deleted = history(&[(put("a"), 0, 1), (What::Deleted, 2, 5), (found("a"), 6, 7)]);
        deleted[1].certain = false;
        assert_eq!(check(deleted), Ok(()));
    }

    #[test]
    fn a_long_history_is_checked_in_little_time() {
        let mut events = Vec::new();
        for step in 0..5_000u64 {
            let value = step.to_string();
            events.push((put(&value), step * 10, step * 10 + 15));
            events.push((found(&value), step * 10 + 12, step * 10 + 18));
        }
        assert_eq!(check(history(&events)), Ok(()));
        events.push((found("4990"), 60_000, 60_001));
        assert!(check(history(&events)).is_err());
    }
}
