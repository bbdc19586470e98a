-- What stands still and fires as a face, kept over restarts (docs/decisions/0066).
CREATE TABLE suppressed_region (
    id       uuid PRIMARY KEY,
    camera   uuid NOT NULL REFERENCES camera ON DELETE CASCADE,
    box      double precision[] NOT NULL CHECK (cardinality(box) = 4),
    since    timestamptz NOT NULL,
    -- up to four pictures of 14 x 14, as float32
    pictures bytea NOT NULL
);
CREATE INDEX suppressed_region_camera ON suppressed_region (camera);
ALTER TABLE camera_status DROP COLUMN suppressed;
