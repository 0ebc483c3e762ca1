//! Records to rows and back.
//!
//! **Invariant:** what is read back equals what was written, except that counts over
//! 2^63-1 are stored as 2^63-1: the format has no unsigned 64-bit type.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use roaring::{RoaringBitmap, RoaringTreemap};
use serde::{Deserialize, Serialize};
use tidegauge_model::endpoint::Port;
use tidegauge_model::finding::Finding;
use tidegauge_model::vantage::{Clients, Exporter, Position};
use tidegauge_model::{
    Address, Asn, Client, Country, Coverage, Day, DayRange, Endpoint, EndpointId,
    Exported, Footprint, Instant, Observation, OrgId, Organisation, Pattern, Prefix,
    ProductId, Protocol, Reason, ResolvedDay, SectorId, Sighting, SiteId, SourceId,
    Vantage, VantageId,
};

use crate::Table;
use crate::batch::{Published, RunRecord};
use crate::schema::column as c;

/// Why rows cannot be turned into records; ends up in a `Damaged` error.
type Read<T> = Result<T, String>;

/// Sightings as rows, in the order given.
pub(crate) fn from_sightings(sightings: &[Sighting]) -> RecordBatch {
    let months = months(sightings.iter().map(|s| s.day));
    let halves = || sightings.iter().map(|s| s.client.address.halves());
    let sites = sightings.iter().map(|s| s.client.site.as_ref().map(SiteId::as_str));
    let optional = |field: fn(&Sighting) -> Option<u64>| {
        ints_or_null(sightings.iter().map(|s| field(s).map(signed)))
    };
    batch(
        Table::Sightings,
        vec![
            texts(sightings.iter().map(|s| s.vantage.as_str())),
            Arc::new(sites.collect::<StringArray>()),
            ints(halves().map(|h| h.0)),
            ints(halves().map(|h| h.1)),
            texts(sightings.iter().map(|s| s.endpoint.as_str())),
            texts(sightings.iter().map(|s| s.grade.as_str())),
            texts(sightings.iter().map(|s| s.signal.as_str())),
            days(sightings.iter().map(|s| s.day)),
            ints(sightings.iter().map(|s| signed(s.contacts))),
            optional(|s| s.bytes_sent),
            optional(|s| s.packets_sent),
            optional(|s| s.bytes_received),
            optional(|s| s.packets_received),
            small(sightings.iter().map(|s| i32::from(s.tcp_flags))),
            ints(sightings.iter().map(|s| i64::from(s.sampling))),
            instants(sightings.iter().map(|s| s.first)),
            instants(sightings.iter().map(|s| s.last)),
            small(sightings.iter().map(|s| s.hours.cast_signed())),
            months,
        ],
    )
}

/// Rows as sightings.
pub(crate) fn to_sightings(rows: &RecordBatch) -> Read<Vec<Sighting>> {
    let r = Rows(rows);
    let (hi, lo, site) = (r.ints(c::IP_HI), r.ints(c::IP_LO), r.texts(c::SITE));
    let (vantage, endpoint) = (r.texts(c::VANTAGE), r.texts(c::ENDPOINT));
    let (grade, signal) = (r.texts(c::GRADE), r.texts(c::SIGNAL));
    let (contacts, flags) = (r.ints(c::CONTACTS), r.small(c::TCP_FLAGS));
    let (sampling, hours) = (r.ints(c::SAMPLING), r.small(c::HOURS));
    let (first, last, day) =
        (r.instants(c::FIRST), r.instants(c::LAST), r.days(c::DAY));
    let volumes =
        [c::BYTES_SENT, c::PACKETS_SENT, c::BYTES_RECEIVED, c::PACKETS_RECEIVED];
    let [bytes_sent, packets_sent, bytes_received, packets_received] =
        volumes.map(|name| r.ints(name));
    let volume = |column: &Int64Array, row| {
        column.is_valid(row).then(|| count(column.value(row))).transpose()
    };
    (0..rows.num_rows())
        .map(|i| {
            let address = Address::from_halves(hi.value(i), lo.value(i));
            let site = site.is_valid(i).then(|| SiteId::new(site.value(i)));
            Ok(Sighting {
                vantage: VantageId::new(vantage.value(i)),
                client: Client { address, site },
                endpoint: EndpointId::new(endpoint.value(i)),
                grade: word(grade.value(i))?,
                signal: word(signal.value(i))?,
                day: Day(day.value(i)),
                contacts: count(contacts.value(i))?,
                bytes_sent: volume(bytes_sent, i)?,
                packets_sent: volume(packets_sent, i)?,
                bytes_received: volume(bytes_received, i)?,
                packets_received: volume(packets_received, i)?,
                tcp_flags: narrow(flags.value(i))?,
                sampling: narrow(sampling.value(i))?,
                first: Instant(first.value(i)),
                last: Instant(last.value(i)),
                hours: hours.value(i).cast_unsigned(),
            })
        })
        .collect()
}

