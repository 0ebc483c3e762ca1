//! Whether time grows with the input and nothing else does: NetFlow v9 and Zeek `conn` of
//! 0.1, 1 and 10 GB, made while they are read.
//!
//! `TIDEGAUGE_BENCH_GB=0.1,1,10 cargo bench -p tidegauge-wire --bench linear` prints a row
//! for each: processor seconds a GB, and the most memory that the process had from the
//! beginning of the row on. Making the input is in the seconds. Without the variable only
//! the smallest is read.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "how much is measured is told outside")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead, Read};

use tidegauge_model::{Answer, Flow, Instant, Loss, Reason};
use tidegauge_wire::zeek::Log;
use tidegauge_wire::{Decoder, Format, Sink};

/// 2024-04-01T00:00:00Z.
const START: u32 = 1_711_929_600;
const NOW: Instant = Instant(1_712_000_000_000_000);
/// Records of a block, which is written over and read again.
const BLOCK_RECORDS: u32 = 28_000;
const RECORDS_PER_DATAGRAM: u32 = 28;
/// Of `/proc/self/stat` (proc(5)): what `getconf CLK_TCK` says on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What came out.
#[derive(Default)]
struct Count {
    flows: u64,
    losses: u64,
    /// Losses that say that a limit was reached.
    limits: u64,
}

impl Sink for Count {
    fn flow(&mut self, flow: Flow) {
        black_box(&flow);
        self.flows += 1;
    }

    fn answer(&mut self, _: Answer) {}

    fn loss(&mut self, loss: Loss) {
        if loss.reason == Reason::Limit {
            self.limits += 1;
        } else {
            self.losses += 1;
        }
    }
}

/// A block, again and again, changed before each time so that no record comes twice.
struct Stream<F> {
    block: Vec<u8>,
    at: usize,
    turn: u64,
    turns: u64,
    change: F,
}

impl<F: FnMut(&mut [u8], u64)> Stream<F> {
    /// At least so many bytes.
    fn new(block: Vec<u8>, bytes: u64, change: F) -> Self {
        let turns = bytes.div_ceil(u64::try_from(block.len()).expect("64 bits"));
        Self { at: block.len(), block, turn: 0, turns, change }
    }
}

impl<F: FnMut(&mut [u8], u64)> BufRead for Stream<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.block.len() && self.turn < self.turns {
            (self.change)(&mut self.block, self.turn);
            (self.at, self.turn) = (0, self.turn + 1);
        }
        Ok(self.block.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.block.len());
    }
}

impl<F: FnMut(&mut [u8], u64)> Read for Stream<F> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

fn main() {
    println!("| input | GB | CPU s | CPU s/GB | peak MB | flows | limits reached |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let sizes =
        std::env::var("TIDEGAUGE_BENCH_GB").unwrap_or_else(|_| "0.1".to_owned());
    let sizes: Vec<f64> = sizes
        .split(',')
        .map(|size| size.trim().parse().expect("a number of GB"))
        .collect();
    for gigabytes in &sizes {
        row("NetFlow v9", *gigabytes, Format::Export, export);
    }
    for gigabytes in &sizes {
        row("Zeek conn, TSV", *gigabytes, Format::Zeek(Log::Conn), table);
    }
}

fn row<R: BufRead>(
    name: &str,
    gigabytes: f64,
    format: Format,
    open: impl Fn(u64) -> (R, u64),
) {
    let bytes = std::time::Duration::from_secs_f64(gigabytes).as_nanos();
    let (mut input, records) = open(u64::try_from(bytes).expect("so many GB"));
    forget_peak();
    let before = cpu_seconds();
    let mut count = Count::default();
    let mut decoder = Decoder::new(NOW);
    decoder.flows(format, &mut input, &mut count).expect("memory is read");
    decoder.finish(&mut count);
    let seconds = cpu_seconds() - before;
    assert_eq!((count.losses, decoder.repeated()), (0, 0));
    assert_eq!(count.flows, records);
    println!(
        "| {name} | {gigabytes} | {seconds:.2} | {:.2} | {} | {} | {} |",
        seconds / gigabytes,
        peak_megabytes().map_or_else(|| "not told".to_owned(), |mb| mb.to_string()),
        count.flows,
        count.limits,
    );
}

/// Lets the kernel count the peak of memory anew (proc(5), `clear_refs`); where it cannot,
/// the peak is that of the whole run.
fn forget_peak() {
    let _whole_run = fs::write("/proc/self/clear_refs", "5");
}

fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = peak.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024 / 1_000_000)
}

