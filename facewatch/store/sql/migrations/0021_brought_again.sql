-- Bytes whose pixels were erased may be brought again, and are kept anew then (docs/decisions/0088).
ALTER TABLE intake DROP CONSTRAINT intake_org_sha256_key;
CREATE INDEX intake_sha256 ON intake (org, sha256);