/// Coverage of the append `batch_id` as rows, in the order given.
pub(crate) fn from_coverage(coverage: &[Coverage], batch_id: &str) -> RecordBatch {
    let losses: Vec<String> = coverage.iter().map(|c| losses_text(&c.losses)).collect();
    let exporters: Vec<_> = coverage.iter().map(exporters_text).collect();
    batch(
        Table::Coverage,
        vec![
            texts(coverage.iter().map(|c| c.vantage.as_str())),
            days(coverage.iter().map(|c| c.day)),
            texts(coverage.iter().map(|_| batch_id)),
            ints(coverage.iter().map(|c| signed(c.flows))),
            ints(coverage.iter().map(|c| signed(c.contacts))),
            texts(losses.iter().map(String::as_str)),
            ints(coverage.iter().map(|c| i64::from(c.sampling_min))),
            ints(coverage.iter().map(|c| i64::from(c.sampling_max))),
            ints(coverage.iter().map(|c| i64::from(c.control_sampling))),
            small(coverage.iter().map(|c| c.hours.cast_signed())),
            binaries(coverage.iter().map(|c| footprint_v4(&c.footprint))),
            binaries(coverage.iter().map(|c| footprint_v6(&c.footprint))),
            texts_or_null(exporters.iter().map(Option::as_deref)),
            months(coverage.iter().map(|c| c.day)),
        ],
    )
}

/// Rows as coverage, each with the id of the append that wrote it.
pub(crate) fn to_coverage(rows: &RecordBatch) -> Read<Vec<(String, Coverage)>> {
    let r = Rows(rows);
    let (vantage, day, batch) =
        (r.texts(c::VANTAGE), r.days(c::DAY), r.texts(c::BATCH));
    let (flows, contacts) = (r.ints(c::FLOWS), r.ints(c::CONTACTS));
    let (least, most) = (r.ints(c::SAMPLING_MIN), r.ints(c::SAMPLING_MAX));
    let (control, hours) = (r.ints(c::CONTROL_SAMPLING), r.small(c::HOURS));
    let (losses, exporters) = (r.texts(c::LOSSES), r.texts(c::EXPORTERS));
    let (v4, v6) = (r.binaries(c::FOOTPRINT_V4), r.binaries(c::FOOTPRINT_V6));
    let bitmap = |error: std::io::Error| format!("a footprint is no bitmap: {error}");
    (0..rows.num_rows())
        .map(|i| {
            let coverage = Coverage {
                vantage: VantageId::new(vantage.value(i)),
                day: Day(day.value(i)),
                flows: count(flows.value(i))?,
                contacts: count(contacts.value(i))?,
                losses: losses_read(losses.value(i))?,
                sampling_min: narrow(least.value(i))?,
                sampling_max: narrow(most.value(i))?,
                control_sampling: narrow(control.value(i))?,
                hours: hours.value(i).cast_unsigned(),
                footprint: Footprint {
                    v4: RoaringBitmap::deserialize_from(v4.value(i)).map_err(bitmap)?,
                    v6: RoaringTreemap::deserialize_from(v6.value(i))
                        .map_err(bitmap)?,
                },
                exporters: exporters_read(
                    exporters.is_valid(i).then(|| exporters.value(i)),
                )?,
            };
            Ok((batch.value(i).to_owned(), coverage))
        })
        .collect()
}

