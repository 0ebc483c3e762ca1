"""Asks an engine what a census asks: `peers.py FOLDER LAKE PEER MODE QUESTION THREADS`.

FOLDER has `holders.parquet` (`tidegauge atlas export`), `endpoints.csv` and `sites.csv`; LAKE is the
folder of a lake. MODE is `dated` (the lake's own files of sightings, joined with holders by
address and day), `ready` (a file that the join has made before, in the order that suits
the peer), or `added` (what the peer keeps of the lake, in the folder KEPT, and the files of sightings
that the lake has beyond those: the variables KEPT and NEW). QUESTION is `addresses` or
`organisations`: distinct ones by month, country and sector; or `cohort`: organisations by country and
by the months, of April and November, in which they were seen (1, 2, or 3 for both). Prints one line:
seconds, seconds of processor, peak memory in KiB, bytes read (by calls: what is mapped is not in
them), rows of the answer, and a digest of it; what is
prepared before (`prepare`, `keep`) is not in the time. The peer `tidegauge` is the binary that
the variable TIDEGAUGE names; its time has its start in it, and it answers both questions at once.
The peer `pyarrow` answers nothing: it decodes all columns of state, one file after the other. `pandas`, with
pyasn, answers `addresses` of the lake, and `datafusion` what is ready.

MODE `ingest` makes sightings of the flows of the folder WORLD (all Parquet files of its carrier): matched
by name with `hosts.csv` (whose endpoint each name is, which `hosts` asks of the catalog before), one row for
each client, endpoint, signal and day, sorted by address, written as Parquet with zstd to a folder
of the peer's own. The answer is what a reader finds there: sightings, contacts and bytes by month,
endpoint and signal; reading it is not in the time. Ours writes coverage and state besides.
"""

import csv
import hashlib
import ipaddress
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb

folder, lake, peer, mode, question, threads = sys.argv[1:7]
folder, threads = Path(folder), int(threads)
NEW, KEPT = os.environ.get("NEW", "").split(), os.environ.get("KEPT", "")
files = NEW[0] if mode == "added" and NEW else f"{lake}/sightings/*/*.parquet"
FLIP = 1 << 63
FIRST, LAST = "2024-01-01", os.environ.get("LAST", "2024-12-31")
BEFORE, AFTER = "2024-04", "2024-11"
# Of two months nothing else is read.
DAYS = [(f"{BEFORE}-01", f"{BEFORE}-30"), (f"{AFTER}-01", f"{AFTER}-30")]
WITHIN = (
    "and (" + " or ".join(f"s.day between '{first}' and '{last}'" for first, last in DAYS) + ")"
    if question == "cohort"
    else ""
)
KEYS = 1 if question == "cohort" else 3


def prepare():
    """Ranges and tenures as numbers, in the form of the lake: two signed halves."""
    base = duckdb.connect()
    rows = base.execute(
        f"select first, last, valid_from, valid_to, organisation, country, addr_country, "
        f"sector, kind, shared from '{folder}/holders.parquet'"
    ).fetchall()
    ranges, tenures = {}, []
    for first, last, *rest in rows:
        if first not in ranges:
            ends = [int(ipaddress.ip_address(a)) for a in (first, last)]
            if ipaddress.ip_address(first).version == 4:
                ends = [0xFFFF_0000_0000 + end for end in ends]
            halves = [half - FLIP for end in ends for half in (end >> 64, end & (2 * FLIP - 1))]
            ranges[first] = (len(ranges), *halves)
        number = ranges[first][0]
        country = rest[3] or rest[4]
        own = rest[2] if rest[6] == "own" and rest[7] == "no" else None
        tenures.append((number, rest[0], rest[1], own, country, rest[5]))
    base.execute(
        "create table ranges (number int, first_hi bigint, first_lo bigint, last_hi bigint, "
        "last_lo bigint)"
    )
    base.execute(
        "create table tenures (number int, valid_from date, valid_to date, organisation "
        "text, country text, sector text)"
    )
    import pandas

    frame = pandas.DataFrame(
        list(ranges.values()), columns=["number", "fh", "fl", "lh", "ll"]
    )
    base.execute("insert into ranges select * from frame")
    frame = pandas.DataFrame(tenures, columns=["number", "f", "t", "o", "c", "s"])
    base.execute("insert into tenures select number, f::date, t::date, o, c, s from frame")
    base.execute(f"copy (select * from ranges order by first_hi, first_lo) to '{folder}/ranges.parquet'")
    base.execute(f"copy (select * from tenures order by number, valid_from) to '{folder}/tenures.parquet'")
    if mode != "ready":
        return
    # The join once, for the mode `ready`: sorted as each address comes once in a group.
    base.execute(f"set threads = {threads}")
    base.execute(
        f"copy (select month, country, sector, organisation, ip_hi, ip_lo from "
        f"({joined()}) order by month, country, sector, ip_hi, ip_lo) "
        f"to '{folder}/ready.parquet'"
    )


