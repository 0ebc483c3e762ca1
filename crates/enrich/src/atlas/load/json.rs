//! The items of arrays in one large JSON document, one after the other.
//!
//! **Invariant:** an item at a time is in memory, and none above [`ITEM_BYTES_MAX`]. A
//! document that is not JSON to its end is refused whole.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use serde::de::{
    DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;
use tidegauge_model::Reason;

use super::Out;
use crate::atlas::AtlasError;

/// The largest item that is read, in bytes. The largest known is a service of Azure with
/// its prefixes, under 2 MiB; picked by hand above it.
const ITEM_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A way through objects to an array, by keys; what it is called by the loader is its
/// index in the list of ways.
pub(super) type Way = &'static [&'static str];

/// What a loader makes of an item: what it says, if anything.
pub(super) type Item<'r> =
    dyn FnMut(usize, &Value, &mut Out<'_>) -> Result<(), Reason> + 'r;

/// Reads the items of the arrays at the ends of `ways`. It is an error if none is there.
pub(super) fn items(
    input: impl BufRead,
    ways: &[Way],
    out: &mut Out<'_>,
    item: &mut Item<'_>,
) -> Result<(), AtlasError> {
    let place = Rc::new(Place::default());
    let counted = Counted { input, place: Rc::clone(&place) };
    let mut json = serde_json::Deserializer::from_reader(counted);
    let mut found = false;
    let ways: Vec<_> = ways.iter().copied().enumerate().collect();
    let walk = Walk { ways, found: &mut found, place: &place, out: &mut *out, item };
    let read = walk.deserialize(&mut json).and_then(|()| json.end());
    let table = out.source.clone();
    match read {
        Ok(()) if found => Ok(()),
        Ok(()) => Err(AtlasError::NoList { table }),
        Err(error) => Err(AtlasError::Json { table, byte: place.offset.get(), error }),
    }
}

/// How far the input is read.
#[derive(Default)]
struct Place {
    offset: Cell<u64>,
    lines: Cell<u64>,
    /// Where the item that is being read began.
    began: Cell<u64>,
}

struct Counted<R> {
    input: R,
    place: Rc<Place>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let taken = buffer.get(..read).unwrap_or_default();
        let place = &self.place;
        let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        place.offset.set(place.offset.get().saturating_add(wide(read)));
        // A byte or a few at a time: there is nothing to gain from counting faster.
        let ends = taken.split(|byte| *byte == b'\n').count();
        let lines = ends.saturating_sub(1);
        place.lines.set(place.lines.get().saturating_add(wide(lines)));
        if place.offset.get() - place.began.get() > ITEM_BYTES_MAX {
            let text = "an item of the document is too large";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(read)
    }
}

/// Where a value stands on a way.
struct Walk<'a, 'o, 'i> {
    /// The ways that lead through here, with their index: what is left of them.
    ways: Vec<(usize, Way)>,
    found: &'a mut bool,
    place: &'a Place,
    out: &'a mut Out<'o>,
    item: &'a mut Item<'i>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.place.began.set(self.place.offset.get());
            let through = |(at, way): &(usize, Way)| match way.split_first() {
                Some((step, rest)) if *step == key => Some((*at, rest)),
                _ => None,
            };
            let ways: Vec<_> = self.ways.iter().filter_map(through).collect();
            if ways.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Walk {
                ways,
                found: &mut *self.found,
                place: self.place,
                out: &mut *self.out,
                item: &mut *self.item,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let ends = self.ways.iter().find(|(_, way)| way.is_empty());
        let Some((at, _)) = ends.copied() else {
            while items.next_element::<IgnoredAny>()?.is_some() {
                self.place.began.set(self.place.offset.get());
            }
            return Ok(());
        };
        *self.found = true;
        loop {
            let began = self.place.offset.get();
            self.place.began.set(began);
            let Some(value) = items.next_element::<Value>()? else { return Ok(()) };
            // The byte where it begins, the line on which it ends.
            self.out.here = (began, Some(self.place.lines.get() + 1));
            self.out.take(|out| (self.item)(at, &value, out));
        }
    }
}