/// Resolutions of the append `batch_id` as rows, in the order given.
pub(crate) fn from_resolutions(
    resolutions: &[ResolvedDay],
    batch_id: &str,
) -> RecordBatch {
    let half = |pick: fn((i64, i64)) -> i64| {
        let halves = |r: &ResolvedDay| r.client.map(|p| pick(p.first().halves()));
        ints_or_null(resolutions.iter().map(halves))
    };
    let bits = resolutions.iter().map(|r| r.client.map(|p| i32::from(p.length())));
    batch(
        Table::Resolutions,
        vec![
            texts(resolutions.iter().map(|r| r.vantage.as_str())),
            texts(resolutions.iter().map(|r| r.endpoint.as_str())),
            days(resolutions.iter().map(|r| r.day)),
            texts(resolutions.iter().map(|_| batch_id)),
            half(|(hi, _)| hi),
            half(|(_, lo)| lo),
            Arc::new(bits.collect::<Int32Array>()),
            ints(resolutions.iter().map(|r| signed(r.count))),
            instants(resolutions.iter().map(|r| r.first)),
            instants(resolutions.iter().map(|r| r.last)),
            months(resolutions.iter().map(|r| r.day)),
        ],
    )
}

/// Rows as resolutions, each with the id of the append that wrote it.
pub(crate) fn to_resolutions(rows: &RecordBatch) -> Read<Vec<(String, ResolvedDay)>> {
    let r = Rows(rows);
    let (vantage, endpoint) = (r.texts(c::VANTAGE), r.texts(c::ENDPOINT));
    let (day, batch) = (r.days(c::DAY), r.texts(c::BATCH));
    let (hi, lo, bits) = (r.ints(c::IP_HI), r.ints(c::IP_LO), r.small(c::PREFIX_BITS));
    let (first, last) = (r.instants(c::FIRST), r.instants(c::LAST));
    let counted = r.ints(c::COUNT);
    (0..rows.num_rows())
        .map(|i| {
            let told = hi.is_valid(i) && lo.is_valid(i) && bits.is_valid(i);
            let client = told.then(|| {
                let address = Address::from_halves(hi.value(i), lo.value(i));
                narrow(bits.value(i)).map(|bits| Prefix::containing(address, bits))
            });
            let resolution = ResolvedDay {
                vantage: VantageId::new(vantage.value(i)),
                endpoint: EndpointId::new(endpoint.value(i)),
                client: client.transpose()?,
                day: Day(day.value(i)),
                count: count(counted.value(i))?,
                first: Instant(first.value(i)),
                last: Instant(last.value(i)),
            };
            Ok((batch.value(i).to_owned(), resolution))
        })
        .collect()
}

/// Observations as rows.
pub(crate) fn from_observations(observations: &[Observation]) -> RecordBatch {
    let end = |pick: fn((Address, Address)) -> i64| {
        ints_or_null(observations.iter().map(|o| o.range.map(pick)))
    };
    let details: Vec<String> = observations.iter().map(|o| json(&o.detail)).collect();
    batch(
        Table::Atlas,
        vec![
            texts(observations.iter().map(|o| o.source.as_str())),
            days(observations.iter().map(|o| o.snapshot)),
            end(|(first, _)| first.halves().0),
            end(|(first, _)| first.halves().1),
            end(|(_, last)| last.halves().0),
            end(|(_, last)| last.halves().1),
            ints_or_null(
                observations.iter().map(|o| o.asn.map(|asn| i64::from(asn.0))),
            ),
            texts(observations.iter().map(|o| o.field.as_str())),
            texts(observations.iter().map(|o| o.value.as_str())),
            texts(details.iter().map(String::as_str)),
        ],
    )
}

