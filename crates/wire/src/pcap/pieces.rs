//! What came in pieces with their places: fragments of IP, CRYPTO frames of QUIC.
//!
//! **Invariant:** a byte that is held is never replaced: where pieces overlap, the first wins.
//! Memory grows with bytes that came, never with a place that a header claims.
//!
//! What is left out: how many bytes may be held; who uses this looks at [`Pieces::held`].

/// Runs of bytes with gaps between them. Picked by hand: a whole IP packet of the smallest
/// fragments that real links make (68 bytes, RFC 791, 3.2) has 1,365, and they come in order.
const RUNS_MAX: usize = 1024;
/// What a run costs beside its bytes: its place and the vector.
const RUN_BYTES: usize = size_of::<Run>();

/// Pieces of one whole.
#[derive(Default)]
pub(super) struct Pieces {
    /// In order, without overlap; two may touch.
    runs: Vec<Run>,
    /// Bytes in all runs.
    length: usize,
}

struct Run {
    start: usize,
    bytes: Vec<u8>,
}

impl Run {
    fn end(&self) -> usize {
        self.start.saturating_add(self.bytes.len())
    }
}

/// What a piece was to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// All of it is new.
    New,
    /// All of it was there, and the same.
    Known,
    /// Some of its places were taken: what stood there stays.
    Overlaps,
    /// There are too many gaps; nothing was taken.
    Full,
}

impl Pieces {
    /// Takes `bytes`, which belong at `offset`.
    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) -> Put {
        let end = offset.saturating_add(bytes.len());
        let (mut at, mut equal, mut overlaps) = (offset, true, false);
        let mut fresh: Vec<(usize, usize)> = Vec::new();
        let first = self.runs.partition_point(|run| run.end() <= offset);
        for run in self.runs.iter().skip(first).take_while(|run| run.start < end) {
            if at < run.start {
                fresh.push((at, run.start));
            }
            let (from, to) = (at.max(run.start), end.min(run.end()));
            overlaps |= from < to;
            equal &= bytes.get(from - offset..to - offset)
                == run.bytes.get(from - run.start..to - run.start);
            at = run.end();
        }
        if at < end {
            fresh.push((at, end));
        }
        if self.runs.len() + fresh.len() > RUNS_MAX {
            return Put::Full;
        }
        let known = fresh.is_empty();
        for (from, to) in fresh {
            let part = bytes.get(from - offset..to - offset).unwrap_or_default();
            self.insert(from, part);
        }
        match (overlaps, known) {
            (false, false) => Put::New,
            (_, true) if equal => Put::Known,
            _ => Put::Overlaps,
        }
    }

    /// Takes bytes whose places are free.
    fn insert(&mut self, start: usize, bytes: &[u8]) {
        self.length += bytes.len();
        let place = self.runs.partition_point(|run| run.start < start);
        let before = place.checked_sub(1).and_then(|p| self.runs.get_mut(p));
        match before.filter(|run| run.end() == start) {
            Some(run) => run.bytes.extend_from_slice(bytes),
            None => self.runs.insert(place, Run { start, bytes: bytes.to_vec() }),
        }
    }

    /// How many bytes of memory are held.
    pub(super) fn held(&self) -> usize {
        self.runs.iter().map(|run| run.bytes.capacity() + RUN_BYTES).sum()
    }

    /// The bytes from the first place to the first gap.
    pub(super) fn front(&self) -> Vec<u8> {
        let mut front = Vec::new();
        for run in self.runs.iter().take_while({
            let mut end = 0;
            move |run| {
                let touches = run.start == end;
                end = run.end();
                touches
            }
        }) {
            front.extend_from_slice(&run.bytes);
        }
        front
    }

    /// The whole of `length` bytes, if all of them are there and none behind them.
    pub(super) fn whole(&self, length: usize) -> Option<Vec<u8>> {
        let last = self.runs.last().map_or(0, Run::end);
        (self.length == length && last == length).then(|| self.front())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_wins_and_an_overlap_is_told() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.put(4, b"efgh"), Put::New);
        assert_eq!(pieces.put(4, b"efgh"), Put::Known);
        assert_eq!(pieces.put(5, b"fg"), Put::Known);
        assert_eq!(pieces.put(5, b"XY"), Put::Overlaps);
        assert_eq!((pieces.front(), pieces.whole(8)), (vec![], None));
        assert_eq!(pieces.put(2, b"cdXXXXij"), Put::Overlaps);
        assert_eq!(pieces.put(0, b"ab"), Put::New);
        assert_eq!(pieces.whole(10).as_deref(), Some(&b"abcdefghij"[..]));
        assert_eq!(pieces.whole(9), None);
    }

    #[test]
    fn gaps_are_bounded_and_places_cost_nothing() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.put(usize::MAX - 1, b"z"), Put::New);
        assert!(pieces.held() < 200);
        for n in 1..RUNS_MAX {
            assert_eq!(pieces.put(2 * n, b"x"), Put::New);
        }
        assert_eq!(pieces.put(usize::MAX / 2, b"x"), Put::Full);
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_first_byte_of_each_place(
            puts in prop::collection::vec((0usize..60, 1usize..20, any::<u8>()), 0..40),
        ) {
            let mut pieces = Pieces::default();
            let mut expected = [None::<u8>; 80];
            for (offset, length, byte) in puts {
                let bytes = vec![byte; length];
                let places = &mut expected[offset..offset + length];
                let told = match places.iter().flatten().count() {
                    0 => Put::New,
                    n if n == length && places.iter().all(|p| *p == Some(byte)) => Put::Known,
                    _ => Put::Overlaps,
                };
                for place in places.iter_mut() {
                    place.get_or_insert(byte);
                }
                prop_assert_eq!(pieces.put(offset, &bytes), told);
            }
            let front: Vec<u8> = expected.iter().map_while(|p| *p).collect();
            let all = expected.iter().flatten().count();
            prop_assert_eq!(pieces.whole(all).is_some(), front.len() == all);
            prop_assert_eq!(pieces.front(), front);
        }
    }
}
