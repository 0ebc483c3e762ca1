//! NetFlow v9 and IPFIX messages: a header, and sets of templates or records.
//!
//! **Invariant:** every set is decoded, held for its template, or one loss.
//!
//! ```text
//! v9    | version 9  | count  | uptime | seconds | sequence | source id | sets …  RFC 3954, 5.1
//! IPFIX | version 10 | length | seconds | sequence | domain | sets …              RFC 7011, 3.1
//! set   | id u16 | length u16, these four bytes included | records … | padding
//! ```
//!
//! The lengths of a record decide, never the count of the v9 header: exporters count sets,
//! or records, or neither.

use tidegauge_model::{Instant, Reason};

use super::domain::Key;
use super::element::Dialect;
use super::record::Clock;
use super::template::{Field, Template};

/// Ids of data sets begin here; below are templates (RFC 3954, 5.2; RFC 7011, 3.3.2).
pub(super) const DATA_SETS: u16 = 256;
const V9_HEADER_BYTES: usize = 20;
const IPFIX_HEADER_BYTES: usize = 16;
/// What a set begins with.
pub(super) const SET_HEADER_BYTES: usize = 4;
/// What is left at the end of a set at most as padding to eight bytes (RFC 7011, 3.3.1).
pub(super) const PADDING_MAX: usize = 7;
/// The enterprise given to a scope of NetFlow v9 (RFC 3954, 6.1): its types are not
/// elements.
const V9_SCOPE: u32 = u32::MAX;

/// The header of a message.
pub(super) struct Header {
    pub(super) clock: Clock,
    pub(super) sequence: u32,
    /// Source id or observation domain.
    pub(super) domain: u32,
    /// Where the sets begin, and where the message ends.
    pub(super) sets: usize,
    pub(super) end: usize,
}

impl Header {
    pub(super) fn read(
        dialect: Dialect,
        bytes: &[u8],
        received: Instant,
    ) -> Result<Self, Reason> {
        let number = |a, b, c, d| u32::from_be_bytes([a, b, c, d]);
        let clock = |seconds: u32, uptime| Clock {
            exported: Instant::from_unix(i64::from(seconds), 0).0,
            uptime,
            init_millis: None,
            received,
        };
        match dialect {
            Dialect::V9 => {
                let &[
                    _,
                    _,
                    _,
                    _,
                    u0,
                    u1,
                    u2,
                    u3,
                    s0,
                    s1,
                    s2,
                    s3,
                    q0,
                    q1,
                    q2,
                    q3,
                    d0,
                    d1,
                    d2,
                    d3,
                ] = bytes.first_chunk::<V9_HEADER_BYTES>().ok_or(Reason::Truncated)?;
                Ok(Self {
                    clock: clock(number(s0, s1, s2, s3), Some(number(u0, u1, u2, u3))),
                    sequence: number(q0, q1, q2, q3),
                    domain: number(d0, d1, d2, d3),
                    sets: V9_HEADER_BYTES,
                    end: bytes.len(),
                })
            }
            Dialect::Ipfix => {
                let &[_, _, l0, l1, s0, s1, s2, s3, q0, q1, q2, q3, d0, d1, d2, d3] =
                    bytes
                        .first_chunk::<IPFIX_HEADER_BYTES>()
                        .ok_or(Reason::Truncated)?;
                Ok(Self {
                    clock: clock(number(s0, s1, s2, s3), None),
                    sequence: number(q0, q1, q2, q3),
                    domain: number(d0, d1, d2, d3),
                    sets: IPFIX_HEADER_BYTES,
                    end: usize::from(u16::from_be_bytes([l0, l1])),
                })
            }
        }
    }
}

/// A set: its id, its content, and how long it is in all.
pub(super) fn set(bytes: &[u8]) -> Result<(u16, &[u8], usize), Reason> {
    let &[i0, i1, l0, l1, ..] = bytes else { return Err(Reason::Truncated) };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < SET_HEADER_BYTES {
        return Err(Reason::Length);
    }
    let content = bytes.get(SET_HEADER_BYTES..length).ok_or(Reason::Truncated)?;
    Ok((u16::from_be_bytes([i0, i1]), content, length))
}

/// What a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Templates,
    OptionsTemplates,
    Records(u16),
    /// An id that the protocol keeps for later.
    Reserved,
}

impl Kind {
    pub(super) fn of(dialect: Dialect, id: u16) -> Self {
        match (dialect, id) {
            (_, DATA_SETS..) => Self::Records(id),
            (Dialect::V9, 0) | (Dialect::Ipfix, 2) => Self::Templates,
            (Dialect::V9, 1) | (Dialect::Ipfix, 3) => Self::OptionsTemplates,
            _ => Self::Reserved,
        }
    }
}

/// What a template record says.
pub(super) enum Said {
    /// A layout; `None` if no record can be laid out so.
    Layout(u16, Option<Template>),
    /// Forget it (RFC 7011, 8.1).
    Withdrawn(u16),
}

/// Reads the template record at the start of `bytes`; `None` if only padding is left.
pub(super) fn template<'a>(
    key: &Key,
    options: bool,
    bytes: &'a [u8],
) -> Result<Option<(Said, &'a [u8])>, Reason> {
    let Some(dialect) = key.dialect() else { return Ok(None) };
    let &[i0, i1, c0, c1, ref rest @ ..] = bytes else { return Ok(None) };
    let (id, count) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([c0, c1]));
    if id == 0 {
        return Ok(None);
    }
    if dialect == Dialect::Ipfix && count == 0 {
        return Ok(Some((Said::Withdrawn(id), rest)));
    }
    if id < DATA_SETS {
        return Err(Reason::Value);
    }
    let (scopes, plain, mut rest) = match (dialect, options) {
        // Lengths in bytes of the scope and of the options (RFC 3954, 6.1).
        (Dialect::V9, true) => {
            let &[o0, o1, ref rest @ ..] = rest else { return Err(Reason::Truncated) };
            (count / 4, u16::from_be_bytes([o0, o1]) / 4, rest)
        }
        // The count of all fields, and of the scopes among them (RFC 7011, 3.4.2.1).
        (Dialect::Ipfix, true) => {
            let &[_, _, ref rest @ ..] = rest else { return Err(Reason::Truncated) };
            (0, count, rest)
        }
        (_, false) => (0, count, rest),
    };
    let mut fields = Vec::new();
    for at in 0..usize::from(scopes) + usize::from(plain) {
        let (mut field, after) = field(dialect, rest)?;
        if at < usize::from(scopes) {
            field.enterprise = V9_SCOPE;
        }
        fields.push(field);
        rest = after;
    }
    Ok(Some((Said::Layout(id, Template::compile(dialect, options, fields)), rest)))
}

/// A field specifier (RFC 7011, 3.2).
fn field(dialect: Dialect, bytes: &[u8]) -> Result<(Field, &[u8]), Reason> {
    let &[i0, i1, l0, l1, ref rest @ ..] = bytes else { return Err(Reason::Truncated) };
    let (id, length) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([l0, l1]));
    if dialect == Dialect::V9 || id & 0x8000 == 0 {
        return Ok((Field { enterprise: 0, id, length }, rest));
    }
    let &[e0, e1, e2, e3, ref rest @ ..] = rest else { return Err(Reason::Truncated) };
    let enterprise = u32::from_be_bytes([e0, e1, e2, e3]);
    Ok((Field { enterprise, id: id & 0x7fff, length }, rest))
}