def joined():
    """The dated join, as DuckDB does it best: by the nearest range, then by its tenure.

    IPv4 is joined by the lower half, IPv6 by the upper: no range cuts a /64.
    """
    v4 = "ip_hi = -9223372036854775808"
    # The condition on the end stands outside: ASOF takes one inequality.
    part = lambda which, half: (
        f"select month, day, site, ip_hi, ip_lo, case when ip_{half} <= last_{half} then number "
        f"end as number from (select * from seen where {which}) s asof left join (select * "
        f"from '{folder}/ranges.parquet' where {which.replace('ip_hi', 'first_hi')}) r on "
        f"s.ip_{half} >= r.first_{half}"
    )
    return (
        f"with seen as (select strftime(day, '%Y-%m') as month, day, site, ip_hi, ip_lo from "
        f"read_parquet('{files}', hive_partitioning = false) s join read_csv("
        f"'{folder}/endpoints.csv') e on s.endpoint = e.id and s.day between e.valid_from "
        f"and e.valid_to {WITHIN}), placed as ({part(v4, 'lo')} union all "
        f"{part('not ' + v4, 'hi')}) select month, coalesce(v.country, t.country) as country, "
        f"coalesce(v.sector, t.sector) as sector, coalesce(v.organisation, t.organisation) "
        f"as organisation, ip_hi, ip_lo from placed p left join '{folder}/tenures.parquet' t "
        f"on p.number = t.number and p.day between t.valid_from and t.valid_to left join "
        f"read_csv('{folder}/sites.csv') v on p.site = v.site"
    )


def keep():
    """What `added` begins with: DuckDB the distinct addresses of each month and the counts of its
    cells; ClickHouse the states of its aggregates."""
    base = duckdb.connect(f"{KEPT}/duckdb.db")
    base.execute(
        f"create table seen as select distinct month, country, sector, {V4} as v4, case when "
        f"{V4} then ip_lo else ip_hi end as address from '{folder}/ready.parquet' order by month, "
        "address"
    )
    base.execute(
        "create table counts as select month, country, sector, count(*) filter (v4) as v4, count(*) "
        "filter (not v4) as v6 from seen group by all"
    )
    base.close()
    from chdb import session

    store = session.Session(f"{KEPT}/chdb")
    store.query("create database if not exists kept engine = Atomic")
    states = "uniqExactState({v4}) as v4, uniqExactState({v6}) as v6".format(**CH_HALVES)
    store.query(
        "create table kept.counts engine = AggregatingMergeTree order by (month, country, sector) "
        f"settings allow_nullable_key = 1 as select month, country, sector, {states} from "
        f"file('{folder}/ready.parquet') group by month, country, sector"
    )
    store.query("optimize table kept.counts final")
    store.close()