/// Rows as observations.
pub(crate) fn to_observations(rows: &RecordBatch) -> Read<Vec<Observation>> {
    let r = Rows(rows);
    let (source, snapshot) = (r.texts(c::SOURCE), r.days(c::SNAPSHOT));
    let (first_hi, first_lo) = (r.ints(c::FIRST_HI), r.ints(c::FIRST_LO));
    let (last_hi, last_lo) = (r.ints(c::LAST_HI), r.ints(c::LAST_LO));
    let (asn, field) = (r.ints(c::ASN), r.texts(c::FIELD));
    let (value, detail) = (r.texts(c::VALUE), r.texts(c::DETAIL));
    (0..rows.num_rows())
        .map(|i| {
            let range = first_hi.is_valid(i).then(|| {
                let first = Address::from_halves(first_hi.value(i), first_lo.value(i));
                (first, Address::from_halves(last_hi.value(i), last_lo.value(i)))
            });
            Ok(Observation {
                source: SourceId::new(source.value(i)),
                snapshot: Day(snapshot.value(i)),
                range,
                asn: asn
                    .is_valid(i)
                    .then(|| narrow(asn.value(i)).map(Asn))
                    .transpose()?,
                field: word(field.value(i))?,
                value: value.value(i).to_owned(),
                detail: json_read(detail.value(i))?,
            })
        })
        .collect()
}

/// A catalog as rows.
pub(crate) fn from_endpoints(endpoints: &[Endpoint], version: &str) -> RecordBatch {
    let patterns: Vec<_> = endpoints.iter().map(|e| pattern_text(&e.pattern)).collect();
    let ports: Vec<String> = endpoints.iter().map(|e| ports_text(&e.ports)).collect();
    let exclusive: BooleanArray = endpoints.iter().map(|e| Some(e.exclusive)).collect();
    batch(
        Table::Catalog,
        vec![
            texts(endpoints.iter().map(|e| e.id.as_str())),
            texts(endpoints.iter().map(|e| e.product.as_str())),
            texts(endpoints.iter().map(|e| e.role.as_str())),
            texts(endpoints.iter().map(|e| e.weight.as_str())),
            texts(patterns.iter().map(|p| p.0)),
            texts(patterns.iter().map(|p| p.1.as_str())),
            texts(ports.iter().map(String::as_str)),
            days(endpoints.iter().map(|e| e.valid.first())),
            days(endpoints.iter().map(|e| e.valid.last())),
            Arc::new(exclusive),
            texts(endpoints.iter().map(|e| e.source.as_str())),
            texts(endpoints.iter().map(|e| e.confidence.as_str())),
            texts(endpoints.iter().map(|e| e.note.as_str())),
            texts(endpoints.iter().map(|_| version)),
        ],
    )
}

