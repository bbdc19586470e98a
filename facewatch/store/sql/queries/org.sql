-- name: org_match_threshold
SELECT match_threshold FROM org WHERE id = :org;

-- name: org_match_threshold_set
UPDATE org SET match_threshold = :threshold WHERE id = :org RETURNING id;

-- name: orgs
SELECT id, name, match_threshold, created_at
  FROM org
 WHERE (:after::uuid IS NULL OR id > :after)
 ORDER BY id
 LIMIT :limit;

-- name: org_get
SELECT id, name, match_threshold, created_at FROM org WHERE id = :org;

-- name: org_create
INSERT INTO org (id, name) VALUES (:id, :name)
RETURNING id, name, match_threshold, created_at;

-- name: org_rename
UPDATE org SET name = :name WHERE id = :org RETURNING id;

-- name: orgs_in_force
-- What a worker compares with what it has loaded; NULL is every org.
SELECT o.id, o.match_threshold, g.revision
  FROM org o
  JOIN gallery_revision g ON g.org = o.id
 WHERE :only::uuid IS NULL OR o.id = :only;
