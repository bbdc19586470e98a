-- name: pictures_want
SELECT want_pictures(:name::text, :digest::text, :dimensions::int) AS id;

-- name: pictures_missing
-- Those from before the model was in force: of the next *limit* assets; the last of these.
WITH looked_at AS (
    SELECT a.id, a.key FROM asset a WHERE a.id > :after ORDER BY a.id LIMIT :limit
), missing AS (
    INSERT INTO unseen_picture (asset, model)
    SELECT l.id, m.id
      FROM looked_at l
      JOIN picture_model m ON m.id = :model AND m.wanted
     WHERE l.key <> ''
       AND NOT EXISTS (SELECT FROM picture_vector v WHERE v.asset = l.id AND v.model = :model)
        ON CONFLICT DO NOTHING
)
SELECT id FROM looked_at ORDER BY id DESC LIMIT 1;

-- name: pictures_take
-- The newest first: what comes in is found before what lies there. Whoever dies at them lets go
-- after a while. No key: it is gone.
UPDATE unseen_picture u
   SET taken_until = now() + make_interval(secs => :seconds)
  FROM (SELECT w.asset FROM unseen_picture w
         WHERE w.model = :model AND w.taken_until < now()
         ORDER BY w.asset DESC
         LIMIT :limit
           FOR UPDATE SKIP LOCKED) AS t
  LEFT JOIN asset a ON a.id = t.asset
 WHERE u.asset = t.asset AND u.model = :model
RETURNING u.asset, a.kind, coalesce(a.key, '') AS key;

-- name: pictures_keep
-- An asset whose pixels are being erased meanwhile is waited for, and gets none; so does a model
-- that went.
INSERT INTO picture_vector (asset, model, at_ms, org, captured_at, wall, embedding)
SELECT a.id, :model, s.at_ms, a.org, a.captured_at, a.captured_at AT TIME ZONE a.time_zone,
       s.embedding::halfvec
  FROM (SELECT a.* FROM asset a WHERE a.id = :asset AND a.key <> '' FOR SHARE) AS a
 CROSS JOIN (SELECT FROM picture_model m WHERE m.id = :model FOR KEY SHARE) AS there
 CROSS JOIN unnest(:at_ms::int[], :embeddings::text[]) AS s (at_ms, embedding)
    ON CONFLICT DO NOTHING;

-- name: pictures_done
DELETE FROM unseen_picture WHERE asset = :asset AND model = :model;

-- name: pictures_waiting
SELECT count(*) AS pictures FROM unseen_picture WHERE model = :model;

-- name: pictures_in_time
-- How many there are in this window, counted no further than *most*.
SELECT count(*) AS pictures
  FROM (SELECT FROM picture_vector v
         WHERE v.model = :model AND v.org = :org
           AND v.captured_at > :after::text::timestamptz
           AND v.captured_at < :before::text::timestamptz
         LIMIT :most) AS counted;

-- name: pictures_of_rarest
-- In how many faces whoever of them has the fewest is seen, counted no further than *most*.
SELECT min(seen.faces) AS pictures
  FROM unnest(:people::uuid[]) AS p (id)
 CROSS JOIN LATERAL (
       SELECT count(*) AS faces
         FROM (SELECT FROM face f WHERE f.person = p.id LIMIT :most) AS counted) AS seen;

-- name: pictures_near_settings
-- For this transaction: on while filters leave too few, as nearest first, and by no other index.
SELECT set_config('hnsw.iterative_scan', 'strict_order', true),
       set_config('hnsw.ef_search', '800', true),
       set_config('hnsw.max_scan_tuples', '40000', true),
       set_config('hnsw.scan_mem_multiplier', '8', true),
       set_config('enable_sort', 'off', true);

-- name: pictures_near
SELECT asset, distance
  FROM pictures_near(:model::smallint, :org::uuid, :probe::text::halfvec, :people::uuid[],
                     :after::text::timestamptz, :before::text::timestamptz,
                     :after_wall::text::timestamp, :before_wall::text::timestamp, :most::int);

-- name: pictures_exactly_settings
-- For this transaction: few vectors are compared before helpers have started.
SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true);

-- name: pictures_exactly
-- Every vector in the window is looked at. The probe is a subquery, so that it is read once.
SELECT near.asset, min(near.distance) AS distance
  FROM (SELECT v.asset, v.embedding <=> (SELECT :probe::text::halfvec) AS distance
          FROM picture_vector v
         WHERE v.model = :model AND v.org = :org
           AND v.captured_at > :after::text::timestamptz
           AND v.captured_at < :before::text::timestamptz
           AND v.wall > :after_wall::text::timestamp AND v.wall < :before_wall::text::timestamp
           AND (:people::uuid[] IS NULL OR cardinality(:people) = (
                SELECT count(DISTINCT f.person) FROM face f
                 WHERE f.asset = v.asset AND f.person = ANY(:people)))
        OFFSET 0) AS near
 WHERE near.distance <= :farthest AND near.asset <> ALL(:but::uuid[])
 GROUP BY near.asset
 ORDER BY distance, near.asset
 LIMIT :limit OFFSET :offset;

-- name: pictures_exactly_of_people
-- As before, led by the pictures in which all of them are.
SELECT near.asset, min(near.distance) AS distance
  FROM (SELECT f.asset AS id FROM face f
         WHERE f.person = ANY(:people::uuid[])
         GROUP BY f.asset
        HAVING count(DISTINCT f.person) = cardinality(:people)) AS w
 CROSS JOIN LATERAL (
       SELECT v.asset, v.embedding <=> (SELECT :probe::text::halfvec) AS distance
         FROM picture_vector v
        WHERE v.asset = w.id AND v.model = :model AND v.org = :org
          AND v.captured_at > :after::text::timestamptz
          AND v.captured_at < :before::text::timestamptz
          AND v.wall > :after_wall::text::timestamp AND v.wall < :before_wall::text::timestamp
       OFFSET 0) AS near
 WHERE near.distance <= :farthest AND near.asset <> ALL(:but::uuid[])
 GROUP BY near.asset
 ORDER BY distance, near.asset
 LIMIT :limit OFFSET :offset;