/// Rows as a catalog.
pub(crate) fn to_endpoints(rows: &RecordBatch) -> Read<Vec<Endpoint>> {
    let r = Rows(rows);
    let (id, product) = (r.texts(c::ENDPOINT), r.texts(c::PRODUCT));
    let (role, weight) = (r.texts(c::ROLE), r.texts(c::WEIGHT));
    let (kind, pattern, ports) =
        (r.texts(c::MATCH), r.texts(c::PATTERN), r.texts(c::PORTS));
    let (from, to) = (r.days(c::VALID_FROM), r.days(c::VALID_TO));
    let exclusive = rows.column_by_name(c::EXCLUSIVE).expect(ADAPTED).as_boolean();
    let (source, confidence) = (r.texts(c::SOURCE), r.texts(c::CONFIDENCE));
    let note = r.texts(c::NOTE);
    (0..rows.num_rows())
        .map(|i| {
            let valid = DayRange::new(Day(from.value(i)), Day(to.value(i)))
                .ok_or("valid_from is after valid_to")?;
            Ok(Endpoint {
                id: EndpointId::new(id.value(i)),
                product: ProductId::new(product.value(i)),
                role: word(role.value(i))?,
                pattern: pattern_read(kind.value(i), pattern.value(i))?,
                ports: ports_read(ports.value(i))?,
                valid,
                exclusive: exclusive.value(i),
                weight: word(weight.value(i))?,
                source: source.value(i).to_owned(),
                confidence: word(confidence.value(i))?,
                note: note.value(i).to_owned(),
            })
        })
        .collect()
}

/// Vantages as rows.
pub(crate) fn from_vantages(vantages: &[Vantage]) -> RecordBatch {
    let definitions: Vec<String> =
        vantages.iter().map(|v| json(&Definition::from(v))).collect();
    let holder = |pick: fn(&Organisation) -> Option<&str>| -> ArrayRef {
        Arc::new(vantages.iter().map(|v| pick(&v.holder)).collect::<StringArray>())
    };
    batch(
        Table::Vantages,
        vec![
            texts(vantages.iter().map(|v| v.id.as_str())),
            texts(vantages.iter().map(|v| v.site.as_str())),
            holder(|h| Some(h.id.as_str())),
            holder(|h| Some(&h.name)),
            holder(|h| h.country.as_ref().map(Country::as_str)),
            holder(|h| h.parent.as_ref().map(OrgId::as_str)),
            holder(|h| h.sector.as_ref().map(SectorId::as_str)),
            texts(definitions.iter().map(String::as_str)),
        ],
    )
}

/// Rows as vantages.
pub(crate) fn to_vantages(rows: &RecordBatch) -> Read<Vec<Vantage>> {
    let r = Rows(rows);
    let (id, site, holder) = (r.texts(c::ID), r.texts(c::SITE), r.texts(c::HOLDER));
    let (name, country) = (r.texts(c::NAME), r.texts(c::COUNTRY));
    let (parent, sector) = (r.texts(c::PARENT), r.texts(c::SECTOR));
    let definition = r.texts(c::DEFINITION);
    (0..rows.num_rows())
        .map(|i| {
            let rest: Definition = json_read(definition.value(i))?;
            let other_sectors = rest.other_sectors.iter().map(SectorId::new).collect();
            let text = |column: &StringArray| {
                column.is_valid(i).then(|| column.value(i).to_owned())
            };
            let holder = Organisation {
                id: OrgId::new(holder.value(i)),
                name: name.value(i).to_owned(),
                country: text(country).map(|code| word(&code)).transpose()?,
                parent: text(parent).map(OrgId::new),
                sector: text(sector).map(SectorId::new),
                other_sectors,
            };
            let private = rest.private.iter().map(|prefix| word(prefix));
            Ok(Vantage {
                id: VantageId::new(id.value(i)),
                site: SiteId::new(site.value(i)),
                holder,
                private: private.collect::<Read<_>>()?,
                position: if rest.outside {
                    Position::Outside
                } else {
                    Position::Inside
                },
                time_zone: rest.time_zone,
                exporters: rest
                    .exporters
                    .into_iter()
                    .map(exporter)
                    .collect::<Read<_>>()?,
                sampling: rest.sampling,
                clients: if rest.resolvers_ask {
                    Clients::Resolvers
                } else {
                    Clients::Hosts
                },
            })
        })
        .collect()
}

/// What has no column of its own in the table of vantages.
#[derive(Serialize, Deserialize)]
struct Definition {
    private: Vec<String>,
    outside: bool,
    time_zone: String,
    exporters: Vec<ExporterText>,
    sampling: Option<NonZeroU32>,
    other_sectors: Vec<String>,
    /// Not in vantages that were described before there was a choice.
    #[serde(default)]
    resolvers_ask: bool,
}

