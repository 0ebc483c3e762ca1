//! Rows of `conn` and `open_conn`: flows with their volumes.
//!
//! **Invariant:** a direction has a [`Volume`] only if the row tells its packets. Bytes
//! are those of the IP layer if the row tells them, else those of the payload; without
//! packets, bytes alone say nothing that may be compared with another source.

use tidegauge_model::flow::tcp_flag;
use tidegauge_model::{Address, Flow, Instant, Protocol, Reason, Volume};

use super::row::{Column, Values};
use crate::cell::View;
use crate::join::Ends;
use crate::protocol::{self, ICMP, ICMP_V6};

/// The ends that a row tells, `protocol` being that of its log if it tells none.
pub(super) fn ends(
    row: &impl Values,
    protocol: Option<Protocol>,
) -> Result<Ends, Reason> {
    let originator = row.value(Column::orig_h).address()?;
    let responder = row.value(Column::resp_h).address()?;
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => protocol_of(row, originator)?,
    };
    let ports = (row.value(Column::orig_p).port()?, row.value(Column::resp_p).port()?);
    Ends::new((originator, ports.0), (responder, ports.1), protocol)
}

/// The flow of a row of `conn` or `open_conn` that began at `start`, still without a name.
pub(super) fn flow(row: &impl Values, start: Instant) -> Result<Flow, Reason> {
    let ends = ends(row, None)?;
    let mut flow = ends.flow(start);
    if let Some(micros) = row.value(Column::duration).micros()? {
        let micros = i64::try_from(micros).map_err(|_| Reason::Value)?;
        flow.end = Instant(start.0.checked_add(micros).ok_or(Reason::Value)?);
    }
    flow.sent = volume(
        row.value(Column::orig_pkts),
        row.value(Column::orig_ip_bytes),
        row.value(Column::orig_bytes),
    )?;
    flow.received = volume(
        row.value(Column::resp_pkts),
        row.value(Column::resp_ip_bytes),
        row.value(Column::resp_bytes),
    )?;
    if ends.protocol == Protocol::TCP {
        flow.tcp_flags = row.value(Column::history).text()?.map(tcp_flags);
    }
    Ok(flow)
}

fn protocol_of(row: &impl Values, originator: Address) -> Result<Protocol, Reason> {
    Ok(match row.value(Column::proto).needed_text()? {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "icmp" if originator.is_v4() => ICMP,
        "icmp" => ICMP_V6,
        "sctp" => protocol::SCTP,
        _ => match row.value(Column::ip_proto).count()? {
            Some(number) => Protocol(u8::try_from(number).map_err(|_| Reason::Value)?),
            None => protocol::UNKNOWN,
        },
    })
}

fn volume(
    packets: View<'_>,
    ip_bytes: View<'_>,
    payload_bytes: View<'_>,
) -> Result<Option<Volume>, Reason> {
    let (ip_bytes, payload_bytes) = (ip_bytes.count()?, payload_bytes.count()?);
    Ok(ip_bytes
        .or(payload_bytes)
        .zip(packets.count()?)
        .map(|(bytes, packets)| Volume { bytes, packets }))
}

/// The flags that a history proves, both ways: upper case is the originator, lower case
/// the responder. Letters that prove no single flag (`I` and `Q` are contradictions, `C`
/// a checksum, `T` a repetition, `G` a gap, `W` a window, `^` a turned direction) are
/// passed over.
fn tcp_flags(history: &str) -> u8 {
    use tcp_flag::{ACK, FIN, RST, SYN};
    history.bytes().fold(0, |flags, letter| {
        flags
            | match letter.to_ascii_lowercase() {
                b's' => SYN,
                b'h' => SYN | ACK,
                // Every segment with data after the handshake carries ACK (RFC 9293, 3.1).
                b'a' | b'd' => ACK,
                b'f' => FIN,
                b'r' => RST,
                _ => 0,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;

    fn read(line: &str) -> Result<Flow, Reason> {
        let row = serde_json::from_str::<Row<'_>>(line).unwrap();
        flow(&row, row.value(Column::ts).instant()?)
    }

    const ENDS: &str = r#""ts":1517336042.5,"uid":"C1","id.orig_h":"10.0.0.1",
        "id.orig_p":8,"id.resp_h":"192.0.2.1","id.resp_p":3"#;

    #[test]
    fn ip_bytes_come_before_payload_bytes() {
        let both = format!(
            r#"{{{ENDS},"proto":"tcp","duration":2.25,"orig_bytes":5,"orig_pkts":3,
               "orig_ip_bytes":200,"resp_bytes":7,"resp_pkts":1,"history":"ShADadfR"}}"#
        );
        let flow = read(&both).unwrap();
        assert_eq!(flow.sent, Some(Volume { bytes: 200, packets: 3 }));
        assert_eq!(flow.received, Some(Volume { bytes: 7, packets: 1 }));
        assert_eq!(flow.end.0 - flow.start.0, 2_250_000);
        assert_eq!(flow.tcp_flags, Some(0x17));
    }

    #[test]
    fn bytes_without_packets_are_no_volume() {
        let flow =
            read(&format!(r#"{{{ENDS},"proto":"udp","orig_bytes":5}}"#)).unwrap();
        assert_eq!((flow.sent, flow.received, flow.tcp_flags), (None, None, None));
        assert_eq!(flow.end, flow.start);
    }

    #[test]
    fn icmp_has_no_ports() {
        let flow = read(&format!(r#"{{{ENDS},"proto":"icmp"}}"#)).unwrap();
        assert_eq!((flow.originator_port, flow.responder_port), (0, 0));
        assert_eq!(flow.protocol, ICMP);
    }

    #[test]
    fn an_unknown_transport_keeps_its_number_if_told() {
        let of = |rest: &str| read(&format!("{{{ENDS},{rest}}}")).unwrap().protocol;
        assert_eq!(of(r#""proto":"unknown_transport""#), protocol::UNKNOWN);
        assert_eq!(of(r#""proto":"unknown_transport","ip_proto":47"#), Protocol(47));
    }

    #[test]
    fn wrong_values_lose_the_row() {
        let lost = |rest: &str| read(&format!("{{{ENDS},{rest}}}")).unwrap_err();
        assert_eq!(lost(r#""proto":"tcp","duration":-1"#), Reason::Value);
        assert_eq!(
            lost(r#""proto":"tcp","orig_pkts":"x","orig_bytes":1"#),
            Reason::Value
        );
        assert_eq!(lost(r#""duration":1"#), Reason::ColumnMissing);
        assert_eq!(lost(r#""proto":"tcp","id.orig_h":"224.0.0.251""#), Reason::Address);
        assert_eq!(lost(r#""proto":"tcp","id.orig_p":93145"#), Reason::Value);
    }
}
