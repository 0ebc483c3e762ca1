//! One value of a record that is written as text: of a table, or of a JSON object.
//!
//! **Invariant:** a value that is there but cannot be read as its type is an error, never
//! "unset".

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tidegauge_model::{Address, Instant, Reason};

use crate::number;
use crate::stamp::{decimal_micros, iso_8601_or_utc, micros_of};

/// One value.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// The log has no such column, or the JSON object no such key.
    #[default]
    Absent,
    /// The column is there and says that there is no value.
    Unset,
    /// Text, or any value of a table.
    Text(Cow<'a, str>),
    /// A JSON number that is whole and not negative.
    Whole(u64),
    /// Any other JSON number.
    Number(f64),
    /// A JSON array, or a set or vector of a table.
    List(Vec<Self>),
    /// A JSON value of another type.
    Other,
}

impl Cell<'_> {
    /// The same without owning it.
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Absent => View::Absent,
            Self::Unset => View::Unset,
            Self::Text(text) => View::Text(text),
            Self::Whole(count) => View::Whole(*count),
            Self::Number(number) => View::Number(*number),
            Self::List(cells) => View::List(Elements::Cells(cells)),
            Self::Other => View::Other,
        }
    }

    pub(crate) fn text(&self) -> Result<Option<&str>, Reason> {
        self.view().text()
    }

    pub(crate) fn needed_text(&self) -> Result<&str, Reason> {
        self.view().needed_text()
    }

    pub(crate) fn address(&self) -> Result<Address, Reason> {
        self.view().address()
    }

    pub(crate) fn count(&self) -> Result<Option<u64>, Reason> {
        self.view().count()
    }

    pub(crate) fn instant(&self) -> Result<Instant, Reason> {
        self.view().instant()
    }
}

/// A value as it is looked at, of a [`Cell`] or between the separators of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum View<'v> {
    /// As [`Cell::Absent`].
    Absent,
    /// As [`Cell::Unset`].
    Unset,
    /// As [`Cell::Text`].
    Text(&'v str),
    /// As [`Cell::Whole`].
    Whole(u64),
    /// As [`Cell::Number`].
    Number(f64),
    /// As [`Cell::List`].
    List(Elements<'v>),
    /// As [`Cell::Other`].
    Other,
}

/// The elements of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Elements<'v> {
    /// Of a JSON array.
    Cells(&'v [Cell<'v>]),
    /// Texts with a separator between them.
    Texts(&'v str, char),
}

impl<'v> Elements<'v> {
    fn views(self) -> impl Iterator<Item = View<'v>> {
        let (cells, texts) = match self {
            Self::Cells(cells) => (cells, None),
            Self::Texts(text, separator) => (&[][..], Some(text.split(separator))),
        };
        let texts = texts.into_iter().flatten().map(View::Text);
        cells.iter().map(Cell::view).chain(texts)
    }
}

impl<'v> View<'v> {
    /// A value that every row needs.
    fn needed(self) -> Result<Self, Reason> {
        match self {
            Self::Absent => Err(Reason::ColumnMissing),
            Self::Unset => Err(Reason::Value),
            _ => Ok(self),
        }
    }

