-- Pictures and clips that somebody brings (docs/decisions/0088), and lists of assets.

-- Both ways alike, so that a range of (org, captured_at, id) is read in its order.
DROP INDEX asset_org;
CREATE INDEX asset_org ON asset (org, captured_at, id);

-- What is told of a file that was brought, and how far it has been looked at.
CREATE TABLE intake (
    asset            uuid PRIMARY KEY REFERENCES asset ON DELETE CASCADE,
    place            bigint GENERATED ALWAYS AS IDENTITY,  -- in the order in which they came
    org              uuid NOT NULL,
    sha256           bytea NOT NULL,
    sha1             bytea NOT NULL,
    size_bytes       bigint NOT NULL,
    device           text NOT NULL,
    device_asset     text NOT NULL,
    file_created_at  timestamptz NOT NULL,
    file_modified_at timestamptz NOT NULL,
    still_key        text NOT NULL,  -- of a clip: its first picture
    state            text NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'started', 'success', 'failure')),
    percent          real NOT NULL DEFAULT 0,
    said             text NOT NULL DEFAULT '',  -- why it failed, or what could not be read
    tries            int NOT NULL DEFAULT 0,
    taken_by         text,
    taken_until      timestamptz,    -- a worker that died lets go by this
    UNIQUE (org, sha256)
);
CREATE INDEX intake_waiting ON intake (place) WHERE state IN ('pending', 'started');
CREATE INDEX intake_waiting_org ON intake (org) INCLUDE (size_bytes)
    WHERE state IN ('pending', 'started');

-- A name without case and accents: what people sort by, on a Postgres without ICU as well.
CREATE FUNCTION plain_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT regexp_replace(normalize(lower(name), NFKD), '[\u0300-\u036f]', '', 'g')
$$;

-- Somebody deleted these; a late version of a visit must not bring its snapshot back.
CREATE TABLE removed_asset (
    id         uuid PRIMARY KEY,
    org        uuid NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);
