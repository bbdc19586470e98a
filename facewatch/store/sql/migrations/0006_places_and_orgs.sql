-- Locations that can be named, orgs beside the first, and their lists.

-- Beside one another no two locations share a name; a removed one's is free again.
CREATE UNIQUE INDEX location_name ON location (org, coalesce(parent, org), name)
    WHERE removed_at IS NULL;
CREATE INDEX location_parent ON location (parent) WHERE parent IS NOT NULL;
CREATE INDEX camera_org ON camera (org, id) WHERE removed_at IS NULL;

-- An org may take any name: a refusal would tell it who else is here (docs/decisions/0054).
ALTER TABLE org DROP CONSTRAINT org_name_key;
