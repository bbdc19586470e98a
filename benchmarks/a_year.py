"""A year of face events in a database, drawn by SQL: what `benchmarks/events.py` asks about.

Three orgs: a large one with nearly 98 of 100 events, another, and a small one that has 500
however many there are. In the large one 1,001 people have names; how often each is seen falls as
Zipf's law has it, and one was seen five times. 15 events in 100 show somebody with a name, 10 an
unknown who came back, 75 nobody; each remembers five candidates as the decider does.
200 cameras, busier ones and quieter ones, stand in 20 locations of two floors of two rooms.

Assets, faces and templates are left out: neither lists nor `getFaceEvent` read them.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from facewatch.domain.ids import first_id

LARGE, MIDDLING, SMALL = 0, 1, 2
"""The orgs' numbers."""
CAMERAS, LOCATIONS, PEOPLE = 200, 20, 1000
"""How many the large org has; the others have a tenth."""
RARE = 0
"""The number of whoever was seen five times; the others' count from 1, the commonest first."""
YEAR = timedelta(days=365)
_YEAR_MS = YEAR // timedelta(milliseconds=1)
_DRAWN = {
    "people": PEOPLE,
    "cameras": CAMERAS,
    "locations": LOCATIONS,
    "takes": 8,
    "year_ms": _YEAR_MS,
}

# What has a number has the id that `numbered` gives, everywhere: nothing has to be joined.
_FUNCTIONS = """
CREATE FUNCTION drawn(n bigint, salt int) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(n, salt) & 9007199254740991)::float8 / 9007199254740992::float8
$$;
CREATE FUNCTION dated(ms bigint, n bigint, salt text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT overlay(overlay(md5(salt || n::text) placing lpad(to_hex(ms), 12, '0') || '7' from 1)
                   placing '8' from 17)::uuid
$$;
CREATE FUNCTION numbered(kind text, org int, n int) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT dated(1700000000000, 1000000 * org::bigint + n, kind)
$$;
CREATE FUNCTION spelled(id uuid) RETURNS text  -- as object keys have it
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT rtrim(translate(encode(uuid_send(id), 'base64'), '+/', '-_'), '=')
$$;
CREATE FUNCTION candidate(org int, n int, likeness float8) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object('person', numbered('person', org, n),
                              'face', numbered('matchmaker', org, n),
                              'similarity', likeness, 'confidence', likeness ^ 2)
$$;
"""

_HOUSE = """
CREATE TEMPORARY TABLE house AS
SELECT org, {cameras} / few AS cameras, {locations} / few AS locations, {people} / few AS people
  FROM (VALUES (0, 1), (1, 10), (2, 10)) AS o (org, few);

INSERT INTO org (id, name) SELECT numbered('org', org, 0), 'org ' || org FROM house;

INSERT INTO location (id, org, name)
SELECT numbered('location', org, n), numbered('org', org, 0), 'location ' || n
  FROM house, generate_series(0, locations - 1) AS n;

INSERT INTO location (id, org, parent, name)
SELECT numbered('floor', org, n), numbered('org', org, 0), numbered('location', org, n / 2),
       'floor ' || n
  FROM house, generate_series(0, 2 * locations - 1) AS n;

INSERT INTO location (id, org, parent, name)
SELECT numbered('room', org, n), numbered('org', org, 0), numbered('floor', org, n / 2),
       'room ' || n
  FROM house, generate_series(0, 4 * locations - 1) AS n;

INSERT INTO camera (id, org, location, sub_location, name, url, transport)
SELECT numbered('camera', org, n), numbered('org', org, 0),
       numbered('location', org, n % (4 * locations) / 4),
       numbered('room', org, n % (4 * locations)), 'camera ' || n, '', 'tcp'
  FROM house, generate_series(0, cameras - 1) AS n;

INSERT INTO person (id, org, name)
SELECT numbered('person', org, n), numbered('org', org, 0),
       first[1 + n % 40] || ' ' || middle[1 + n / 40 % 5] || last[1 + n / 200]
  FROM house, generate_series(0, people) AS n,
       (SELECT string_to_array('Ada Ben Carla Dan Eva Finn Greta Hannah Ida Jan Kim Lara Max Nele'
               ' Otto Paula Quirin Rosa Sven Tina Ugo Vera Willi Xenia Yara Zoe Alma Bruno Cleo'
               ' Doris Emil Flora Gerd Hugo Ines Joanna Kurt Lotte Mona Nora', ' '),
               ARRAY['Berg', 'Stein', 'Lind', 'Wald', 'Gold'],
               ARRAY['er', 'hof', 'tal', 'mer', 'au', 'feld']) AS names (first, middle, last);

INSERT INTO person (id, org)  -- unknowns who came back
SELECT numbered('person', org, 100000 + n), numbered('org', org, 0)
  FROM house, generate_series(0, 1999) AS n;

INSERT INTO person_label (person, org, label)
SELECT numbered('person', org, n), numbered('org', org, 0), 'staff'
  FROM house, generate_series(3, people, 50) AS n;
"""

