"""Writes flow.log as AWS writes it in Parquet: pip install pyarrow; python3 make.py

Column names and types are those of "Flow log records" in the Amazon VPC User Guide ("Parquet
data type") and of "Create tables for flow logs in Apache Parquet format" in the Amazon Athena
User Guide. A `-` of the text is no value, but for texts of flow.plain.parquet, where it is
`-`; codecs differ.
"""

import pyarrow as pa
import pyarrow.parquet as pq

INT_32 = {"version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"}
INT_64 = {"packets", "bytes", "start", "end"}


def kind(name):
    return pa.int32() if name in INT_32 else pa.int64() if name in INT_64 else pa.string()


def value(name, word, dash):
    if kind(name) == pa.string():
        return dash if word == "-" else word
    return None if word == "-" else int(word)


def write(path, dash, compression, **options):
    lines = open("flow.log").read().splitlines()
    names = lines[0].split()
    rows = [line.split() for line in lines[1:]]
    columns = {
        name.replace("-", "_"): pa.array(
            [value(name, row[at], dash) for row in rows], kind(name)
        )
        for at, name in enumerate(names)
    }
    pq.write_table(pa.table(columns), path, compression=compression, **options)


write("flow.parquet", None, "gzip")
write("flow.plain.parquet", "-", "snappy", use_dictionary=False, row_group_size=2)
