//! Flow tables: a month of a vantage as one Parquet file, and the mapping that an importer
//! needs to read it.
//!
//! **Invariant:** rows are sorted by start; what a vantage did not see is null.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::Error;
use crate::server::{Server, Servers};
use crate::traffic::{Row, Volume};

/// Rows of one record batch: a few megabytes.
const BATCH_ROWS: usize = 64 * 1024;
/// TCP (IANA protocol numbers).
const TCP: u8 = 6;
/// Bytes of an address.
const ADDRESS_BYTES: i32 = 16;

/// The mapping file beside the tables.
pub(crate) const MAPPING: &str = r#"# Which column of the flow tables is which field of a flow.
# Addresses are 16 bytes, IPv4 mapped into IPv6. Volumes are as seen, before any
# expansion by the sampling rate; null means not seen.
originator = "originator"
responder = "responder"
originator_port = "originator_port"
responder_port = "responder_port"
protocol = "protocol"
start = { column = "start", unit = "us" }
end = { column = "end", unit = "us" }
bytes_sent = "bytes_sent"
packets_sent = "packets_sent"
bytes_received = "bytes_received"
packets_received = "packets_received"
tcp_flags = "tcp_flags"
sampling = "sampling"
server_name = { column = "server_name", origin = "tls" }
"#;

/// Columns whose values seldom repeat: a dictionary would only cost time.
const PLAIN: [&str; 6] =
    ["start", "end", "originator", "originator_port", "bytes_sent", "bytes_received"];

/// Writes flow tables with one schema.
pub(crate) struct Tables<'a> {
    servers: &'a Servers,
    names: Arc<StringArray>,
    schema: Arc<Schema>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(servers: &'a Servers) -> Self {
        let names = servers.all().iter().filter_map(|s| s.name.as_deref());
        let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let address = || DataType::FixedSizeBinary(ADDRESS_BYTES);
        let name =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let field = |name: &str, kind, null| Field::new(name, kind, null);
        let schema = Schema::new(vec![
            field("start", time(), false),
            field("end", time(), false),
            field("originator", address(), false),
            field("responder", address(), false),
            field("originator_port", DataType::UInt16, false),
            field("responder_port", DataType::UInt16, false),
            field("protocol", DataType::UInt8, false),
            field("bytes_sent", DataType::UInt64, true),
            field("packets_sent", DataType::UInt64, true),
            field("bytes_received", DataType::UInt64, true),
            field("packets_received", DataType::UInt64, true),
            field("tcp_flags", DataType::UInt8, true),
            field("sampling", DataType::UInt32, false),
            field("server_name", name, true),
        ]);
        Self {
            servers,
            names: Arc::new(StringArray::from_iter_values(names)),
            schema: Arc::new(schema),
        }
    }

    /// Begins the table of a month of a vantage. The folder must be there.
    pub(crate) fn create(&self, path: &Path) -> Result<Table<'_>, Error> {
        let file = File::create(path)
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        let wrong = |source| Error::Parquet { path: path.to_owned(), source };
        let writer = self.writer(file).map_err(wrong)?;
        Ok(Table { tables: self, path: path.to_owned(), writer })
    }

    fn writer(&self, file: File) -> Result<ArrowWriter<File>, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?));
        for name in PLAIN {
            let column = ColumnPath::from(name);
            properties = properties.set_column_dictionary_enabled(column, false);
        }
        ArrowWriter::try_new(file, self.schema.clone(), Some(properties.build()))
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch, ParquetError> {
        let server = |r: &Row| -> &Server { self.servers.at(r.server) };
        let end = |r: &Row| r.start + i64::from(r.duration_micros);
        let time = |at: &dyn Fn(&Row) -> i64| -> ArrayRef {
            let times =
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(at));
            Arc::new(times.with_timezone("UTC"))
        };
        let volume = |of: &dyn Fn(&Row) -> Option<u32>| -> ArrayRef {
            Arc::new(rows.iter().map(|r| of(r).map(u64::from)).collect::<UInt64Array>())
        };
        let bytes = |v: Volume| v.map(|(bytes, _)| bytes);
        let packets = |v: Volume| v.map(|(_, packets)| packets);
        let port = |of: &dyn Fn(&Row) -> u16| -> ArrayRef {
            Arc::new(UInt16Array::from_iter_values(rows.iter().map(of)))
        };
        let small = |of: &dyn Fn(&Row) -> u8| -> ArrayRef {
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(of)))
        };
        let sampling = UInt32Array::from_iter_values(rows.iter().map(|r| r.sampling));
        let columns: Vec<ArrayRef> = vec![
            time(&|r| r.start),
            time(&end),
            addresses(rows.iter().map(|r| r.originator))?,
            addresses(rows.iter().map(|r| server(r).address))?,
            port(&|r| r.originator_port),
            port(&|r| server(r).port),
            small(&|_| TCP),
            volume(&|r| bytes(r.sent)),
            volume(&|r| packets(r.sent)),
            volume(&|r| bytes(r.received)),
            volume(&|r| packets(r.received)),
            small(&|r| r.flags),
            Arc::new(sampling),
            self.server_names(rows)?,
        ];
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Named servers come first, so that a server's place is its name's.
    fn server_names(&self, rows: &[Row]) -> Result<ArrayRef, ParquetError> {
        let named = |r: &Row| self.servers.at(r.server).name.is_some();
        let keys: Int32Array =
            rows.iter().map(|r| named(r).then_some(i32::from(r.server))).collect();
        let names: ArrayRef = self.names.clone();
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, names)?))
    }
}

/// The table of one month that is being written.
pub(crate) struct Table<'a> {
    tables: &'a Tables<'a>,
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl Table<'_> {
    /// Appends rows in the order of time.
    pub(crate) fn append(&mut self, rows: &[Row]) -> Result<(), Error> {
        let path = &self.path;
        let wrong = |source| Error::Parquet { path: path.clone(), source };
        for chunk in rows.chunks(BATCH_ROWS) {
            let batch = self.tables.batch(chunk).map_err(wrong)?;
            self.writer.write(&batch).map_err(wrong)?;
        }
        Ok(())
    }

    /// Closes the file.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self { path, writer, .. } = self;
        match writer.close() {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Parquet { path, source }),
        }
    }
}

fn addresses(bits: impl Iterator<Item = u128>) -> Result<ArrayRef, ParquetError> {
    let bytes: Vec<u8> = bits.flat_map(u128::to_be_bytes).collect();
    let array =
        FixedSizeBinaryArray::try_new(ADDRESS_BYTES, Buffer::from(bytes), None)?;
    Ok(Arc::new(array))
}
