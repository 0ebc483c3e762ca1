//! Inputs as their decompressed bytes: gzip, zstd and bzip2 are told by content, anything
//! else passes.
//!
//! **Invariant:** damage to the compressed stream ends the bytes and is one [`Loss`];
//! an error of the reader beneath is an error, not a loss. Memory is bounded, whatever the
//! stream asks for.
//!
//! What is left out: xz, lzip, and the `compress` of old; one layer is undone, not two.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use tidegauge_model::{Loss, Reason};

/// How much of the decompressed head [`Inflate::head`] shows, in bytes. Enough for the
/// header of any log seen (under 2 KiB) and a few hundred lines after it.
pub const HEAD_BYTES: usize = 64 * 1024;

/// The first two bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first four bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes two to four of a skippable frame of zstd; the first is 0x50 to 0x5f (RFC 8878,
/// 3.1.2).
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// What follows `BZh` and a digit in a bzip2 stream: the beginning of a block (pi) or, if the
/// stream is empty, its end (the square root of pi).
const BZIP2_BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
const BZIP2_END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
/// How many bytes tell.
const MAGIC_BYTES: usize = 10;
/// The largest window of zstd that is given memory, as a power of two: 128 MiB, what
/// `zstd -d` takes without being told otherwise.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The decompressed bytes of an input. Several members, frames or streams in a row are one
/// stream (RFC 1952, 2.2; RFC 8878, 3), as rotation and concatenation make them.
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
    Zstd(Box<zstd::Decoder<'static, BufReader<Watched<Sniffed<R>>>>>),
    Bzip2(Box<MultiBzDecoder<BufReader<Watched<Sniffed<R>>>>>),
    /// At its end, or damaged, or failed.
    Ended,
}

/// A reader whose first bytes were read to look at them.
type Sniffed<R> = io::Chain<io::Take<Cursor<[u8; MAGIC_BYTES]>>, R>;

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
            Source::Plain(input) => Ok(read_retrying(input, free)?),
            Source::Gzip(decoder) => read_retrying(decoder, free)
                .map_err(|error| (error, decoder.get_ref().get_ref().failed)),
            Source::Zstd(decoder) => read_retrying(decoder, free)
                .map_err(|error| (error, decoder.get_ref().get_ref().failed)),
            Source::Bzip2(decoder) => read_retrying(decoder, free)
                .map_err(|error| (error, decoder.get_ref().get_ref().failed)),
        };
        let count = match count {
            Ok(count) => count,
            Err((error, true)) => return Err(error),
            Err((_, false)) => {
                self.damage = Some(Loss::at(self.produced, Reason::Compression));
                0
            }
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

/// Decides by the first bytes what `input` is.
fn sniff<R: Read>(mut input: R) -> io::Result<Source<R>> {
    let mut magic = [0; MAGIC_BYTES];
    let mut length = 0;
    while let Some(free) = magic.get_mut(length..).filter(|free| !free.is_empty()) {
        match read_retrying(&mut input, free)? {
            0 => break,
            count => length += count,
        }
    }
    let compression = magic.get(..length).and_then(compression);
    let length = u64::try_from(length).expect("at most ten");
    let whole = Cursor::new(magic).take(length).chain(input);
    let Some(compression) = compression else { return Ok(Source::Plain(whole)) };
    let watched = BufReader::new(Watched { inner: whole, failed: false });
    Ok(match compression {
        Compression::Gzip => Source::Gzip(Box::new(MultiGzDecoder::new(watched))),
        Compression::Bzip2 => Source::Bzip2(Box::new(MultiBzDecoder::new(watched))),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(watched)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Source::Zstd(Box::new(decoder))
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
    Bzip2,
}

/// What a stream that begins so is compressed with.
fn compression(head: &[u8]) -> Option<Compression> {
    if head.starts_with(&GZIP_MAGIC) {
        return Some(Compression::Gzip);
    }
    if head.starts_with(&ZSTD_MAGIC) {
        return Some(Compression::Zstd);
    }
    match head {
        [0x50..=0x5f, rest @ ..] if rest.starts_with(&ZSTD_SKIPPABLE) => {
            Some(Compression::Zstd)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
            if rest.starts_with(&BZIP2_BLOCK) || rest.starts_with(&BZIP2_END) =>
        {
            Some(Compression::Bzip2)
        }
        _ => None,
    }
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

    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
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

    fn zstd_of(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn bzip2_of(bytes: &[u8]) -> Vec<u8> {
        let mut encoder =
            bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const ALL: [Compress; 3] = [gzip, zstd_of, bzip2_of];

    #[test]
    fn several_streams_in_a_row_are_one() {
        for compress in ALL {
            let twice = [compress(b"first, "), compress(b"second")].concat();
            assert_eq!(all(&twice), (b"first, second".to_vec(), None));
        }
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let led = [&skippable[..], &zstd_of(b"behind it")].concat();
        assert_eq!(all(&led), (b"behind it".to_vec(), None));
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_is_one_loss_behind_what_was_whole() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
        for compress in ALL {
            let whole = compress(&text);
            let step = whole.len() / 50;
            for length in (MAGIC_BYTES..whole.len()).step_by(step) {
                let (bytes, damage) = all(&whole[..length]);
                assert!(text.starts_with(&bytes), "{length} of {}", whole.len());
                let offset = u64::try_from(bytes.len()).unwrap();
                assert_eq!(damage, Some(Loss::at(offset, Reason::Compression)));
            }
        }
    }

    #[test]
    fn a_window_over_the_limit_is_damage() {
        // A frame that asks for a window of 2^41 bytes (RFC 8878, 3.1.1.1.2).
        let greedy = [&ZSTD_MAGIC[..], &[0x00, 0xf8, 0x01, 0, 0, 0, 0]].concat();
        assert_eq!(all(&greedy).1, Some(Loss::at(0, Reason::Compression)));
    }

    proptest! {
        #[test]
        fn compression_changes_no_byte(bytes: Vec<u8>) {
            for compress in ALL {
                prop_assert_eq!(all(&compress(&bytes)), (bytes.clone(), None));
            }
        }

        #[test]
        fn plain_bytes_pass(bytes: Vec<u8>) {
            prop_assume!(compression(&bytes).is_none());
            prop_assert_eq!(all(&bytes), (bytes, None));
        }

        #[test]
        fn no_bytes_after_the_magic_panic(bytes: Vec<u8>) {
            all(&[GZIP_MAGIC.as_slice(), &bytes].concat());
            all(&[ZSTD_MAGIC.as_slice(), &bytes].concat());
            all(&[b"BZh9".as_slice(), &BZIP2_BLOCK, &bytes].concat());
        }
    }
}
