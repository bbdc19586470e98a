-- Lists of face events: what they filter by, and what signs the place where a page ended.

-- One visit in six has a name, few have no template: a filter on either must not walk the others.
CREATE INDEX face_event_known ON face_event (org, id DESC) WHERE person IS NOT NULL;
CREATE INDEX face_event_unembedded ON face_event (org, id DESC) WHERE NOT has_template;

-- Both ways alike, so that a range of (person, id) is read in its order.
DROP INDEX face_event_person, face_event_camera, face_event_location;
CREATE INDEX face_event_person ON face_event (person, id) WHERE person IS NOT NULL;
CREATE INDEX face_event_camera ON face_event (camera, id);
CREATE INDEX face_event_location ON face_event (location, id);

-- Signs page keys (docs/decisions/0042). 244 random bits, different in each row.
ALTER TABLE org ADD COLUMN page_secret bytea NOT NULL
    DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

-- The location that a sub-location lies in; a location is its own.
CREATE FUNCTION outermost(innermost uuid) RETURNS uuid
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE path AS (
        SELECT id, parent FROM location WHERE id = innermost
        UNION ALL
        SELECT l.id, l.parent FROM location l JOIN path p ON l.id = p.parent
    )
    SELECT id FROM path WHERE parent IS NULL
$$;