# What the decider said of somebody (*who*) or, -1, of nobody; several takes of each.
_DECISIONS = """
CREATE UNLOGGED TABLE decided AS
SELECT org, who, take, numbered('person', org, nullif(who, -1)) AS person,
       numbered('matchmaker', org, nullif(who, -1)) AS matched_face, alike, jsonb_build_object(
           'person', numbered('person', org, nullif(who, -1)),
           'candidates', jsonb_build_array(
               candidate(org, CASE who WHEN -1 THEN other ELSE who END, alike),
               candidate(org, 1 + (other + 17) % people, 0.9 * alike),
               candidate(org, 1 + (other + 71) % people, 0.8 * alike),
               candidate(org, 1 + (other + 33) % people, 0.7 * alike),
               candidate(org, 1 + (other + 59) % people, 0.6 * alike)),
           'confidence', alike ^ 2, 'margin', 0.1 * alike, 'threshold', 0.7,
           'threshold_similarity', 0.4512345678, 'model', repeat('0badcafe', 8),
           'calibration', 'sface-1', 'gallery_revision', 1200, 'gallery_people', people,
           'reason', CASE who WHEN -1 THEN 'confidence 0.31 is below 0.70' ELSE '' END) AS decision
  FROM house
 CROSS JOIN generate_series(-1, people) AS who
 CROSS JOIN generate_series(0, CASE who WHEN -1 THEN {takes} * people ELSE {takes} END - 1) AS take
 CROSS JOIN LATERAL (
       SELECT floor(random() * people)::int AS other,
              CASE who WHEN -1 THEN 0.3 ELSE 0.85 END + 0.1 * random() AS alike) AS d;
ALTER TABLE decided ADD PRIMARY KEY (org, who, take);

CREATE UNLOGGED TABLE stands AS
SELECT h.org, n, c.id AS camera, c.location, sub_locations(c.sub_location) AS place
  FROM house h, generate_series(0, cameras - 1) AS n, camera c
 WHERE c.id = numbered('camera', h.org, n);
ALTER TABLE stands ADD PRIMARY KEY (org, n);
ANALYZE;
"""

# $1: how many events in all; $2: when the first one was; $3, $4: from which to before which.
_EVENTS = """
INSERT INTO {part} (
    id, version, closed, org, location, place, camera, first_seen, last_seen, best_at, time_source,
    looks, tracks, face, asset, has_template, quality, frame_key, thumbnail_key, look_keys,
    person, matched_face, similarity, confidence, assigned_by, assigned_at,
    decision, gallery_revision, retention, created_at)
SELECT id, 2, true, numbered('org', o.org, 0), location, place, camera,
       moment, moment + interval '4 s', moment + interval '2 s', 'rtcp', 21, 1,
       dated(ms, n, 'face'), dated(ms, n, 'asset'), compared,
       ARRAY[drawn(n, 11), drawn(n, 12), drawn(n, 13), drawn(n, 14), 0.9]::real[],
       keys || 'frame.jpg', keys || 'face.jpg',
       ARRAY[keys || 'look-0.png', keys || 'look-1.png', keys || 'look-2.png'],
       person, matched_face, similarity, similarity ^ 2,
       CASE WHEN matched_face IS NOT NULL THEN 'matcher' WHEN person IS NOT NULL THEN 'cluster' END,
       CASE WHEN person IS NOT NULL THEN moment END,
       decision, 1200, CASE WHEN matched_face IS NULL THEN 'unknown' ELSE 'known' END, moment
  FROM generate_series($3::bigint, $4 - 1) AS n
 CROSS JOIN LATERAL (
       SELECT CASE WHEN n % 50 = 1 THEN 1 WHEN n % ($1::bigint / 500) = 3 THEN 2 ELSE 0 END AS org,
              $2 + n * {year_ms} / $1 AS ms,
              CASE n % ($1 / 5) WHEN 7 THEN 0 ELSE drawn(n, 1) END AS kind,
              drawn(n, 2) AS which,
              n % ($1 / 5) = 7 AS rare
       OFFSET 0) AS o  -- OFFSET 0: drawn once, not wherever it is used
 CROSS JOIN LATERAL (
       SELECT dated(ms, n, 'event') AS id, to_timestamp(ms / 1000.0) AS moment,
              CASE o.org WHEN 0 THEN 1 ELSE 10 END AS few, kind < 0.998 AS compared,
              CASE WHEN rare THEN 0
                   WHEN kind < 0.15
                   THEN floor(exp(which ^ 1.3 * ln({people} / CASE o.org WHEN 0 THEN 1 ELSE 10 END
                                                   + 1)))::int
                   ELSE -1 END AS shown
       OFFSET 0) AS p
 CROSS JOIN LATERAL (
       SELECT spelled(numbered('org', o.org, 0)) || to_char(moment, '/YYYY-MM/"events/"')
                  || spelled(id) || '/2/' AS keys
       OFFSET 0) AS q
 CROSS JOIN LATERAL (
       SELECT camera, location, place FROM stands s
        WHERE s.org = o.org AND s.n = floor(drawn(o.ms, 4) ^ 1.5 * ({cameras} / few))::int
       OFFSET 0) AS s
 CROSS JOIN LATERAL (
       SELECT CASE WHEN kind BETWEEN 0.15 AND 0.25
                   THEN numbered('person', o.org, 100000 + floor(which * 2000)::int)
                   ELSE d.person END AS person,
              d.matched_face, CASE WHEN d.person IS NOT NULL THEN d.alike END AS similarity,
              CASE WHEN compared THEN d.decision END AS decision
         FROM decided d
        WHERE d.org = o.org AND d.who = shown
          AND d.take = floor(drawn(o.ms, 5) * {takes}
                             * CASE shown WHEN -1 THEN {people} / few ELSE 1 END)::int
       OFFSET 0) AS d
"""


