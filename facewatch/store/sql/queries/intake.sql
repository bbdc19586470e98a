-- name: intake_known
-- What was brought before with these very bytes, and still has them.
SELECT i.asset
  FROM intake i
  JOIN asset a ON a.id = i.asset AND a.key <> ''
 WHERE i.org = :org AND i.sha256 = :sha256;

-- name: intake_room
SELECT count(*) AS files, coalesce(sum(size_bytes), 0)::bigint AS bytes
  FROM intake
 WHERE org = :org AND state IN ('pending', 'started');

-- name: intake_lock
-- Two that bring the same at once: the second waits, and finds it known.
SELECT pg_advisory_xact_lock(hashtextextended('intake of ' || :org::uuid, 0));

-- name: intake_asset_add
INSERT INTO asset (id, org, kind, camera, captured_at, time_zone, width, height, duration_ms,
                   size_bytes, sha256, mime, file_name, key)
VALUES (:id, :org, :kind, :camera, :captured_at, :time_zone, :width, :height, :duration_ms,
        :size_bytes, :sha256, :mime, :file_name, :key);

-- name: intake_add
INSERT INTO intake (asset, org, sha256, sha1, size_bytes, device, device_asset, file_created_at,
                    file_modified_at, still_key)
VALUES (:id, :org, :sha256, :sha1, :size_bytes, :device, :device_asset, :created_at, :modified_at,
        :still_key);

-- name: intake_take
-- The oldest that waits; what was in hand when its worker died comes behind what was not.
WITH due AS (
    SELECT asset FROM intake
     WHERE state IN ('pending', 'started') AND (taken_until IS NULL OR taken_until < now())
     ORDER BY tries > 0, place
     LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE intake i
   SET tries = i.tries + 1, taken_by = :worker, taken_until = now() + :lease::interval,
       state = 'started', percent = 0
  FROM due
 WHERE i.asset = due.asset
RETURNING i.asset, i.org, i.tries;

-- name: intake_goes_on
-- Nothing where it was deleted or erased, or somebody else has it.
UPDATE intake i SET percent = :percent, taken_until = now() + :lease::interval
  FROM asset a
 WHERE i.asset = :asset AND i.taken_by = :worker AND i.state = 'started'
   AND a.id = i.asset AND a.key <> ''
RETURNING i.asset;

-- name: intake_settle
UPDATE intake
   SET state = :state, percent = CASE WHEN :state = 'success' THEN 100 ELSE percent END,
       said = :said, taken_by = NULL, taken_until = NULL
 WHERE asset = :asset AND taken_by = :worker;

-- name: intake_let_go
-- What the worker has waits again; with :tried it counts as a try, since it may have been at fault.
UPDATE intake
   SET taken_by = NULL, taken_until = NULL, state = 'pending', percent = 0,
       tries = CASE WHEN :tried::boolean THEN tries ELSE tries - 1 END
 WHERE taken_by = :worker;