/// Processor time of this process.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let words = rest.split_whitespace().skip(11).take(2);
    words.map(|word| word.parse::<f64>().expect("ticks")).sum::<f64>()
        / TICKS_PER_SECOND
}

/// Messages of NetFlow v9 (RFC 3954, 5), each with the template first, and how many flows.
fn export(bytes: u64) -> (impl BufRead, u64) {
    const FIELDS: [(u16, u16); 12] = [
        (8, 4),
        (12, 4),
        (10, 4),
        (14, 4),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (4, 1),
        (6, 1),
    ];
    let mut template = vec![0, 0, 0, 56, 1, 0, 0, 12];
    for (id, length) in FIELDS {
        template.extend(id.to_be_bytes());
        template.extend(length.to_be_bytes());
    }
    let (mut block, mut begins) = (Vec::new(), Vec::new());
    for first in (0..BLOCK_RECORDS).step_by(28) {
        begins.push(block.len());
        block.extend([0, 9, 0, 2]);
        for word in [600_000, START, 0, 1] {
            block.extend(word.to_be_bytes());
        }
        block.extend(&template);
        block.extend([1, 0]);
        let length = u16::try_from(RECORDS_PER_DATAGRAM * 38 + 4).expect("a datagram");
        block.extend(length.to_be_bytes());
        for i in first..first + RECORDS_PER_DATAGRAM {
            block.extend((0xc612_0000 | i).to_be_bytes());
            block.extend([203, 0, 113, 5]);
            for word in [1, 2, 12, 1_500 + i % 7, 590_000, 599_000_u32] {
                block.extend(word.to_be_bytes());
            }
            block.extend([0xc3, 0x50, 1, 0xbb, 6, 0x1b]);
        }
    }
    let mut sequence = 0_u32;
    let change = move |block: &mut [u8], _: u64| {
        for begin in &begins {
            block[begin + 12..begin + 16].copy_from_slice(&sequence.to_be_bytes());
            sequence = sequence.wrapping_add(1);
        }
    };
    let stream = Stream::new(block, bytes, change);
    let records = stream.turns * u64::from(BLOCK_RECORDS);
    (stream, records)
}

/// Rows of `conn`, each with an identifier of its own, and how many.
fn table(bytes: u64) -> (impl BufRead, u64) {
    let head = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
                #unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                id.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\t\
                conn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\t\
                orig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n";
    let (mut block, mut places) = (String::new(), Vec::new());
    for i in 0..BLOCK_RECORDS {
        let _infallible = write!(block, "{}.{i:06}\tC", START + i % 86_400);
        places.push(block.len());
        let _infallible = writeln!(
            block,
            "00000000Y{i:06}\t198.18.{}.{}\t{}\t203.0.113.5\t443\ttcp\tssl\t1.02{:04}\t\
             900\t90000\tSF\tT\tF\t0\tShADadFf\t12\t1500\t70\t93000\t-",
            i / 251 % 251,
            i % 251,
            1_024 + i % 60_000,
            i % 10_000,
        );
    }
    let change = move |block: &mut [u8], turn: u64| {
        let digits = format!("{turn:08}");
        for place in &places {
            block[*place..place + 8].copy_from_slice(digits.as_bytes());
        }
    };
    let stream = Stream::new(block.into_bytes(), bytes, change);
    let records = stream.turns * u64::from(BLOCK_RECORDS);
    (io::Cursor::new(head.as_bytes()).chain(stream), records)
}