def added_duckdb():
    base = duckdb.connect(f"{KEPT}/duckdb.db")
    base.execute(f"set threads = {threads}")
    base.execute(
        f"create temp table new as select distinct month, country, sector, {V4} as v4, case when "
        f"{V4} then ip_lo else ip_hi end as address from ({joined()})"
    )
    # Addresses of these months alone are looked at.
    base.execute(
        "create temp table more as select * from new anti join (select * from seen where month in "
        "(select distinct month from new)) s on new.month = s.month and new.country is not distinct "
        "from s.country and new.sector is not distinct from s.sector and new.v4 = s.v4 and "
        "new.address = s.address"
    )
    base.execute("insert into seen select * from more")
    base.execute(
        "insert into counts select month, country, sector, count(*) filter (v4), count(*) filter "
        "(not v4) from more group by all"
    )
    return base.execute(
        "select month, country, sector, sum(v4)::bigint, sum(v6)::bigint from counts group by all"
    ).fetchall()


def added_chdb():
    from chdb import session

    import json

    store = session.Session(f"{KEPT}/chdb")
    settings = f" settings max_threads = {threads}, join_use_nulls = 1"
    states = "uniqExactState({v4}) as v4, uniqExactState({v6}) as v6".format(**CH_HALVES)
    store.query(
        f"insert into kept.counts select month, country, sector, {states} from "
        f"{chdb_dated()} as j group by month, country, sector{settings}"
    )
    got = store.query(
        "select month, country, sector, uniqExactMerge(v4), uniqExactMerge(v6) from kept.counts "
        f"group by month, country, sector{settings}",
        "JSONCompactEachRow",
    )
    lines = [json.loads(line) for line in str(got).splitlines()]
    return [tuple(int(v) if at >= 3 else v for at, v in enumerate(line)) for line in lines]


WORLD = os.environ.get("WORLD", "")
FLOWS = f"{WORLD}/flows/carrier/*.parquet"


def hosts():
    """Whose endpoint each name of the flows is, and from how many bytes on an update was served."""
    rows = []
    names = duckdb.sql(
        f"select distinct server_name from '{FLOWS}' where server_name is not null order by 1"
    ).fetchall()
    ours = lambda *words: subprocess.run(
        [os.environ["TIDEGAUGE"], "--format", "csv", *words], check=True, capture_output=True,
        text=True,
    ).stdout.splitlines()
    roles = {row["endpoint"]: row["role"] for row in csv.DictReader(ours("catalog", "list"))}
    for (name,) in names:
        for row in csv.DictReader(ours("catalog", "explain", name)):
            if row["outcome"] == "wins":
                least = {"reachability": 300, "time": 48}.get(roles[row["endpoint"]], 1500)
                rows.append((name, row["endpoint"], least))
    with open(f"{folder}/hosts.csv", "w", newline="") as out:
        csv.writer(out).writerows([("host", "endpoint", "least"), *rows])


# What a flow proves, as `enrich` has it.
SIGNAL = (
    "case when bytes_received is null or packets_received is null then 'indeterminate' when "
    "bytes_received >= least and (protocol <> 6 or sampling > 1 or (not (packets_received > 0 and "
    "packets_received + coalesce(packets_sent, 0) < 4) and (tcp_flags is null or ({flags} & 16 <> 0 "
    "and not ({flags} & 4 <> 0 and {flags} & 9 = 0))))) then 'served' when sampling > 1 then "
    "'indeterminate' else 'attempted' end"
)


def written():
    """Where a peer writes its sightings: empty."""
    import shutil

    out = Path(folder) / f"ingested-{peer}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return out


def ingest_duckdb():
    base = duckdb.connect()
    base.execute(f"set threads = {threads}; set TimeZone = 'UTC'")
    base.execute("set preserve_insertion_order = false")
    base.execute(
        f"copy (select strftime(day, '%Y-%m') as month, * exclude (day), day from (select originator, "
        f"endpoint, {SIGNAL.format(flags='tcp_flags')} as signal, \"start\"::date as day, count(*) as "
        f"contacts, sum(bytes_sent) as bytes_sent, sum(packets_sent) as packets_sent, "
        f"sum(bytes_received) as bytes_received, sum(packets_received) as packets_received, "
        f"bit_or(coalesce(tcp_flags, 0)) as tcp_flags, max(sampling) as sampling, min(\"start\") as "
        f"first, max(\"end\") as last, bit_or(1 << hour(\"start\")) as hours from '{FLOWS}' f join "
        f"'{folder}/hosts.csv' h on f.server_name = h.host group by all) order by month, "
        f"originator, day) to '{written()}/sightings.parquet' (compression zstd)"
    )


