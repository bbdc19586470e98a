"""How long one event and a page of events take at many events, against the same at few.

Two databases of one embedded Postgres are drawn by `a_year.py`: a year of 10,000 events, and a
year of as many as are asked for. Each question below is asked at its first page and 900 pages
deep (at the last page where it has fewer), pages of 10: through the store, and some through two
`facewatch serve` over a socket. Rounds of both databases take turns, so that what else the
machine does falls on both; of a round's calls the p95 is taken, of the rounds the median. Asked
once more, the store's calls are measured in CPU time, which a busy machine does not stretch.

    .venv/bin/python benchmarks/events.py [--quick] [--events 10000000] [--rounds N] [--calls N]

10,000,000 events need 25 GB of disk below --place until it ends, whichever way it ends, and ten
minutes of two cores.
Prints a JSON line a question with the indexes that its calls used (Postgres' own counters: scans
and rows a call), then a table. The ratio is that of the p95s.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from asked_of_events import (
    FEW,
    VARIANTS,
    Ask,
    Base,
    Clock,
    Question,
    find_deep_pages,
    one_through_store,
    opened,
    questions,
    spent_on,
    through_store,
)
from events_over_http import Client, one_through_api, service, through_api

from facewatch.cli.output import table
from facewatch.store.embedded import embedded_postgres
from facewatch.store.keys import PostgresKeys

_OVER_A_SOCKET = ("a week", "common name", "camera", "location", "has a name")
_QUICK = (*_OVER_A_SOCKET, "rare name", "room")


@dataclass(frozen=True)
class Timing:
    """Milliseconds: of each round's calls the share, of the rounds the median."""

    p50: float
    p95: float

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> "Timing":
        shares = (
            statistics.median(1e3 * sorted(each)[int(share * len(each))] for each in rounds)
            for share in (0.5, 0.95)
        )
        return cls(*(round(share, 3) for share in shares))


async def compared(
    few: Ask, many: Ask, args: argparse.Namespace, clocks: tuple[Clock, Clock]
) -> tuple[Timing, Timing]:
    """Rounds of both in turns, each warmed up, by the clock of each."""
    took: tuple[list[list[float]], list[list[float]]] = ([], [])
    counts = itertools.count(), itertools.count()
    for _ in range(args.rounds):
        for ask, clock, rounds, count in zip((few, many), clocks, took, counts, strict=True):
            for _ in range(2 * VARIANTS):
                await ask(next(count))
            rounds.append([])
            for _ in range(args.calls):
                began = clock()
                await ask(next(count))
                rounds[-1].append(clock() - began)
    return Timing.of(took[0]), Timing.of(took[1])


_USE = """
SELECT coalesce(p.relname, c.relname) AS index, sum(s.idx_scan) AS scans,
       sum(s.idx_tup_read) AS rows
  FROM pg_stat_user_indexes s
  JOIN pg_class c ON c.oid = s.indexrelid
  LEFT JOIN pg_inherits i ON i.inhrelid = s.indexrelid
  LEFT JOIN pg_class p ON p.oid = i.inhparent
 WHERE s.relname LIKE 'face_event%'
 GROUP BY 1
 UNION ALL
SELECT 'Seq Scan', sum(seq_scan), sum(seq_tup_read)
  FROM pg_stat_user_tables WHERE relname LIKE 'face_event%'
"""


async def used(base: Base, ask: Ask) -> dict[str, dict[str, float]]:
    """Scans and rows of each index a call, by Postgres' own counters.

    Asked on the one connection that has asked all along: with its plans.
    """
    pool, calls = base.database._pool, 4 * VARIANTS

    async def counted() -> dict[str, tuple[int, int]]:
        await pool.execute("SELECT pg_stat_force_next_flush()")
        return {row["index"]: (row["scans"], row["rows"]) for row in await pool.fetch(_USE)}

    before = await counted()
    for n in range(calls):
        await ask(n)
    after = await counted()
    return {
        index: {
            "scans": round(float(scans - before[index][0]) / calls, 1),
            "rows": round(float(rows - before[index][1]) / calls, 1),
        }
        for index, (scans, rows) in after.items()
        if scans > before[index][0]
    }


async def line(
    through: str, question: str, few: Ask, many: Ask, args: argparse.Namespace, **more: Any
) -> dict[str, Any]:
    timings = await compared(few, many, args, (time.perf_counter, time.perf_counter))
    found = {"benchmark": "events", "through": through, "question": question} | more
    return found | _timed("", *timings)