#[derive(Serialize, Deserialize)]
struct ExporterText {
    address: String,
    name: String,
    sampling: Option<NonZeroU32>,
}

impl From<&Vantage> for Definition {
    fn from(vantage: &Vantage) -> Self {
        let exporters = vantage.exporters.iter().map(|e| ExporterText {
            address: e.prefix.to_string(),
            name: e.name.clone(),
            sampling: e.sampling,
        });
        let sectors = vantage.holder.other_sectors.iter();
        Self {
            private: vantage.private.iter().map(ToString::to_string).collect(),
            outside: vantage.position == Position::Outside,
            time_zone: vantage.time_zone.clone(),
            exporters: exporters.collect(),
            sampling: vantage.sampling,
            other_sectors: sectors.map(|s| s.as_str().to_owned()).collect(),
            resolvers_ask: vantage.clients == Clients::Resolvers,
        }
    }
}

/// Vantages described before exporters were prefixes have bare addresses.
fn exporter(text: ExporterText) -> Read<Exporter> {
    let ExporterText { address, name, sampling } = text;
    let prefix = match address.parse::<Address>() {
        Ok(address) => Prefix::containing(address, 128),
        Err(_) => word(&address)?,
    };
    Ok(Exporter { prefix, name, sampling })
}

/// Runs as rows.
pub(crate) fn from_run(run: &RunRecord) -> RecordBatch {
    let text = |text: &str| texts([text].into_iter());
    batch(
        Table::Runs,
        vec![
            text(&run.id),
            instants([run.started].into_iter()),
            instants([run.finished].into_iter()),
            text(&run.verb),
            text(&run.arguments.to_string()),
            text(&run.versions.to_string()),
            text(&run.inputs.to_string()),
            text(&run.outcome),
        ],
    )
}

/// Rows as runs.
pub(crate) fn to_runs(rows: &RecordBatch) -> Read<Vec<RunRecord>> {
    let r = Rows(rows);
    let (id, verb, outcome) = (r.texts(c::ID), r.texts(c::VERB), r.texts(c::OUTCOME));
    let (started, finished) = (r.instants(c::STARTED), r.instants(c::FINISHED));
    let (arguments, versions) = (r.texts(c::ARGUMENTS), r.texts(c::VERSIONS));
    let inputs = r.texts(c::INPUTS);
    (0..rows.num_rows())
        .map(|i| {
            Ok(RunRecord {
                id: id.value(i).to_owned(),
                started: Instant(started.value(i)),
                finished: Instant(finished.value(i)),
                verb: verb.value(i).to_owned(),
                arguments: json_read(arguments.value(i))?,
                versions: json_read(versions.value(i))?,
                inputs: json_read(inputs.value(i))?,
                outcome: outcome.value(i).to_owned(),
            })
        })
        .collect()
}

/// A release as a row.
pub(crate) fn from_release(
    id: &str,
    made: Instant,
    release: &tidegauge_model::count::Release,
) -> RecordBatch {
    let text = |text: &str| texts([text].into_iter());
    let columns = vec![
        text(id),
        instants([made].into_iter()),
        text(&json(release.query())),
        text(&json(release)),
    ];
    batch(Table::Releases, columns)
}

pub(crate) fn to_releases(rows: &RecordBatch) -> Read<Vec<Published>> {
    let r = Rows(rows);
    let (id, made) = (r.texts(c::ID), r.instants(c::MADE));
    let release = r.texts(c::RELEASE);
    (0..rows.num_rows())
        .map(|i| {
            Ok(Published {
                id: id.value(i).to_owned(),
                made: Instant(made.value(i)),
                release: json_read(release.value(i))?,
            })
        })
        .collect()
}