def ingest_chdb():
    import chdb

    flags = "assumeNotNull(tcp_flags)"
    condition = SIGNAL
    for part in ("& 16 <> 0", "& 4 <> 0", "& 9 = 0"):
        number, sign = part.split()[1:3]
        condition = condition.replace("{flags} " + part, f"bitAnd({flags}, {number}) {sign} 0")
    chdb.query(
        f"insert into function file('{written()}/sightings.parquet', 'Parquet') select "
        f"formatDateTime(day, '%Y-%m') as month, * from (select originator, endpoint, {condition} as "
        f"signal, toDate(f.start) as day, count(*) as contacts, sum(bytes_sent) as b, sum("
        f"packets_sent) as p, sum(bytes_received) as received, sum(packets_received) as q, "
        f"groupBitOr(coalesce(tcp_flags, 0)) as flags, max(sampling) as rate, min(f.start) as first, max(f.end) as last, groupBitOr(bitShiftLeft(toUInt32(1), "
        f"toHour(f.start))) as hours from file('{FLOWS}') f join file('{folder}/hosts.csv', "
        f"'CSVWithNames') h on f.server_name = h.host group by originator, endpoint, signal, day) "
        f"order by month, originator, day settings max_threads = {threads}, "
        f"output_format_parquet_compression_method = 'zstd', session_timezone = 'UTC'"
    )


def ingest_polars():
    import polars as pl

    c, flags = pl.col, pl.col("tcp_flags")
    few = (c("packets_received") > 0) & (
        c("packets_received") + c("packets_sent").fill_null(0) < 4
    )
    stood = flags.is_null() | (
        (flags & 16 != 0) & ~((flags & 4 != 0) & (flags & 9 == 0))
    )
    served = (c("bytes_received") >= c("least")) & (
        (c("protocol") != 6) | (c("sampling") > 1) | (~few & stood)
    )
    unseen = c("bytes_received").is_null() | c("packets_received").is_null()
    signal = (
        pl.when(unseen).then(pl.lit("indeterminate"))
        .when(served).then(pl.lit("served"))
        .when(c("sampling") > 1).then(pl.lit("indeterminate"))
        .otherwise(pl.lit("attempted"))
    )
    names = pl.scan_csv(f"{folder}/hosts.csv").with_columns(c("host").cast(pl.Categorical))
    sums = [c(n).sum() for n in ("bytes_sent", "packets_sent", "bytes_received", "packets_received")]
    (
        pl.scan_parquet(FLOWS)
        .join(names, left_on="server_name", right_on="host")
        .with_columns(
            signal=signal, day=c("start").dt.date(),
            hours=pl.lit(2, pl.Int64).pow(c("start").dt.hour().cast(pl.Int64)),
        )
        .group_by("originator", "endpoint", "signal", "day")
        .agg(
            pl.len().alias("contacts"), *sums, flags.fill_null(0).bitwise_or(), c("sampling").max(),
            c("start").min().alias("first"), c("end").max().alias("last"), c("hours").bitwise_or(),
        )
        .with_columns(month=c("day").dt.strftime("%Y-%m"))
        .sort("month", "originator", "day")
        .sink_parquet(f"{written()}/sightings.parquet", compression="zstd")
    )


def ingest_tidegauge():
    subprocess.run(
        [
            os.environ["TIDEGAUGE"], "--lake", str(written()), "ingest", f"{WORLD}/flows/carrier",
            "--vantage", "carrier", "--vantages", f"{WORLD}/vantages", "--mapping",
            f"{WORLD}/mapping.toml",
        ],
        check=True, stdout=subprocess.DEVNULL,
    )


