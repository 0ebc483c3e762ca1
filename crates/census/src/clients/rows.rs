//! Rows of the evidence, their names as numbers.
//!
//! **Invariant:** a row has a day at least. The contacts of each day stand beside it only
//! where it has several days.

/// Days of a month, from a day that is given as days from the first of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first of the month: negative if the question begins after it.
    pub(crate) from: i32,
    /// Bit `d` for the day `d` after it.
    pub(crate) bits: u32,
}

impl Days {
    /// Each of the days alone.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> + Clone {
        let mut rest = self.bits;
        std::iter::from_fn(move || {
            let bits = rest & rest.wrapping_neg();
            rest ^= bits;
            (bits != 0).then_some(Self { bits, ..self })
        })
    }

    /// The earliest, as days from the first of the question.
    #[inline]
    pub(crate) fn first(self) -> i32 {
        self.from.saturating_add_unsigned(self.bits.trailing_zeros())
    }

    pub(crate) fn count(self) -> u32 {
        self.bits.count_ones()
    }

    /// Those up to a day, given as days from the first of the question.
    pub(crate) fn until(self, last: i32) -> Self {
        let mask = match u32::try_from(last.saturating_sub(self.from)) {
            Ok(bit) => u32::MAX.checked_shr(31u32.saturating_sub(bit)).unwrap_or(0),
            Err(_) => 0,
        };
        Self { bits: self.bits & mask, ..self }
    }
}

/// An address, as its stored halves.
pub(super) type Halves = (i64, i64);

/// Sightings that are evidence, their names as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) address: Halves,
    /// Of the file's month, as bits.
    pub(super) days: u32,
    /// The row of the evidence.
    pub(super) entry: u32,
    /// 0 for none, else a number of [`Names::sites`] and one.
    pub(super) site: u32,
    pub(super) vantage: u32,
    pub(super) signal: u32,
    /// Where the contacts of each day begin, if there are several days.
    pub(super) each: u32,
    /// Of all days.
    pub(super) contacts: u64,
}

/// Rows, and the contacts of each day of those that have several.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) rows: Vec<Row>,
    pub(super) contacts: Vec<u64>,
}

impl Row {
    /// The days of which the contacts of each are kept.
    pub(super) fn several_days(&self) -> u32 {
        if self.days.is_power_of_two() { 0 } else { self.days }
    }
}

impl Decoded {
    /// Adds those days of a row that are also `held`, if there are any; `contacts` are of
    /// each of its days.
    pub(super) fn push(&mut self, row: Row, held: u32, contacts: &[u64]) {
        let days = row.days & held;
        if days == 0 {
            return;
        }
        if let [contacts] = *contacts {
            self.rows.push(Row { contacts, each: number(self.contacts.len()), ..row });
            return;
        }
        let each = self.contacts.len();
        let all = Days { from: 0, bits: row.days }.each().zip(contacts);
        let of_days = all.filter(|(day, _)| day.bits & held != 0).map(|(_, n)| *n);
        self.contacts.extend(of_days);
        let contacts = sum(self.contacts.get(each..).unwrap_or(&[]));
        if days.is_power_of_two() {
            self.contacts.truncate(each);
        }
        self.rows.push(Row { days, each: number(each), contacts, ..row });
    }

    /// Takes out the rows of the last address.
    pub(super) fn split_last(&mut self) -> Self {
        let last = self.rows.last().map(|row| row.address);
        let from = self.rows.partition_point(|row| Some(row.address) < last);
        let mut rows = self.rows.split_off(from);
        let contacts = rows.first().map_or(self.contacts.len(), |row| index(row.each));
        let before = number(contacts);
        for row in &mut rows {
            row.each = row.each.saturating_sub(before);
        }
        Self { rows, contacts: self.contacts.split_off(contacts) }
    }
}

/// The contacts of each of some days, which begin at `from`.
pub(super) fn contacts_of(all: &[u64], from: u32, days: u32) -> &[u64] {
    let from = index(from);
    all.get(from..from + index(days.count_ones())).unwrap_or(&[])
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

pub(super) fn sum(contacts: &[u64]) -> u64 {
    contacts.iter().fold(0, |all, some| all.saturating_add(*some))
}