/// Findings as rows.
pub(crate) fn from_findings(findings: &[Finding], recorded: Instant) -> RecordBatch {
    let states: Vec<String> = findings.iter().map(|f| json_word(&f.state)).collect();
    let evidence: Vec<String> = findings.iter().map(|f| json(&f.evidence)).collect();
    let day = |pick: fn(&Finding) -> Option<Day>| -> ArrayRef {
        let days = findings.iter().map(|f| pick(f).map(|day| day.0));
        Arc::new(days.collect::<Date32Array>())
    };
    let days_seen = findings.iter().map(|f| i32::try_from(f.days).unwrap_or(i32::MAX));
    let confidence = findings.iter().map(|f| f64::from(f.confidence));
    batch(
        Table::Findings,
        vec![
            texts(findings.iter().map(|f| f.id.as_str())),
            instants(findings.iter().map(|_| recorded)),
            texts(findings.iter().map(|f| f.subject.as_str())),
            texts(findings.iter().map(|f| f.product.as_str())),
            texts(states.iter().map(String::as_str)),
            day(|f| f.first_seen),
            day(|f| f.last_seen),
            small(days_seen),
            ints(findings.iter().map(|f| signed(f.addresses))),
            texts(evidence.iter().map(String::as_str)),
            Arc::new(Float64Array::from_iter_values(confidence)),
        ],
    )
}

/// The text of a loss table: `{"truncated":3}`.
pub(crate) fn losses_text(losses: &BTreeMap<Reason, u64>) -> String {
    let words: BTreeMap<_, _> = losses.iter().map(|(r, n)| (r.as_str(), n)).collect();
    json(&words)
}

/// What each exporter sent, as text; none without exporters.
pub(crate) fn exporters_text(coverage: &Coverage) -> Option<String> {
    let words: BTreeMap<_, _> =
        coverage.exporters.iter().map(|(e, sent)| (e.to_string(), sent)).collect();
    (!words.is_empty()).then(|| json(&words))
}

fn exporters_read(text: Option<&str>) -> Read<BTreeMap<Address, Exported>> {
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    let words: BTreeMap<String, Exported> = json_read(text)?;
    let address = |word: String| {
        word.parse().map_err(|_| format!("`{word}` is not the address of an exporter"))
    };
    words.into_iter().map(|(word, sent)| Ok((address(word)?, sent))).collect()
}

/// The portable form of the IPv4 part.
pub(crate) fn footprint_v4(footprint: &Footprint) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(footprint.v4.serialized_size());
    footprint.v4.serialize_into(&mut bytes).expect("a vector takes all bytes");
    bytes
}

/// The portable form of the IPv6 part.
pub(crate) fn footprint_v6(footprint: &Footprint) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(footprint.v6.serialized_size());
    footprint.v6.serialize_into(&mut bytes).expect("a vector takes all bytes");
    bytes
}

fn losses_read(text: &str) -> Read<BTreeMap<Reason, u64>> {
    let words: BTreeMap<String, u64> = json_read(text)?;
    let reason = |word: String| {
        let known = Reason::ALL.into_iter().find(|r| r.as_str() == word);
        known.ok_or_else(|| format!("`{word}` is not a reason of a loss"))
    };
    words.into_iter().map(|(word, count)| Ok((reason(word)?, count))).collect()
}

fn pattern_text(pattern: &Pattern) -> (&'static str, String) {
    match pattern {
        Pattern::Exact(host) => ("exact", host.clone()),
        Pattern::Suffix(host) => ("suffix", host.clone()),
        Pattern::Regex(regex) => ("regex", regex.clone()),
        Pattern::Url(regex) => ("url", regex.clone()),
        Pattern::Prefix(prefix) => ("prefix", prefix.to_string()),
    }
}