def sightings():
    """What a reader finds in what was written, in our words."""
    out = Path(folder) / f"ingested-{peer}"
    found = f"{out}/sightings/*/*.parquet" if peer == "tidegauge" else f"{out}/sightings.parquet"
    # ClickHouse takes an alias for the column of that name.
    names = ("received", "flags") if peer == "chdb" else ("bytes_received", "tcp_flags")
    bytes_received, flags = names
    client = "ip_hi, ip_lo" if peer == "tidegauge" else "originator"
    # Two files of ours may each have a part of what a client did on a day.
    return duckdb.sql(
        f"select month, endpoint, signal, count(*), sum(contacts)::bigint, sum(received)::bigint, "
        f"sum(hours)::bigint, sum(flags)::bigint from (select month, {client}, endpoint, signal, day, "
        f"sum(contacts) as contacts, sum({bytes_received}) as received, bit_or(hours::bigint) as hours, "
        f"bit_or({flags}::bigint) as flags from read_parquet('{found}') group by all) group by "
        f"month, endpoint, signal"
    ).fetchall()


V4 = "ip_hi = -9223372036854775808"
CH_HALVES = {"v4": f"if({V4}, ip_lo, null)", "v6": f"if({V4}, null, ip_hi)"}
ADDRESSES = (
    "select month, country, sector, count(distinct case when {v4} then ip_lo end) as v4, "
    "count(distinct case when {v4} then null else ip_hi end) as v6 from {rows} "
    "group by month, country, sector"
)
# Two steps of grouping are faster than distinct counts in DuckDB.
ADDRESSES_TWICE = (
    "select month, country, sector, sum(case when v4 then 1 else 0 end)::bigint as v4, "
    "sum(case when v4 then 0 else 1 end)::bigint as v6 from (select distinct month, "
    "country, sector, {v4} as v4, case when {v4} then ip_lo else ip_hi end as address from "
    "{rows}) group by month, country, sector"
)
ORGANISATIONS = (
    "select month, country, sector, count(distinct organisation) as organisations from "
    "{rows} where organisation is not null group by month, country, sector"
)
COHORT = (
    "select country, windows, count(*) as organisations from (select country, organisation, "
    f"max(case when month = '{BEFORE}' then 1 else 0 end) + max(case when month = '{AFTER}' then "
    "2 else 0 end) as windows from {rows} where organisation is not null and month in "
    f"('{BEFORE}', '{AFTER}') group by country, organisation) as c group by country, windows"
)


def ask_duckdb():
    base = duckdb.connect()
    base.execute(f"set threads = {threads}")
    rows = f"({joined()})" if mode == "dated" else f"'{folder}/ready.parquet'"
    text = {
        "addresses": ADDRESSES_TWICE, "organisations": ORGANISATIONS, "cohort": COHORT,
    }[question]
    return base.execute(text.format(rows=rows, v4=V4)).fetchall()


