-- name: api_key_create
INSERT INTO api_key (id, org, name, role, hash, expires_at)
VALUES (:id, :org, :name, :role, :hash, :expires_at)
RETURNING id, org, name, role, created_at, expires_at, revoked_at;

-- name: api_key_by_hash
SELECT id, org, name, role, created_at, expires_at, revoked_at
  FROM api_key
 WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());

-- name: api_keys
SELECT id, org, name, role, created_at, expires_at, revoked_at
  FROM api_key
 WHERE org = :org
 ORDER BY id;

-- name: api_keys_page
SELECT id, org, name, role, created_at, expires_at, revoked_at
  FROM api_key
 WHERE org = :org AND (:after::uuid IS NULL OR id > :after)
 ORDER BY id
 LIMIT :limit;

-- name: api_key_get
SELECT id, org, name, role, created_at, expires_at, revoked_at
  FROM api_key
 WHERE org = :org AND id = :id;

-- name: api_key_revoke
UPDATE api_key SET revoked_at = coalesce(revoked_at, now())
 WHERE id = :id AND org = :org
RETURNING id;

-- name: page_secret
SELECT page_secret FROM org WHERE id = :org;

-- name: api_key_signer
SELECT k.id, k.org, k.name, k.role, k.created_at, k.expires_at, k.revoked_at, o.page_secret
  FROM api_key k
  JOIN org o ON o.id = k.org
 WHERE k.id = :id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
