-- name: default_org
SELECT id FROM org ORDER BY id LIMIT 1;

-- name: default_location
SELECT l.id
  FROM location l
 WHERE l.org = (SELECT id FROM org ORDER BY id LIMIT 1) AND l.parent IS NULL
   AND l.removed_at IS NULL
 ORDER BY l.id
 LIMIT 1;

-- name: schema_version
SELECT max(number) AS number FROM migration;

-- name: ring
-- NOTIFY is only a bell: what happened is in the tables.
SELECT pg_notify(:channel, :payload);

-- name: register_model
SELECT register_model(:name, :dimensions) AS model;

-- name: log_changes
-- The counter's row stays locked until commit: take it last.
WITH counter AS (
    UPDATE change_counter SET last = last + cardinality(:subjects::uuid[])
     WHERE org = :org
    RETURNING last - cardinality(:subjects::uuid[]) AS before
)
INSERT INTO change_log (org, cursor, kind, subject)
SELECT :org, counter.before + s.place, :kind, s.subject
  FROM counter, unnest(:subjects::uuid[]) WITH ORDINALITY AS s (subject, place);

-- name: garbage_add
INSERT INTO garbage (key, org)
SELECT g.key, g.org FROM unnest(:keys::text[], :orgs::uuid[]) AS g (key, org) WHERE g.key <> ''
    ON CONFLICT DO NOTHING;

-- name: garbage_keep
-- These are in use again.
DELETE FROM garbage WHERE key = ANY(:keys::text[]);

-- name: garbage_due
SELECT key FROM garbage WHERE since < now() - :age::interval ORDER BY since LIMIT :limit;

-- name: garbage_done
DELETE FROM garbage WHERE key = ANY(:keys::text[]);
