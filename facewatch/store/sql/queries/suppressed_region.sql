-- name: suppressed_regions
SELECT r.id, r.camera, r.box, r.since, r.pictures
  FROM suppressed_region r
  JOIN camera c ON c.id = r.camera AND c.removed_at IS NULL
 ORDER BY r.camera, r.id;

-- name: suppressed_regions_end
-- Those of a camera that are not among these any more.
DELETE FROM suppressed_region WHERE camera = :camera AND id <> ALL(:ids::uuid[]);

-- name: suppressed_regions_begin
-- A camera that was removed meanwhile is passed over.
INSERT INTO suppressed_region (id, camera, box, since, pictures)
SELECT r.id, c.id, r.box::float8[], r.since, r.pictures
  FROM unnest(:ids::uuid[], :boxes::text[], :since::timestamptz[], :pictures::bytea[])
       AS r (id, box, since, pictures)
  JOIN camera c ON c.id = :camera AND c.removed_at IS NULL
    ON CONFLICT (id) DO NOTHING;

-- name: suppressed_regions_remove
-- One, or with NULL all of the camera.
DELETE FROM suppressed_region r
 USING camera c
 WHERE c.id = r.camera AND c.org = :org AND c.removed_at IS NULL
   AND r.camera = :camera AND (:id::uuid IS NULL OR r.id = :id)
RETURNING r.id;