def ask_pandas():
    """As a researcher would: pyasn finds the range of each address, pandas does the rest."""
    import numpy
    import pandas
    import pyarrow.dataset
    import pyasn

    ranges = pandas.read_parquet(f"{folder}/ranges.parquet")
    lines = []
    for number, *halves in ranges.itertuples(index=False):
        first, last = (
            (hi + FLIP) << 64 | lo + FLIP for hi, lo in (halves[:2], halves[2:])
        )
        if first >> 32 == 0xFFFF:
            ends = [ipaddress.IPv4Address(end & 0xFFFF_FFFF) for end in (first, last)]
        else:
            ends = [ipaddress.IPv6Address(end) for end in (first, last)]
        prefixes = ipaddress.summarize_address_range(*ends)
        # An AS is no 0.
        lines += [f"{prefix}\t{number + 1}" for prefix in prefixes]
    base = pyasn.pyasn(None, ipasn_string="\n".join(lines))
    files = [str(path) for path in Path(lake).glob("sightings/*/*.parquet")]
    table = pyarrow.dataset.dataset(files)
    wanted = ["endpoint", "day", "site", "ip_hi", "ip_lo"]
    rows = table.to_table(columns=wanted).to_pandas(
        strings_to_categorical=True, date_as_object=False
    )
    days = ["valid_from", "valid_to"]
    ends = pandas.read_csv(f"{folder}/endpoints.csv", parse_dates=days)
    rows = rows.merge(ends, left_on="endpoint", right_on="id")
    rows = rows[rows["day"].between(rows["valid_from"], rows["valid_to"])]
    rows = rows[["day", "site", "ip_hi", "ip_lo"]]
    distinct = rows[["ip_hi", "ip_lo"]].drop_duplicates()
    numbers = []
    for hi, lo in zip(distinct["ip_hi"].tolist(), distinct["ip_lo"].tolist()):
        if hi == -FLIP:
            text = socket.inet_ntoa(struct.pack(">Q", lo + FLIP)[4:])
        else:
            text = socket.inet_ntop(socket.AF_INET6, struct.pack(">QQ", hi + FLIP, lo + FLIP))
        numbers.append((base.lookup(text)[0] or 0) - 1)
    rows = rows.merge(distinct.assign(number=numpy.array(numbers)), on=["ip_hi", "ip_lo"])
    tenures = pandas.read_parquet(f"{folder}/tenures.parquet")
    for day in days:
        tenures[day] = pandas.to_datetime(tenures[day])
    rows["row"] = numpy.arange(len(rows))
    held = rows[["row", "number", "day"]].merge(tenures, on="number")
    held = held[held["day"].between(held["valid_from"], held["valid_to"])]
    names = ["country", "sector", "organisation"]
    rows = rows.merge(held[["row", *names]], on="row", how="left")
    sites = pandas.read_csv(f"{folder}/sites.csv")
    rows = rows.merge(sites, on="site", how="left", suffixes=("", "_site"))
    for name in names:
        rows[name] = rows[f"{name}_site"].fillna(rows[name]).astype("category")
    rows["month"] = rows["day"].dt.strftime("%Y-%m").astype("category")
    cells = lambda rows, of: rows.groupby(
        ["month", "country", "sector"], dropna=False, observed=True
    )[of].nunique()
    v4 = rows["ip_hi"] == -FLIP
    both = pandas.concat(
        [cells(rows[v4], "ip_lo").rename("v4"), cells(rows[~v4], "ip_hi").rename("v6")], axis=1
    )
    both = both.fillna(0).astype(int).reset_index()
    known = lambda value: None if pandas.isna(value) else value
    return [(*map(known, row[:3]), *row[3:]) for row in both.itertuples(index=False)]


def ask_datafusion():
    """Only of the file that was joined before: without a nearest join the ranges are a loop."""
    import datafusion

    config = datafusion.SessionConfig().with_target_partitions(threads)
    base = datafusion.SessionContext(config)
    base.register_parquet("ready", f"{folder}/ready.parquet")
    text = {
        "addresses": ADDRESSES_TWICE, "organisations": ORGANISATIONS, "cohort": COHORT,
    }[question]
    # The least number of 64 bits is no literal there.
    v4 = "ip_hi = (-9223372036854775807 - 1)"
    batches = base.sql(text.format(rows="ready", v4=v4)).collect()
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def chdb_dated():
    """The dated join, as ClickHouse does it best."""
    ranges, tenures = f"file('{folder}/ranges.parquet')", f"file('{folder}/tenures.parquet')"

    def part(which, half):
        return (
            f"select month, day, site, ip_hi, ip_lo, if(ip_{half} <= last_{half}, number, "
            f"null) as number from (select * from seen where {which}) s asof left join "
            f"(select first_{half}, last_{half}, number, 1 as one from {ranges} where "
            f"{which.replace('ip_hi', 'first_hi')}) r on s.one = r.one and "
            f"s.ip_{half} >= r.first_{half}"
        )

    return (
        f"(with seen as (select formatDateTime(day, '%Y-%m') as month, day, s.site as site, ip_hi, ip_lo, 1 "
        f"as one from file('{files}') s join file('{folder}/endpoints.csv', 'CSVWithNames') e on s.endpoint "
        f"= e.id where s.day between e.valid_from and e.valid_to {WITHIN}), placed as "
        f"({part(V4, 'lo')} union all {part('not ' + V4, 'hi')}) select month, "
        f"coalesce(v.country, t.country) as country, coalesce(v.sector, t.sector) as sector, "
        f"coalesce(v.organisation, t.organisation) as organisation, ip_hi, ip_lo from placed "
        f"p left join {tenures} t on p.number = t.number and p.day >= t.valid_from and p.day "
        f"<= t.valid_to left join file('{folder}/sites.csv', 'CSVWithNames') v on p.site = v.site)"
    )