fn pattern_read(kind: &str, text: &str) -> Read<Pattern> {
    Ok(match kind {
        "exact" => Pattern::Exact(text.to_owned()),
        "suffix" => Pattern::Suffix(text.to_owned()),
        "regex" => Pattern::Regex(text.to_owned()),
        "url" => Pattern::Url(text.to_owned()),
        "prefix" => Pattern::Prefix(word(text)?),
        other => return Err(format!("`{other}` is not a kind of pattern")),
    })
}

fn ports_text(ports: &[Port]) -> String {
    let ports: Vec<_> =
        ports.iter().map(|p| format!("{}/{}", p.number, p.protocol.0)).collect();
    ports.join(" ")
}

fn ports_read(text: &str) -> Read<Vec<Port>> {
    text.split_whitespace()
        .map(|port| {
            let (number, protocol) =
                port.split_once('/').ok_or("a port has no protocol")?;
            Ok(Port { number: word(number)?, protocol: Protocol(word(protocol)?) })
        })
        .collect()
}

const ADAPTED: &str = "rows are given the columns of their table when they are read";

/// Typed access to the columns of adapted rows.
struct Rows<'a>(&'a RecordBatch);

impl<'a> Rows<'a> {
    fn column(&self, name: &str) -> &'a ArrayRef {
        self.0.column_by_name(name).expect(ADAPTED)
    }

    fn texts(&self, name: &str) -> &'a StringArray {
        self.column(name).as_string()
    }

    fn ints(&self, name: &str) -> &'a Int64Array {
        self.column(name).as_primitive::<Int64Type>()
    }

    fn small(&self, name: &str) -> &'a Int32Array {
        self.column(name).as_primitive::<Int32Type>()
    }

    fn days(&self, name: &str) -> &'a Date32Array {
        self.column(name).as_primitive::<Date32Type>()
    }

    fn instants(&self, name: &str) -> &'a TimestampMicrosecondArray {
        self.column(name).as_primitive::<TimestampMicrosecondType>()
    }

    fn binaries(&self, name: &str) -> &'a BinaryArray {
        self.column(name).as_binary()
    }
}

pub(crate) fn batch(table: Table, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(table.schema(), columns)
        .expect("the columns are made in the order of the schema")
}

pub(crate) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn texts_or_null<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn binaries(values: impl Iterator<Item = Vec<u8>>) -> ArrayRef {
    Arc::new(BinaryArray::from_iter_values(values))
}

fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn ints_or_null(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn small(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn days(values: impl Iterator<Item = Day>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(values.map(|day| day.0)))
}

fn instants(values: impl Iterator<Item = Instant>) -> ArrayRef {
    let values = TimestampMicrosecondArray::from_iter_values(values.map(|i| i.0));
    Arc::new(values.with_timezone("UTC"))
}

/// The month of each day. Neighbours mostly share one, so its text is made once a run.
fn months(values: impl Iterator<Item = Day>) -> ArrayRef {
    let mut last: Option<(Day, String)> = None;
    let mut months = StringBuilder::new();
    for day in values {
        if last.as_ref().is_none_or(|(known, _)| *known != day) {
            last = Some((day, day.month().to_string()));
        }
        months.append_option(last.as_ref().map(|(_, month)| month));
    }
    Arc::new(months.finish())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(stored: i64) -> Read<u64> {
    u64::try_from(stored).map_err(|_| format!("a count is negative: {stored}"))
}

fn narrow<T: TryFrom<N>, N: Copy + std::fmt::Display>(stored: N) -> Read<T> {
    T::try_from(stored).map_err(|_| format!("a value is out of range: {stored}"))
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Read<T> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("records have text keys and no failing parts")
}

/// The text of an enum that is written as one word.
fn json_word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("an enum without fields");
    value.as_str().unwrap_or_default().to_owned()
}

fn json_read<T: serde::de::DeserializeOwned>(text: &str) -> Read<T> {
    serde_json::from_str(text)
        .map_err(|error| format!("not the JSON expected: {error}"))
}
