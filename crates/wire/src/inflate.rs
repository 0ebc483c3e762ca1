//! Inputs as their decompressed bytes: gzip is told by content, anything else passes.
//!
//! **Invariant:** damage to the compressed stream ends the bytes and is one [`Loss`];
//! an error of the reader beneath is an error, not a loss.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use tidegauge_model::{Loss, Reason};

/// How much of the decompressed head [`Inflate::head`] shows, in bytes. Enough for the
/// header of any log seen (under 2 KiB) and a few hundred lines after it.
pub const HEAD_BYTES: usize = 64 * 1024;

/// The first two bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The decompressed bytes of an input. Several gzip members in a row are one stream
/// (RFC 1952, 2.2), as rotation and concatenation make them.
pub struct Inflate<R: Read> {
    source: Source<R>,
    /// Bytes from `start` to `end` are read and not yet taken.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Decompressed bytes read in all.
    produced: u64,
    damage: Option<Loss>,
}

enum Source<R: Read> {
    /// Not looked at yet.
    New(R),
    Plain(Sniffed<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Watched<Sniffed<R>>>>>),
    /// At its end, or damaged, or failed.
    Ended,
}

/// A reader whose first bytes were read to look at them.
type Sniffed<R> = io::Chain<io::Take<Cursor<[u8; 2]>>, R>;

impl<R: Read> Inflate<R> {
    /// The decompressed bytes of `input`; nothing is read yet.
    pub fn new(input: R) -> Self {
        Self {
            source: Source::New(input),
            buffer: vec![0; HEAD_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            produced: 0,
            damage: None,
        }
    }

    /// The first [`HEAD_BYTES`] not yet taken, fewer only if the input ends before.
    /// Takes nothing: the same bytes are read again.
    pub fn head(&mut self) -> io::Result<&[u8]> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < self.buffer.len() {
            if self.fill()? == 0 {
                break;
            }
        }
        Ok(self.buffer.get(..self.end).unwrap_or_default())
    }

    /// Where the compressed stream was damaged, once the bytes before it are read. The
    /// offset is in decompressed bytes; up to [`HEAD_BYTES`] before the damage may be
    /// lost with it.
    pub fn damage(&self) -> Option<Loss> {
        self.damage.clone()
    }

    /// Reads once more into the free end of the buffer; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        if let Source::New(_) = self.source {
            let Source::New(input) = std::mem::replace(&mut self.source, Source::Ended)
            else {
                return Ok(0);
            };
            self.source = sniff(input)?;
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = match &mut self.source {
            Source::New(_) | Source::Ended => return Ok(0),
            Source::Plain(input) => read_retrying(input, free)?,
            Source::Gzip(decoder) => match read_retrying(decoder, free) {
                Ok(count) => count,
                Err(error) if decoder.get_ref().get_ref().failed => return Err(error),
                Err(_) => {
                    self.damage = Some(Loss::at(self.produced, Reason::Compression));
                    0
                }
            },
        };
        if count == 0 {
            self.source = Source::Ended;
        }
        self.end += count;
        self.produced += u64::try_from(count).expect("a buffer's length fits 64 bits");
        Ok(count)
    }
}

impl<R: Read> BufRead for Inflate<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.fill()?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.start.saturating_add(amount).min(self.end);
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// Decides by the first two bytes what `input` is.
fn sniff<R: Read>(mut input: R) -> io::Result<Source<R>> {
    let mut magic = [0; 2];
    let mut length = 0;
    while let Some(free) = magic.get_mut(length..).filter(|free| !free.is_empty()) {
        match read_retrying(&mut input, free)? {
            0 => break,
            count => length += count,
        }
    }
    let length = u64::try_from(length).expect("at most two");
    let whole = Cursor::new(magic).take(length).chain(input);
    Ok(if length == 2 && magic == GZIP_MAGIC {
        let watched = Watched { inner: whole, failed: false };
        Source::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(watched))))
    } else {
        Source::Plain(whole)
    })
}

fn read_retrying(input: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Remembers whether the reader beneath failed, so that its errors are not taken for
/// damage to the stream.
struct Watched<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(into);
        self.failed |=
            result.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn all(input: &[u8]) -> (Vec<u8>, Option<Loss>) {
        let mut inflate = Inflate::new(input);
        let mut bytes = Vec::new();
        inflate.read_to_end(&mut bytes).unwrap();
        (bytes, inflate.damage())
    }

    #[test]
    fn several_members_are_one_stream() {
        let members = [gzip(b"one\n"), gzip(b""), gzip(b"two\n")].concat();
        assert_eq!(all(&members), (b"one\ntwo\n".to_vec(), None));
    }

    #[test]
    fn a_stream_cut_short_keeps_what_was_before() {
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let whole = gzip(&text);
        let (bytes, damage) = all(&whole[..whole.len() / 2]);
        let damage = damage.unwrap();
        assert!(text.starts_with(&bytes) && bytes.len() > 100_000);
        assert_eq!(damage.reason, Reason::Compression);
        assert_eq!(damage.offset, u64::try_from(bytes.len()).unwrap());
    }

    #[test]
    fn a_damaged_stream_is_one_loss() {
        let mut damaged = gzip(b"some text that is long enough to be damaged");
        damaged[14] ^= 0xff;
        assert!(all(&damaged).1.is_some());
        let trailing = [gzip(b"text").as_slice(), b"rubbish after it"].concat();
        let (bytes, damage) = all(&trailing);
        assert_eq!(bytes, b"text");
        assert_eq!(damage.unwrap().offset, 4);
    }

    #[test]
    fn an_error_beneath_is_not_a_loss() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let whole = gzip(b"some text");
        let mut inflate = Inflate::new(whole[..12].chain(Broken));
        let error = inflate.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the disk is gone");
        assert!(inflate.damage().is_none());
    }

    #[test]
    fn the_head_is_read_again() {
        let whole = gzip(&vec![b'x'; 3 * HEAD_BYTES]);
        let mut inflate = Inflate::new(whole.as_slice());
        assert_eq!(inflate.head().unwrap().len(), HEAD_BYTES);
        let mut bytes = Vec::new();
        inflate.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 3 * HEAD_BYTES);
    }

    proptest! {
        #[test]
        fn compression_changes_no_byte(bytes: Vec<u8>) {
            prop_assert_eq!(all(&gzip(&bytes)), (bytes, None));
        }

        #[test]
        fn plain_bytes_pass(bytes: Vec<u8>) {
            prop_assume!(!bytes.starts_with(&GZIP_MAGIC));
            prop_assert_eq!(all(&bytes), (bytes, None));
        }

        #[test]
        fn no_bytes_after_the_magic_panic(bytes: Vec<u8>) {
            all(&[GZIP_MAGIC.as_slice(), &bytes].concat());
        }
    }
}
