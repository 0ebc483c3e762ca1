//! A multibit trie: 16 bits at the top, 8 at each node below, equal neighbours stored
//! once.
//!
//! Of the 256 slots of a node, one bit each tells whether the slot differs from the one
//! before it; the differing ones stand in a row in `entries`, and the place of a slot is
//! found by counting bits (as Lulea, Degermark et al. 1997, and Poptrie, Asai and Ohara
//! 2015, do). A node is one line of the cache.
//!
//! **Invariant:** an entry is a child (its top bit set) only if what is below it differs;
//! so a look-up ends after as many steps as there are bytes in the longest start of a
//! stretch nearby.

use super::{Bound, NOBODY};

/// Look-ups whose steps are taken in turns. Picked by measurement: 16 to 64 are alike.
pub(super) const AT_ONCE: usize = 32;

/// Set in an entry that is the number of a node.
const CHILD: u32 = 1 << 31;
/// Slots at the top: one for each value of the first two bytes.
const TOP: u32 = 1 << 16;

/// A trie over keys of up to 16 bytes.
#[derive(Debug, Default)]
pub(super) struct Trie {
    top: Vec<u32>,
    nodes: Vec<Node>,
    entries: Vec<u32>,
}

/// 256 slots.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Node {
    /// Which slots differ from the one before; the first always does.
    marks: [u64; 4],
    /// Where the entries of each 64 slots begin.
    begins: [u32; 4],
}

impl Node {
    /// Where the entry of a slot stands.
    #[inline]
    fn place(&self, slot: u8) -> u32 {
        let word = usize::from(slot >> 6);
        let (Some(marks), Some(begin)) = (self.marks.get(word), self.begins.get(word))
        else {
            return u32::MAX;
        };
        // The marks up to the slot, itself included.
        let upto = marks << (63 - (slot & 63));
        // The first slot is marked, so that at least one is counted.
        (begin + upto.count_ones()).wrapping_sub(1)
    }
}

impl Trie {
    /// Of bounds in order of their keys, left-aligned in 128 bits.
    pub(super) fn build(bounds: &[Bound]) -> Self {
        let mut trie = Self::default();
        let mut rest = Rest { bounds, carried: NOBODY };
        if bounds.iter().all(|(_, entry)| *entry == NOBODY) {
            return trie;
        }
        let mut top = Vec::with_capacity(usize::try_from(TOP).unwrap_or(0));
        for slot in 0..TOP {
            top.push(trie.slot(u128::from(slot) << 112, 112, &mut rest));
        }
        trie.top = top;
        trie.nodes.shrink_to_fit();
        trie.entries.shrink_to_fit();
        trie
    }

    /// The entry of a key: its bytes, the highest first.
    #[inline]
    pub(super) fn find<const N: usize>(&self, key: [u8; N]) -> u32 {
        let mut entry = self.first(&key);
        for byte in key.iter().skip(2) {
            if entry & CHILD == 0 {
                break;
            }
            entry = self.step(entry, *byte);
        }
        entry
    }

    /// The same for up to [`AT_ONCE`] keys, in turns.
    #[inline]
    pub(super) fn find_each<const N: usize>(
        &self,
        keys: impl Iterator<Item = [u8; N]> + Clone,
        mut each: impl FnMut(u32),
    ) {
        let mut open = [NOBODY; AT_ONCE];
        let mut children = 0;
        for (entry, key) in open.iter_mut().zip(keys.clone()) {
            *entry = self.first(&key);
            children |= *entry;
        }
        for depth in 2..N {
            if children & CHILD == 0 {
                break;
            }
            children = 0;
            for (entry, key) in open.iter_mut().zip(keys.clone()) {
                if *entry & CHILD != 0 {
                    *entry = self.step(*entry, key.get(depth).copied().unwrap_or(0));
                    children |= *entry;
                }
            }
        }
        for (entry, _) in open.into_iter().zip(keys) {
            each(entry);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        (self.top.len() + self.entries.len()) * size_of::<u32>()
            + self.nodes.len() * size_of::<Node>()
    }

    #[inline]
    fn first(&self, key: &[u8]) -> u32 {
        let (Some(a), Some(b)) = (key.first(), key.get(1)) else { return NOBODY };
        let slot = usize::from(u16::from_be_bytes([*a, *b]));
        self.top.get(slot).copied().unwrap_or(NOBODY)
    }

    #[inline]
    fn step(&self, entry: u32, byte: u8) -> u32 {
        let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let place = match self.nodes.get(at(entry & !CHILD)) {
            Some(node) => at(node.place(byte)),
            None => return NOBODY,
        };
        self.entries.get(place).copied().unwrap_or(NOBODY)
    }

    /// The entry for the keys from `base` on that share its bits above `shift`. Takes the
    /// bounds among them off `rest`.
    fn slot(&mut self, base: u128, shift: u32, rest: &mut Rest<'_>) -> u32 {
        rest.pass(base);
        let last = base | ((1 << shift) - 1);
        if rest.bounds.first().is_none_or(|(key, _)| *key > last) {
            return rest.carried;
        }
        let below = shift - 8;
        let mut slots = [NOBODY; 256];
        for (number, slot) in (0u128..).zip(&mut slots) {
            *slot = self.slot(base | (number << below), below, rest);
        }
        self.node(&slots)
    }

    /// Stores a node: the entry that leads to it.
    fn node(&mut self, slots: &[u32; 256]) -> u32 {
        let wide = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut node = Node { marks: [0; 4], begins: [0; 4] };
        let mut before = None;
        let words = slots.chunks(64).zip(node.marks.iter_mut().zip(&mut node.begins));
        for (chunk, (marks, begin)) in words {
            *begin = wide(self.entries.len());
            for (bit, entry) in chunk.iter().enumerate() {
                if before != Some(*entry) {
                    *marks |= 1 << bit;
                    self.entries.push(*entry);
                }
                before = Some(*entry);
            }
        }
        self.nodes.push(node);
        // Fewer than 2^31 nodes: each stands for a bound, of which memory holds fewer.
        CHILD | wide(self.nodes.len() - 1)
    }
}

/// Bounds not yet passed, and what holds before the first of them.
struct Rest<'a> {
    bounds: &'a [Bound],
    carried: u32,
}

impl Rest<'_> {
    /// Passes all bounds up to `key`.
    fn pass(&mut self, key: u128) {
        while let Some(((first, entry), rest)) = self.bounds.split_first()
            && *first <= key
        {
            (self.carried, self.bounds) = (*entry, rest);
        }
    }
}