def ask_chdb():
    import chdb

    texts = {"addresses": ADDRESSES, "organisations": ORGANISATIONS, "cohort": COHORT}
    text = texts[question].replace("count(distinct", "uniqExact(")
    rows = chdb_dated() if mode == "dated" else f"file('{folder}/ready.parquet')"
    settings = f" settings max_threads = {threads}, join_use_nulls = 1"
    got = chdb.query(text.format(rows=rows, v4=V4) + settings, "JSONCompactEachRow")
    import json

    lines = [json.loads(line) for line in str(got).splitlines()]
    return [tuple(int(v) if at >= KEYS else v for at, v in enumerate(line)) for line in lines]


def ask_polars():
    import polars as pl

    if mode == "ready":
        rows = pl.scan_parquet(f"{folder}/ready.parquet")
    else:
        ends = pl.scan_csv(f"{folder}/endpoints.csv", try_parse_dates=True)
        seen = (
            pl.scan_parquet(files, hive_partitioning=False)
            .select("endpoint", "day", "site", "ip_hi", "ip_lo")
            .join(ends, left_on="endpoint", right_on="id")
            .filter(pl.col("day").is_between(pl.col("valid_from"), pl.col("valid_to")))
            .select("day", "site", "ip_hi", "ip_lo")
        )
        if question == "cohort":
            between = lambda ends: pl.col("day").is_between(*map(date.fromisoformat, ends))
            seen = seen.filter(between(DAYS[0]) | between(DAYS[1]))
        ranges = pl.scan_parquet(f"{folder}/ranges.parquet")
        is_v4 = lambda name: pl.col(name) == -FLIP
        parts = []
        for half, keep in (("lo", is_v4), ("hi", lambda name: ~is_v4(name))):
            held = ranges.filter(keep("first_hi")).sort(f"first_{half}")
            parts.append(
                seen.filter(keep("ip_hi"))
                .sort(f"ip_{half}")
                .join_asof(held, left_on=f"ip_{half}", right_on=f"first_{half}")
                .with_columns(
                    pl.when(pl.col(f"ip_{half}") <= pl.col(f"last_{half}")).then("number")
                )
                .select("day", "site", "ip_hi", "ip_lo", "number")
            )
        tenures = pl.scan_parquet(f"{folder}/tenures.parquet")
        placed = pl.concat(parts).with_row_index("row")
        # An equi-join, then the days: rows whose number has no tenure that day stay.
        held = (
            placed.join(tenures, on="number")
            .filter(pl.col("day").is_between(pl.col("valid_from"), pl.col("valid_to")))
            .select("row", "country", "sector", "organisation")
        )
        sites = pl.scan_csv(f"{folder}/sites.csv")
        rows = placed.join(held, on="row", how="left").join(sites, on="site", how="left")
        names = ("country", "sector", "organisation")
        rows = rows.with_columns(
            pl.col("day").dt.strftime("%Y-%m").alias("month"),
            *(pl.coalesce(f"{name}_right", name).alias(name) for name in names),
        )
    by = ["month", "country", "sector"]
    if question == "addresses":
        v4 = pl.col("ip_hi") == -FLIP
        rows = (
            rows.select(*by, v4.alias("v4"), pl.when(v4).then("ip_lo").otherwise("ip_hi").alias("a"))
            .unique()
            .group_by(by)
            .agg(pl.col("v4").sum().cast(pl.Int64), (~pl.col("v4")).sum().cast(pl.Int64).alias("v6"))
        )
    elif question == "cohort":
        seen_in = lambda month: (pl.col("month") == month).any().cast(pl.Int64)
        rows = (
            rows.filter(
                pl.col("organisation").is_not_null() & pl.col("month").is_in([BEFORE, AFTER])
            )
            .group_by("country", "organisation")
            .agg((seen_in(BEFORE) + 2 * seen_in(AFTER)).alias("windows"))
            .group_by("country", "windows")
            .agg(pl.len().cast(pl.Int64))
        )
    else:
        rows = (
            rows.filter(pl.col("organisation").is_not_null())
            .group_by(by)
            .agg(pl.col("organisation").n_unique().cast(pl.Int64))
        )
    return rows.collect(engine="streaming").rows()


