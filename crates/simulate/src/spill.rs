//! Rows of a month, by day, on disk once they are many: memory does not grow with the
//! month.
//!
//! **Invariant:** what comes out of a day is what went in, in the order of time, whether
//! it was on disk or not.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::traffic::{Row, Volume};

/// Rows that are held in memory: 80 bytes each (picked by hand: a twentieth of a gigabyte
/// for a vantage).
const ROWS_HELD: usize = 600_000;
/// Bytes of a row on disk.
const ROW_BYTES: usize = 55;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Rows of one vantage and month.
pub(crate) struct Spill {
    folder: PathBuf,
    /// Microseconds since the epoch of the first day.
    start: i64,
    days: Vec<Day>,
    held: usize,
    limit: usize,
    trouble: Option<Error>,
}

#[derive(Default)]
struct Day {
    rows: Vec<Row>,
    on_disk: bool,
}

impl Spill {
    /// Files go into `folder`, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf, start: i64, days: u16) -> Self {
        Self::holding(ROWS_HELD, folder, start, days)
    }

    fn holding(limit: usize, folder: PathBuf, start: i64, days: u16) -> Self {
        let days = (0..days).map(|_| Day::default()).collect();
        Self { folder, start, days, held: 0, limit, trouble: None }
    }

    /// Takes a row of the month. Trouble with the disk is told by [`Spill::day`].
    pub(crate) fn push(&mut self, row: Row) {
        let day = (row.start - self.start).div_euclid(MICROS_PER_DAY);
        let day = usize::try_from(day).ok().and_then(|d| self.days.get_mut(d));
        day.expect("a flow begins on a day of its month").rows.push(row);
        self.held += 1;
        if self.held >= self.limit && self.trouble.is_none() {
            self.trouble = self.flush().err();
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let wrong =
            |path: &Path, source| Error::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(&self.folder).map_err(|e| wrong(&self.folder, e))?;
        for (place, day) in self.days.iter_mut().enumerate() {
            if day.rows.is_empty() {
                continue;
            }
            let path = self.folder.join(place.to_string());
            let bytes: Vec<u8> =
                day.rows.drain(..).flat_map(|row| encode(&row)).collect();
            let mut options = OpenOptions::new();
            options.create(true).write(true);
            if day.on_disk {
                options.append(true)
            } else {
                options.truncate(true)
            };
            let mut file = options.open(&path).map_err(|e| wrong(&path, e))?;
            file.write_all(&bytes).map_err(|e| wrong(&path, e))?;
            day.on_disk = true;
        }
        self.held = 0;
        Ok(())
    }

    /// The rows of a day, by its place in the month, in the order of time; the day is empty
    /// afterwards.
    pub(crate) fn day(&mut self, place: usize) -> Result<Vec<Row>, Error> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        let day = &mut self.days[place];
        let mut rows = Vec::new();
        if day.on_disk {
            let path = self.folder.join(place.to_string());
            read(&path, &mut rows)
                .and_then(|()| std::fs::remove_file(&path))
                .map_err(|source| Error::Write { path, source })?;
            day.on_disk = false;
        }
        self.held -= day.rows.len();
        rows.append(&mut day.rows);
        day.rows = Vec::new();
        rows.sort_unstable_by_key(|r| {
            (r.start, r.originator, r.originator_port, r.server)
        });
        Ok(rows)
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Without files there is no folder; what else goes wrong here harms nothing.
        std::fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}

/// Little-endian fields in the order of [`Row`]; a volume has a byte that says whether it
/// was seen.
fn encode(row: &Row) -> [u8; ROW_BYTES] {
    let mut bytes = [0; ROW_BYTES];
    let mut rest = bytes.as_mut_slice();
    let mut put = |field: &[u8]| {
        let (place, after) = std::mem::take(&mut rest).split_at_mut(field.len());
        place.copy_from_slice(field);
        rest = after;
    };
    put(&row.start.to_le_bytes());
    put(&row.duration_micros.to_le_bytes());
    put(&row.originator.to_le_bytes());
    put(&row.originator_port.to_le_bytes());
    put(&row.server.to_le_bytes());
    for volume in [row.sent, row.received] {
        let (bytes, packets) = volume.unwrap_or_default();
        put(&[u8::from(volume.is_some())]);
        put(&bytes.to_le_bytes());
        put(&packets.to_le_bytes());
    }
    put(&[row.flags]);
    put(&row.sampling.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; ROW_BYTES]) -> Row {
    let mut rest = bytes.as_slice();
    Row {
        start: i64::from_le_bytes(take(&mut rest)),
        duration_micros: u32::from_le_bytes(take(&mut rest)),
        originator: u128::from_le_bytes(take(&mut rest)),
        originator_port: u16::from_le_bytes(take(&mut rest)),
        server: u16::from_le_bytes(take(&mut rest)),
        sent: volume(&mut rest),
        received: volume(&mut rest),
        flags: u8::from_le_bytes(take(&mut rest)),
        sampling: u32::from_le_bytes(take(&mut rest)),
    }
}

fn volume(rest: &mut &[u8]) -> Volume {
    let [seen] = take(rest);
    let volume = (u32::from_le_bytes(take(rest)), u32::from_le_bytes(take(rest)));
    (seen == 1).then_some(volume)
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, after) = rest.split_first_chunk().expect("a row has all its fields");
    *rest = after;
    *first
}

fn read(path: &Path, rows: &mut Vec<Row>) -> std::io::Result<()> {
    let file = File::open(path)?;
    let count = usize::try_from(file.metadata()?.len()).unwrap_or(0) / ROW_BYTES;
    rows.reserve(count);
    let mut reader = BufReader::new(file);
    let mut bytes = [0; ROW_BYTES];
    for _ in 0..count {
        reader.read_exact(&mut bytes)?;
        rows.push(decode(&bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32) -> Row {
        Row {
            start: i64::from(number % 3) * MICROS_PER_DAY
                + i64::from(number * 7_919 % 1000),
            duration_micros: number,
            originator: u128::from(number) << 77 | 5,
            originator_port: u16::try_from(number % 60_000).unwrap(),
            server: 142,
            sent: number.is_multiple_of(2).then_some((number, 1)),
            received: (!number.is_multiple_of(2)).then_some((u32::MAX, number)),
            flags: 0x1b,
            sampling: 1200,
        }
    }

    #[test]
    fn days_come_out_alike_whether_they_were_on_disk_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("spill");
        let days = |limit: usize| {
            let mut spill = Spill::holding(limit, folder.clone(), 0, 3);
            (0..1000).for_each(|n| spill.push(row(n)));
            let days: Vec<Vec<String>> = (0..3)
                .map(|d| {
                    let rows = spill.day(d).unwrap();
                    assert!(rows.is_sorted_by_key(|r| r.start));
                    rows.iter().map(|r| format!("{r:?}")).collect()
                })
                .collect();
            assert_eq!(spill.held, 0);
            days
        };
        let in_memory = days(10_000);
        assert_eq!(in_memory.iter().map(Vec::len).sum::<usize>(), 1000);
        assert_eq!(days(37), in_memory);
        assert!(!folder.exists(), "nothing is left on disk");
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut spill = Spill::holding(1, file.join("spill"), 0, 3);
        spill.push(row(0));
        assert!(matches!(spill.day(0), Err(Error::Write { .. })));
    }
}