def _timed(what: str, few: Timing, many: Timing) -> dict[str, float]:
    return {
        f"few_p50_{what}ms": few.p50,
        f"few_p95_{what}ms": few.p95,
        f"many_p50_{what}ms": many.p50,
        f"many_p95_{what}ms": many.p95,
        f"{what}ratio": round(many.p95 / few.p95, 2),
    }


async def measure_store(
    few: Base, many: Base, asked: Sequence[Question], args: argparse.Namespace
) -> AsyncIterator[dict[str, Any]]:
    clocks = spent_on(few), spent_on(many)

    async def lines(name: str, asks: tuple[Ask, Ask], **more: Any) -> dict[str, Any]:
        found = await line("store", name, *asks, args, **more)
        found |= _timed("cpu_", *await compared(*asks, args, clocks))
        return found | {"indexes": await used(many, asks[1])}

    yield await lines("getFaceEvent", (one_through_store(few), one_through_store(many)), page=[])
    for question in asked:
        await find_deep_pages(few, many, question)
        for deep in (False, True):
            page = [_page(few, question, deep), _page(many, question, deep)]
            if not deep or page != [1, 1]:
                asks = through_store(few, question, deep), through_store(many, question, deep)
                yield await lines(question.name, asks, page=page)


async def measure_api(
    few: Client, many: Client, asked: Sequence[Question], args: argparse.Namespace
) -> AsyncIterator[dict[str, Any]]:
    ones = one_through_api(few), one_through_api(many)
    yield await line("api", "getFaceEvent", *ones, args, page=[])
    for question in asked:
        for client in (few, many):
            await client.turn_pages(question)
        for deep in (False, True):
            page = [_page(few.base, question, deep), _page(many.base, question, deep)]
            if not deep or page != [1, 1]:
                asks = through_api(few, question, deep), through_api(many, question, deep)
                yield await line("api", question.name, *asks, args, page=page)


def _page(base: Base, question: Question, deep: bool) -> int:
    """Which page it is; of variants that are not equally long, the deepest."""
    return max(base.deep[question.name, n][1] for n in range(VARIANTS)) if deep else 1


async def measure(
    few: Base, many: Base, until: datetime, home: Path, args: argparse.Namespace
) -> None:
    sql = await asyncpg.connect(few.dsn)
    try:
        asked = await questions(sql, until)
    finally:
        await sql.close()
    if args.quick:
        asked = [question for question in asked if question.name in _QUICK]
    lines = []
    async for found in measure_store(few, many, asked, args):
        lines.append(found)
        print(json.dumps(found), flush=True)
    async with AsyncExitStack() as stack:
        clients = []
        for base in (few, many):
            folder = home / f"service-{base.events}"
            session = aiohttp.ClientSession(await stack.enter_async_context(service(base, folder)))
            keys = {
                n: (await PostgresKeys(base.database).create(org, "benchmark", "viewer"))[1]
                for n, org in base.orgs.items()
            }
            clients.append(Client(await stack.enter_async_context(session), base, keys))
        some = [question for question in asked if question.name in _OVER_A_SOCKET]
        async for found in measure_api(*clients, some, args):
            lines.append(found)
            print(json.dumps(found), flush=True)
    print_table(few, many, lines)


def print_table(few: Base, many: Base, lines: Sequence[dict[str, Any]]) -> None:
    shares = [f"{base.events} {share}, ms" for base in (few, many) for share in ("p50", "p95")]
    columns = ["through", "question", "page", *shares, "ratio", "CPU ratio", "led by"]
    rows = []
    for it in lines:
        led = [index for index in it.get("indexes", ()) if index != "face_event_pkey"]
        page = "/".join(str(n) for n in dict.fromkeys(it["page"]))
        times = [it[f"{size}_{share}_ms"] for size in ("few", "many") for share in ("p50", "p95")]
        ratios = [it["ratio"], it.get("cpu_ratio")]
        rows.append([it["through"], it["question"], page, *times, *ratios, ", ".join(led)])
    table(columns, rows)


async def main_in(home: Path, args: argparse.Namespace) -> None:
    until = datetime.now(UTC).replace(microsecond=0)
    async with (
        embedded_postgres(home) as dsn,
        opened(dsn, "few", FEW, until) as few,
        opened(dsn, "many", args.events, until) as many,
    ):
        await measure(few, many, until, home, args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument(
        "--place", help="a directory for the databases; by default that of temporary files"
    )
    parser.add_argument(
        "--quick", action="store_true", help="100,000 events, one round, a third asked"
    )
    args = parser.parse_args()
    if args.quick:
        args.events, args.rounds, args.calls = 100_000, 1, 10
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-", dir=args.place) as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        asyncio.run(main_in(Path(folder), args))


if __name__ == "__main__":
    main()
