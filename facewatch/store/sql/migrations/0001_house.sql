-- The house: what there is. Ids are UUIDv7 and tell their time; times are UTC.
-- Face events carry no foreign keys: an event outlives its camera, and one that arrives late must
-- never hold up the queue behind it.

CREATE EXTENSION IF NOT EXISTS vector;

-- Whose things these are ------------------------------------------------------------------------

CREATE TABLE org (
    id              uuid PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    match_threshold real,  -- confidence, 0..1; NULL is the built-in default
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE location (
    id         uuid PRIMARY KEY,
    org        uuid NOT NULL REFERENCES org,
    parent     uuid REFERENCES location,  -- a sub-location's next outer one
    name       text NOT NULL,
    time_zone  text NOT NULL DEFAULT 'UTC',  -- IANA
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE INDEX location_org ON location (org);

-- The sub-locations from the outermost to this one; the location itself is not among them.
CREATE FUNCTION sub_locations(innermost uuid) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE path AS (
        SELECT id, parent, 1 AS depth FROM location WHERE id = innermost
        UNION ALL
        SELECT l.id, l.parent, p.depth + 1 FROM location l JOIN path p ON l.id = p.parent
    )
    SELECT coalesce(array_agg(id ORDER BY depth DESC) FILTER (WHERE parent IS NOT NULL), '{}')
      FROM path
$$;

CREATE TABLE camera (
    id              uuid PRIMARY KEY,
    org             uuid NOT NULL REFERENCES org,
    location        uuid NOT NULL REFERENCES location,
    sub_location    uuid REFERENCES location,
    name            text NOT NULL,
    url             text NOT NULL,   -- without user and password
    credentials     bytea,           -- encrypted: see store/secrets.py
    transport       text NOT NULL CHECK (transport IN ('tcp', 'udp')),
    match_threshold real,            -- NULL is the org's
    created_at      timestamptz NOT NULL DEFAULT now(),
    removed_at      timestamptz
);
CREATE UNIQUE INDEX camera_name ON camera (org, name) WHERE removed_at IS NULL;

CREATE TABLE camera_status (
    camera        uuid PRIMARY KEY REFERENCES camera ON DELETE CASCADE,
    state         text NOT NULL,
    reason        text NOT NULL,
    fps           real NOT NULL,
    last_frame_at timestamptz,
    since         timestamptz NOT NULL,
    reported_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    id         uuid PRIMARY KEY,
    org        uuid NOT NULL REFERENCES org,
    name       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    hash       bytea NOT NULL UNIQUE,  -- sha256 of a random secret of 32 bytes
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_key_org ON api_key (org, id);

-- People ----------------------------------------------------------------------------------------

CREATE TABLE person (
    id             uuid PRIMARY KEY,
    org            uuid NOT NULL REFERENCES org,
    name           text CHECK (name = btrim(name) AND name <> ''),  -- NULL: an unknown who came back
    email          text,
    birth_date     date,
    hidden         boolean NOT NULL DEFAULT false,
    favourite      boolean NOT NULL DEFAULT false,
    thumbnail_face uuid,
    merged_into    uuid REFERENCES person,  -- always the last of the chain
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    erased_at      timestamptz,  -- the row stays as a tombstone: old decisions name its id
    CHECK (erased_at IS NULL OR (name IS NULL AND email IS NULL AND birth_date IS NULL))
);
CREATE INDEX person_org ON person (org, id DESC) WHERE erased_at IS NULL AND merged_into IS NULL;
CREATE INDEX person_name ON person (org, name text_pattern_ops, id) WHERE name IS NOT NULL;
CREATE INDEX person_merged_into ON person (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE person_label (
    person uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    org    uuid NOT NULL,
    label  text NOT NULL,
    PRIMARY KEY (person, label)
);
CREATE INDEX person_label_org ON person_label (org, label, person);

-- What can be looked at -------------------------------------------------------------------------

CREATE TABLE asset (
    id            uuid PRIMARY KEY,
    org           uuid NOT NULL REFERENCES org,
    kind          text NOT NULL CHECK (kind IN ('snapshot', 'clip', 'photo')),
    camera        uuid REFERENCES camera,
    captured_at   timestamptz NOT NULL,
    time_zone     text NOT NULL,  -- the location's, so that the wall clock of the day stays known
    width         int NOT NULL,
    height        int NOT NULL,
    duration_ms   int,            -- of a clip
    size_bytes    bigint NOT NULL,
    sha256        bytea NOT NULL,
    mime          text NOT NULL,
    file_name     text NOT NULL,
    key           text NOT NULL,  -- of the object; '' once its pixels were erased
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX asset_org ON asset (org, captured_at DESC, id DESC);
CREATE INDEX asset_camera ON asset (camera, captured_at DESC, id DESC);
CREATE INDEX asset_sha256 ON asset (org, sha256);

CREATE TABLE face (
    id            uuid PRIMARY KEY,
    org           uuid NOT NULL,
    asset         uuid NOT NULL REFERENCES asset ON DELETE CASCADE,
    -- pixels of the asset; right and bottom are exclusive
    box_left      int NOT NULL,
    box_top       int NOT NULL,
    box_right     int NOT NULL,
    box_bottom    int NOT NULL,
    landmarks     real[] NOT NULL,  -- x, y of five points
    quality       real[] NOT NULL,  -- size, sharpness, pose, exposure, score
    event         uuid,             -- the visit that it belongs to; its row may come later
    person        uuid REFERENCES person,
    assigned_by   text CHECK (assigned_by IN ('matcher', 'cluster', 'operator', 'enrolment')),
    assigned_at   timestamptz,
    timestamp_ms  int,              -- where in a clip
    thumbnail_key text,
    crop_key      text,             -- aligned, 112 x 112: a new model embeds it again
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX face_asset ON face (asset);
CREATE INDEX face_of_event ON face (event) WHERE event IS NOT NULL;
CREATE INDEX face_person ON face (person, id DESC) WHERE person IS NOT NULL;
CREATE INDEX face_org ON face (org, created_at DESC, id DESC);

-- Templates -------------------------------------------------------------------------------------

-- Templates of different models have different dimensions and never meet: one partition a model,
-- each with an index of its own type (docs/decisions/0031).
CREATE TABLE model (
    id         smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    dimensions int NOT NULL
);

CREATE TABLE template (
    face      uuid NOT NULL REFERENCES face ON DELETE CASCADE,
    model     smallint NOT NULL REFERENCES model,
    org       uuid NOT NULL,
    embedding vector NOT NULL,  -- as it was computed; the index holds halves
    PRIMARY KEY (face, model)
) PARTITION BY LIST (model);

-- The model's id; its partition and index are made when it is first seen.
CREATE FUNCTION register_model(model_name text, model_dimensions int) RETURNS smallint
LANGUAGE plpgsql AS $$
DECLARE
    known model%ROWTYPE;
    part  text;
BEGIN
    SELECT * INTO known FROM model WHERE name = model_name;
    IF NOT FOUND THEN
        PERFORM pg_advisory_xact_lock(hashtext('facewatch.model'));
        SELECT * INTO known FROM model WHERE name = model_name;
    END IF;
    IF NOT FOUND THEN
        INSERT INTO model (name, dimensions) VALUES (model_name, model_dimensions)
        RETURNING * INTO known;
        part := 'template_' || known.id;
        EXECUTE format('CREATE TABLE %I (LIKE template, CHECK (vector_dims(embedding) = %s))',
                       part, known.dimensions);
        EXECUTE format('CREATE INDEX %I ON %I USING hnsw '
                       '((embedding::halfvec(%s)) halfvec_cosine_ops)',
                       part || '_near', part, known.dimensions);
        EXECUTE format('ALTER TABLE template ATTACH PARTITION %I FOR VALUES IN (%s)',
                       part, known.id);
    END IF;
    IF known.dimensions <> model_dimensions THEN
        RAISE EXCEPTION 'model % has % dimensions, not %',
            model_name, known.dimensions, model_dimensions;
    END IF;
    RETURN known.id;
END $$;

-- The gallery -----------------------------------------------------------------------------------

-- A removed matchmaker stays as a tombstone without picture or template: decisions name its id,
-- and a worker that missed its removal finds it here. Hence no foreign key to the face.
CREATE TABLE matchmaker (
    face             uuid PRIMARY KEY,
    org              uuid NOT NULL REFERENCES org,
    person           uuid NOT NULL REFERENCES person,
    origin_face      uuid,  -- the sighting that it was copied from; may be gone
    uploaded         boolean NOT NULL,
    revision_added   bigint NOT NULL,
    revision_removed bigint,
    created_at       timestamptz NOT NULL DEFAULT now(),
    removed_at       timestamptz
);
CREATE INDEX matchmaker_person ON matchmaker (person) WHERE revision_removed IS NULL;
CREATE INDEX matchmaker_live ON matchmaker (org, face) WHERE revision_removed IS NULL;
CREATE INDEX matchmaker_added ON matchmaker (org, revision_added);
CREATE INDEX matchmaker_removed ON matchmaker (org, revision_removed)
    WHERE revision_removed IS NOT NULL;

-- Its row's lock puts the changes of an org's gallery in one order.
CREATE TABLE gallery_revision (
    org      uuid PRIMARY KEY REFERENCES org,
    revision bigint NOT NULL
);

-- Visits ----------------------------------------------------------------------------------------

CREATE TABLE face_event (
    id               uuid PRIMARY KEY,  -- dated at the visit's start: tells month and order
    version          int NOT NULL,
    closed           boolean NOT NULL,
    org              uuid NOT NULL,
    location         uuid NOT NULL,
    place            uuid[] NOT NULL,   -- sub-locations from the outermost to the camera's own
    camera           uuid NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    best_at          timestamptz NOT NULL,
    time_source      text NOT NULL,
    looks            int NOT NULL,
    tracks           int NOT NULL,
    face             uuid NOT NULL,     -- the best shot
    asset            uuid NOT NULL,     -- the snapshot that it is in
    has_template     boolean NOT NULL,
    quality          real[] NOT NULL,   -- of the best shot, as in face
    erased_at        timestamptz,       -- its person was forgotten: pixels and template are gone,
    frame_key        text NOT NULL,     -- and the keys are ''
    thumbnail_key    text NOT NULL,
    look_keys        text[] NOT NULL,
    person           uuid,
    matched_face     uuid,              -- the matchmaker that decided
    similarity       real,
    confidence       real,
    assigned_by      text CHECK (assigned_by IN ('matcher', 'cluster', 'operator')),
    assigned_at      timestamptz,
    decision         jsonb,             -- ids and scores, never names
    gallery_revision bigint NOT NULL,   -- that the decision was made at; 0 without one
    retention        text NOT NULL CHECK (retention IN ('known', 'unknown', 'alerted', 'legal_hold')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
CREATE INDEX face_event_org ON face_event (org, id DESC);
CREATE INDEX face_event_location ON face_event (location, id DESC);
CREATE INDEX face_event_camera ON face_event (camera, id DESC);
CREATE INDEX face_event_person ON face_event (person, id DESC) WHERE person IS NOT NULL;
CREATE INDEX face_event_asset ON face_event (asset);

-- Somebody deleted these; a late version must not bring them back.
CREATE TABLE removed_event (
    id         uuid PRIMARY KEY,
    org        uuid NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);

-- The smallest UUIDv7 of a moment.
CREATE FUNCTION first_id(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;

-- Make the partition that holds events of this month; nothing happens if it is there. Attaching
-- takes a weaker lock than CREATE ... PARTITION OF: readers and writers go on.
CREATE FUNCTION make_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    start date := date_trunc('month', moment AT TIME ZONE 'UTC');
    part  text := 'face_event_' || to_char(start, 'YYYYMM');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('facewatch.month'));
    -- not to_regclass: it would answer from a cache that was filled before the wait
    IF EXISTS (SELECT FROM pg_class
                WHERE relname = part AND relnamespace = current_schema()::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE face_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
    EXECUTE format('ALTER TABLE face_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   part,
                   first_id(start::timestamp AT TIME ZONE 'UTC'),
                   first_id((start + interval '1 month') AT TIME ZONE 'UTC'));
END $$;

-- What happened, in order, for alerts and live views. The counter's row is locked until its
-- writer commits, so cursors appear in order and without gaps.
CREATE TABLE change_counter (
    org  uuid PRIMARY KEY REFERENCES org,
    last bigint NOT NULL
);

CREATE TABLE change_log (
    org     uuid NOT NULL,
    cursor  bigint NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('event', 'event_removed', 'person', 'person_erased')),
    subject uuid NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, cursor)
);

-- Objects that no row refers to any more.
CREATE TABLE garbage (
    key   text PRIMARY KEY,
    org   uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX garbage_since ON garbage (since);

-- An org is usable at once --------------------------------------------------------------------

CREATE FUNCTION org_counters() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gallery_revision (org, revision) VALUES (NEW.id, 0);
    INSERT INTO change_counter (org, last) VALUES (NEW.id, 0);
    RETURN NEW;
END $$;
CREATE TRIGGER org_counters AFTER INSERT ON org FOR EACH ROW EXECUTE FUNCTION org_counters();

INSERT INTO org (id, name) VALUES ('01900000-0000-7000-8000-000000000001', 'default');
INSERT INTO location (id, org, name)
VALUES ('01900000-0000-7000-8000-000000000002', '01900000-0000-7000-8000-000000000001', 'default');
