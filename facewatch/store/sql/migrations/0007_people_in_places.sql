-- Lists at ten million events: docs/decisions/0057.

-- Where somebody was: a common person at a quiet camera is one in thousands of either's events.
CREATE INDEX face_event_camera_person ON face_event (camera, person, id) WHERE person IS NOT NULL;
CREATE INDEX face_event_location_person ON face_event (location, person, id)
    WHERE person IS NOT NULL;

-- Both ways alike, so that a range of (org, id) is read in its order.
DROP INDEX face_event_org, face_event_known, face_event_unembedded;
CREATE INDEX face_event_org ON face_event (org, id);
CREATE INDEX face_event_known ON face_event (org, id) WHERE person IS NOT NULL;
CREATE INDEX face_event_unembedded ON face_event (org, id) WHERE NOT has_template;