async def fill(dsn: str, events: int, until: datetime) -> None:
    """Put *events* that end at *until* into the migrated, empty database at *dsn*.

    Each month is filled before it is attached, which builds its indexes at once. Only the months
    are analysed: autovacuum never looks at a partitioned table as a whole either.
    """
    if events < 10_000 or events % 10_000:
        raise ValueError(f"the number of events is a multiple of 10,000, not {events}")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_FUNCTIONS)
        await connection.execute((_HOUSE + _DECISIONS).format(**_DRAWN))
    finally:
        await connection.close()
    months: asyncio.Queue[tuple[datetime, int, int]] = asyncio.Queue()
    for month in _months(events, until - YEAR):
        months.put_nowait(month)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(_fill_months(dsn, events, until - YEAR, months))
    await _settle(dsn)


async def number(sql: asyncpg.Connection, kind: str, n: int, org: int = LARGE) -> UUID:
    """The id of the *n*th of its kind."""
    found: UUID = await sql.fetchval("SELECT numbered($1, $2, $3)", kind, org, n)
    return found


async def event_ids(
    sql: asyncpg.Connection, events: int, until: datetime, which: Sequence[int]
) -> list[UUID]:
    """The ids of those of the *which* events that are the large org's; no event is read."""
    rows = await sql.fetch(
        f"SELECT dated($1 + n * {_YEAR_MS} / $2::bigint, n, 'event') AS id"
        "  FROM unnest($3::bigint[]) AS n WHERE n % 50 <> 1 AND n % ($2 / 500) <> 3",
        _milliseconds(until - YEAR),
        events,
        which,
    )
    return [row["id"] for row in rows]


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _months(events: int, since: datetime) -> Iterator[tuple[datetime, int, int]]:
    """The first moment of each month, and the events in it: from which to before which."""
    start = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = 0
    while first < events:
        after = _next(start)
        passed_ms = (after - since) // timedelta(milliseconds=1)
        end = min(-(-passed_ms * events // _YEAR_MS), events)
        yield start, first, end
        start, first = after, end


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)


async def _fill_months(
    dsn: str, events: int, since: datetime, months: "asyncio.Queue[tuple[datetime, int, int]]"
) -> None:
    since_ms = _milliseconds(since)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET maintenance_work_mem = '256MB'; SET enable_memoize = off")
        while not months.empty():
            start, first, end = months.get_nowait()
            part = f"face_event_{start:%Y%m}"
            await connection.execute(
                f"CREATE UNLOGGED TABLE {part}"
                " (LIKE face_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
            draw = _EVENTS.format(part=part, **_DRAWN)
            await connection.execute(draw, events, since_ms, first, end)
            await connection.execute(
                f"ALTER TABLE face_event ATTACH PARTITION {part}"
                f" FOR VALUES FROM ('{first_id(start)}') TO ('{first_id(_next(start))}')"
            )
    finally:
        await connection.close()


async def _settle(dsn: str) -> None:
    """As autovacuum does once nobody writes a month any more."""
    connection = await asyncpg.connect(dsn)
    try:
        months = await connection.fetch(
            "SELECT inhrelid::regclass::text AS month FROM pg_inherits"
            " WHERE inhparent = 'face_event'::regclass"
        )
        for row in months:
            await connection.execute(f"VACUUM (ANALYZE) {row['month']}")
    finally:
        await connection.close()
