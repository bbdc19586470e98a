-- name: locations
-- A sub-location has the time zone of the location that it lies in.
SELECT l.id, l.org, l.parent, o.id AS outermost, l.name, o.time_zone
  FROM location l
  JOIN location o ON o.id = outermost(l.id)
 WHERE l.org = :org AND l.removed_at IS NULL AND (:after::uuid IS NULL OR l.id > :after)
 ORDER BY l.id
 LIMIT :limit;

-- name: location_get
SELECT l.id, l.org, l.parent, o.id AS outermost, l.name, o.time_zone
  FROM location l
  JOIN location o ON o.id = outermost(l.id)
 WHERE l.org = :org AND l.id = :id AND l.removed_at IS NULL;

-- name: location_first
SELECT id FROM location
 WHERE org = :org AND parent IS NULL AND removed_at IS NULL
 ORDER BY id
 LIMIT 1;

-- name: location_tree_lock
-- One change of an org's tree after the other: two moves at once could close a circle.
SELECT pg_advisory_xact_lock(hashtextextended('facewatch.location' || :org::uuid::text, 0));

-- name: location_path
-- From a sub-location outwards; the location itself is not among them.
SELECT unnest(sub_locations(:id)) AS id;

-- name: location_height
-- Levels of sub-locations within it.
WITH RECURSIVE below AS (
    SELECT id, 0 AS depth FROM location WHERE id = :id
    UNION ALL
    SELECT l.id, b.depth + 1
      FROM location l
      JOIN below b ON l.parent = b.id
     WHERE l.removed_at IS NULL
)
SELECT max(depth) AS height FROM below;

-- name: location_add
INSERT INTO location (id, org, parent, name, time_zone)
VALUES (:id, :org, :parent, :name, :time_zone);

-- name: location_change
UPDATE location SET parent = :parent, name = :name, time_zone = :time_zone WHERE id = :id;

-- name: location_remove
UPDATE location SET removed_at = now()
 WHERE id = :id AND org = :org AND removed_at IS NULL
RETURNING parent;

-- name: location_use
-- What holds a location that is being removed.
SELECT (SELECT count(*) FROM camera c
         WHERE c.org = :org AND c.removed_at IS NULL
           AND (c.location = :id OR c.sub_location = :id)) AS cameras,
       (SELECT count(*) FROM location l
         WHERE l.parent = :id AND l.removed_at IS NULL) AS sub_locations,
       (SELECT count(*) FROM location l
         WHERE l.org = :org AND l.parent IS NULL AND l.removed_at IS NULL AND l.id <> :id)
           AS others;