def ask_tidegauge():
    command = [
        os.environ["TIDEGAUGE"], "--lake", lake, "--format", "csv", "census", "--internal",
        "--on", "each-day",
    ]
    if question == "cohort":
        command += ["--by", "country", "--window", BEFORE, "--window", AFTER]
    else:
        command += ["--by", "month,country,sector", "--from", FIRST, "--to", LAST]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(text.splitlines()))
    columns = (
        ["addresses_v4", "networks_v6"] if question == "addresses" else ["organisations"]
    )
    # What a census calls unattributed, others call null.
    known = lambda value: None if value == "unattributed" else value or None
    if question == "cohort":
        bits = {"1": 1, "2": 2, "1+2": 3}
        found = [
            (known(row["country"]), bits[row["windows"]], int(row["organisations"])) for row in rows
        ]
        return [row for row in found if row[2]]
    key = lambda row: tuple(known(row[name]) for name in ("month", "country", "sector"))
    found = [(*key(row), *(int(row[name]) for name in columns)) for row in rows]
    return [row for row in found if any(row[3:])]


def decode_pyarrow():
    import pyarrow
    import pyarrow.parquet

    pyarrow.set_cpu_count(threads)
    rows = 0
    for path in sorted(Path(lake).glob("state/1/*/*.parquet")):
        names = ["site", "endpoint", "vantage", "signal"]
        read = pyarrow.parquet.ParquetFile(path, read_dictionary=names)
        rows += sum(batch.num_rows for batch in read.iter_batches(batch_size=8192))
    return [(rows,)]


if peer in ("prepare", "keep", "hosts"):
    {"prepare": prepare, "keep": keep, "hosts": hosts}[peer]()
    sys.exit()


def bytes_read():
    """By calls to read, those of children that have ended too; files that are mapped are not in it."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar:")))


used = lambda who: sum(resource.getrusage(who)[:2])
who = resource.RUSAGE_CHILDREN if peer == "tidegauge" else resource.RUSAGE_SELF
before, begun, read_before = used(who), time.perf_counter(), bytes_read()
asked = {
    "duckdb": ask_duckdb, "chdb": ask_chdb, "polars": ask_polars, "tidegauge": ask_tidegauge,
    "pyarrow": decode_pyarrow, "datafusion": ask_datafusion, "pandas": ask_pandas,
}
if mode == "added":
    asked |= {"duckdb": added_duckdb, "chdb": added_chdb}
if mode == "ingest":
    asked = {
        "duckdb": ingest_duckdb, "chdb": ingest_chdb, "polars": ingest_polars,
        "tidegauge": ingest_tidegauge,
    }
answer = asked[peer]()
seconds = time.perf_counter() - begun
processor = used(who) - before
peak, read = resource.getrusage(who).ru_maxrss, bytes_read() - read_before
answer = sightings() if mode == "ingest" else answer
lines = sorted("\t".join("" if v is None else str(v) for v in row) for row in answer)
digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
if len(sys.argv) > 7:
    Path(sys.argv[7]).write_text("\n".join(lines))
print(seconds, processor, peak, read, len(answer), digest)
