"""Looks the same addresses up in the same table with DuckDB and pyasn.

Called by the bench `index` with a folder of `ranges.csv`, `prefixes.tsv` and
`addresses.csv`. Tables are loaded before the clock runs; one thread; best of three.
"""

import ipaddress
import sys
import time
from pathlib import Path

import duckdb
import pyasn

folder = Path(sys.argv[1])


def best(what, count, work):
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    print(f"{what:<46} {count / min(seconds) / 1e6:>9.2f}")


base = duckdb.connect()
base.execute("set threads = 1")
# IPv6 as HUGEINT, shifted so that its sign does not matter below 2000::/3 and above.
kind = "ubigint" if "." in (folder / "prefixes.tsv").read_text().split("/")[0] else "uhugeint"
base.execute(
    f"create table held as select first::{kind} as first, last::{kind} as last, asn "
    f"from read_csv('{folder}/ranges.csv', all_varchar = true) order by first"
)
base.execute(
    f"create table asked as select n::{kind} as n "
    f"from read_csv('{folder}/addresses.csv', all_varchar = true)"
)
(count,) = base.execute("select count(*) from asked").fetchone()
joins = {
    "DuckDB, ASOF join": "asked asof left join held on asked.n >= held.first",
    "DuckDB, range join": "asked join held on asked.n between held.first and held.last",
}
for what, join in joins.items():
    query = f"select sum(case when n <= last then asn::bigint end) from {join}"
    best(what, count, lambda query=query: base.execute(query).fetchone())

table = pyasn.pyasn(str(folder / "prefixes.tsv"))
addresses = [line.split(",")[1] for line in (folder / "addresses.csv").read_text().split()[1:]]


def ask():
    for address in addresses:
        table.lookup(address)


best("pyasn", count, ask)
