//! Writes a table as an MMDB file, so that `maxminddb` has the same one to read.
//! `MaxMind` DB File Format Specification 2.0, records of 32 bits.

use std::collections::HashMap;

/// A record of the tree while it grows.
#[derive(Clone, Copy)]
enum Record {
    Nobody,
    Node(usize),
    Data(u32),
}

/// Prefixes `(bits, length, value)`, disjoint. IPv4 stands at `::/96`, as the format asks.
pub(crate) fn written(prefixes: &[(u128, u32, u32)]) -> Vec<u8> {
    let mut nodes = vec![[Record::Nobody; 2]];
    for (bits, length, value) in prefixes {
        let mapped = bits >> 32 == 0xffff;
        let bits = if mapped { bits & u128::from(u32::MAX) } else { *bits };
        let mut at = 0;
        for depth in 0..*length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == *length {
                nodes[at][side] = Record::Data(*value);
            } else if let Record::Node(next) = nodes[at][side] {
                at = next;
            } else {
                nodes[at][side] = Record::Node(nodes.len());
                at = nodes.len();
                nodes.push([Record::Nobody; 2]);
            }
        }
    }
    file(&nodes)
}

fn file(nodes: &[[Record; 2]]) -> Vec<u8> {
    let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let (mut tree, mut data) = (Vec::new(), Vec::new());
    let mut places: HashMap<u32, u32> = HashMap::new();
    for record in nodes.iter().flatten() {
        let stored = match record {
            Record::Nobody => count,
            Record::Node(next) => u32::try_from(*next).unwrap_or(u32::MAX),
            Record::Data(value) => {
                let place = *places.entry(*value).or_insert_with(|| {
                    let place = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    data.push(0xc4);
                    data.extend(value.to_be_bytes());
                    place
                });
                count + 16 + place
            }
        };
        tree.extend(stored.to_be_bytes());
    }
    tree.extend([0; 16]);
    tree.extend(data);
    tree.extend(b"\xab\xcd\xefMaxMind.com");
    tree.extend(metadata(count));
    tree
}

fn metadata(count: u32) -> Vec<u8> {
    let mut map = vec![0xe0 | 9];
    let mut entry = |name: &str, value: &[u8]| {
        map.push(0x40 | u8::try_from(name.len()).unwrap_or(0));
        map.extend(name.as_bytes());
        map.extend(value);
    };
    let two = |number: u8| [0xa1, number];
    entry("binary_format_major_version", &two(2));
    entry("binary_format_minor_version", &[0xa0]);
    entry("build_epoch", &[0x01, 0x02, 1]);
    entry("database_type", b"\x45bench");
    entry("description", &[0xe0]);
    entry("ip_version", &two(6));
    entry("languages", &[0x00, 0x04]);
    entry("node_count", &[&[0xc4][..], &count.to_be_bytes()].concat());
    entry("record_size", &two(32));
    map
}