    /// A text, if there is one.
    #[inline]
    pub(crate) fn text(self) -> Result<Option<&'v str>, Reason> {
        match self {
            Self::Absent | Self::Unset => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(Reason::Value),
        }
    }

    #[inline]
    pub(crate) fn needed_text(self) -> Result<&'v str, Reason> {
        self.needed()?.text()?.ok_or(Reason::Value)
    }

    #[inline]
    pub(crate) fn address(self) -> Result<Address, Reason> {
        number::address(self.needed_text()?).ok_or(Reason::Value)
    }

    #[inline]
    pub(crate) fn port(self) -> Result<u16, Reason> {
        let port = self.needed()?.count()?.ok_or(Reason::Value)?;
        u16::try_from(port).map_err(|_| Reason::Value)
    }

    /// A count, if there is one.
    #[inline]
    pub(crate) fn count(self) -> Result<Option<u64>, Reason> {
        match self {
            Self::Absent | Self::Unset => Ok(None),
            Self::Whole(count) => Ok(Some(count)),
            Self::Number(number) => match Duration::try_from_secs_f64(number) {
                Ok(whole) if whole.subsec_nanos() == 0 => Ok(Some(whole.as_secs())),
                _ => Err(Reason::Value),
            },
            Self::Text(text) => match number::whole(text.as_bytes()) {
                Some(count) => Ok(Some(count)),
                None => text.parse().map(Some).map_err(|_| Reason::Value),
            },
            Self::List(_) | Self::Other => Err(Reason::Value),
        }
    }

    /// The time of the record: seconds since 1970, or ISO 8601.
    #[inline]
    pub(crate) fn instant(self) -> Result<Instant, Reason> {
        if let Self::Text(text) = self {
            // The form of nearly all, and no other is like it.
            if let Some(micros) = number::millionths(text.as_bytes()) {
                return i64::try_from(micros).map(Instant).map_err(|_| Reason::Time);
            }
            if text.contains('T') {
                return iso_8601_or_utc(text).ok_or(Reason::Value);
            }
        }
        match self.needed()?.micros()? {
            Some(micros) => {
                i64::try_from(micros).map(Instant).map_err(|_| Reason::Time)
            }
            None => Err(Reason::Value),
        }
    }

    /// Seconds, as microseconds, if there are any. Negative ones are a wrong value.
    #[inline]
    pub(crate) fn micros(self) -> Result<Option<u64>, Reason> {
        match self {
            Self::Absent | Self::Unset => Ok(None),
            Self::Whole(seconds) => {
                seconds.checked_mul(1_000_000).map(Some).ok_or(Reason::Value)
            }
            Self::Number(seconds) => micros_of(seconds).map(Some),
            Self::Text(text) => match decimal_micros(text) {
                Some(micros) => Ok(Some(micros)),
                None => micros_of(text.parse().map_err(|_| Reason::Value)?).map(Some),
            },
            Self::List(_) | Self::Other => Err(Reason::Value),
        }
    }

    /// The elements of a set or vector; none if it is unset.
    pub(crate) fn list(self) -> Result<impl Iterator<Item = View<'v>>, Reason> {
        match self {
            Self::Absent | Self::Unset => Ok(Elements::Cells(&[]).views()),
            Self::List(elements) => Ok(elements.views()),
            _ => Err(Reason::Value),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a log")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Cell<'de>, E> {
                Ok(Cell::Whole(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Cell<'de>, E> {
                Ok(u64::try_from(value).map_or(Cell::Other, Cell::Whole))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Cell<'de>, E> {
                Ok(Cell::Number(value))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Cell<'de>, E> {
                Ok(Cell::Other)
            }

            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::Unset)
            }

            fn visit_seq<S: SeqAccess<'de>>(
                self,
                mut seq: S,
            ) -> Result<Cell<'de>, S::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = seq.next_element()? {
                    cells.push(cell);
                }
                Ok(Cell::List(cells))
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Cell<'de>, M::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cell::Other)
            }
        }
        from.deserialize_any(Cells)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> View<'_> {
        View::Text(text)
    }

    #[test]
    fn times_are_read_in_every_form_zeek_writes() {
        let at = Ok(Instant(1_517_336_042_279_652));
        assert_eq!(text("1517336042.279652").instant(), at);
        assert_eq!(View::Number(1_517_336_042.279_652).instant(), at);
        assert_eq!(text("2018-01-30T18:14:02.279652Z").instant(), at);
        assert_eq!(text("2018-01-30T19:14:02.279652+01:00").instant(), at);
        assert_eq!(text("2018-01-30T13:14:02.279652-0500").instant(), at);
        assert_eq!(
            View::Whole(1_517_336_042).instant(),
            Ok(Instant(1_517_336_042_000_000))
        );
        assert_eq!(text("1.5e+09").instant(), Ok(Instant(1_500_000_000_000_000)));
    }

    #[test]
    fn values_of_another_type_are_wrong_not_unset() {
        for wrong in ["", "x", "1x", "NaN", "inf", "-1", "2018-13-01T00:00:00Z"] {
            assert_eq!(text(wrong).instant(), Err(Reason::Value), "{wrong}");
        }
        assert_eq!(text("2018-01-30T18:14").instant(), Err(Reason::Value));
        assert_eq!(View::Absent.instant(), Err(Reason::ColumnMissing));
        assert_eq!(View::Unset.instant(), Err(Reason::Value));
        assert_eq!(text("65536").port(), Err(Reason::Value));
        assert_eq!(View::Other.count(), Err(Reason::Value));
        assert_eq!(View::Number(0.5).count(), Err(Reason::Value));
        assert_eq!(View::Number(61.0).count(), Ok(Some(61)));
        assert_eq!(View::Unset.count(), Ok(None));
    }

    proptest! {
        #[test]
        fn decimals_agree_with_floats(micros in 0u64..4_000_000_000_000_000) {
            let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            prop_assert_eq!(decimal_micros(&text), Some(micros));
            prop_assert_eq!(micros_of(text.parse().unwrap()), Ok(micros));
        }

        #[test]
        fn no_text_panics(wild: String) {
            let cell = text(&wild);
            let time = cell.instant().is_ok() || cell.micros().is_ok();
            let number = cell.count().is_ok() || wild.contains(['.', 'e', 'E']);
            prop_assert!(!time || number || wild.contains('T'), "{wild}");
            iso_8601_or_utc(&format!("2018-01-30T{wild}"));
        }
    }
}
