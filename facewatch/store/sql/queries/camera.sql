-- name: cameras
SELECT c.id, c.org, c.location, sub_locations(c.sub_location) AS place,
       c.name, c.url, c.credentials, c.transport, c.match_threshold,
       c.sub_url, c.sub_credentials
  FROM camera c
 WHERE c.removed_at IS NULL
   AND (:org::uuid IS NULL OR c.org = :org)
   AND (:name::text IS NULL OR c.name = :name)
 ORDER BY c.name, c.id;

-- name: cameras_page
-- Those that hang in one of the locations or sub-locations; NULL is everywhere.
SELECT c.id, c.org, c.location, sub_locations(c.sub_location) AS place,
       c.name, c.url, c.credentials, c.transport, c.match_threshold,
       c.sub_url, c.sub_credentials
  FROM camera c
 WHERE c.removed_at IS NULL AND c.org = :org AND (:after::uuid IS NULL OR c.id > :after)
   AND (:locations::uuid[] IS NULL OR c.location = ANY(:locations)
        OR sub_locations(c.sub_location) && :locations)
 ORDER BY c.id
 LIMIT :limit;

-- name: camera_get
SELECT c.id, c.org, c.location, sub_locations(c.sub_location) AS place,
       c.name, c.url, c.credentials, c.transport, c.match_threshold,
       c.sub_url, c.sub_credentials
  FROM camera c
 WHERE c.removed_at IS NULL AND c.org = :org AND c.id = :id;

-- name: camera_place
-- Locked against being removed while a camera is hung there.
SELECT outermost(l.id) AS location
  FROM location l
 WHERE l.id = :id AND l.org = :org AND l.removed_at IS NULL
   FOR SHARE;

-- name: camera_add
INSERT INTO camera (id, org, location, sub_location, name, url, credentials, transport,
                    match_threshold, sub_url, sub_credentials)
VALUES (:id, :org, :location, :sub_location, :name, :url, :credentials, :transport,
        :match_threshold, :sub_url, :sub_credentials);

-- name: camera_change
UPDATE camera
   SET location = :location, sub_location = :sub_location, name = :name, url = :url,
       credentials = :credentials, transport = :transport, match_threshold = :match_threshold,
       sub_url = :sub_url, sub_credentials = :sub_credentials
 WHERE id = :id AND org = :org AND removed_at IS NULL
RETURNING id;

-- name: camera_remove
UPDATE camera SET removed_at = now()
 WHERE id = :id AND org = :org AND removed_at IS NULL
RETURNING id;

-- name: camera_statuses_report
-- A camera that was deleted meanwhile is passed over.
INSERT INTO camera_status (camera, state, reason, fps, last_frame_at, since)
SELECT s.camera, s.state, s.reason, s.fps, s.last_frame_at, s.since
  FROM unnest(:cameras::uuid[], :states::text[], :reasons::text[], :fps::real[],
              :last_frames::timestamptz[], :since::timestamptz[])
       AS s (camera, state, reason, fps, last_frame_at, since)
  JOIN camera c ON c.id = s.camera
    ON CONFLICT (camera) DO UPDATE
   SET state = EXCLUDED.state, reason = EXCLUDED.reason, fps = EXCLUDED.fps,
       last_frame_at = EXCLUDED.last_frame_at, since = EXCLUDED.since,
       reported_at = now();

-- name: camera_statuses
-- Reports come every two seconds: an older one was left by a process that has ended.
SELECT s.camera, s.state, s.reason, s.fps, s.last_frame_at, s.since,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', r.id, 'box', r.box, 'since', r.since)
                                  ORDER BY r.id)
                   FROM suppressed_region r WHERE r.camera = c.id), '[]')::text AS suppressed
  FROM camera_status s
  JOIN camera c ON c.id = s.camera
 WHERE c.org = :org AND c.removed_at IS NULL
   AND s.reported_at > now() - interval '15 seconds'
 ORDER BY c.name, c.id;
