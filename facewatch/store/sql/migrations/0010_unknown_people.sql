-- Unknown visitors who come back, and what a face is not (docs/decisions/0067, 0068).

-- Visits that closed as nobody's and were not yet compared with those before; written with the
-- visit, so that none is missed.
CREATE TABLE unclustered (
    event uuid PRIMARY KEY,
    org   uuid NOT NULL
);
INSERT INTO unclustered (event, org)
SELECT id, org FROM face_event
 WHERE closed AND person IS NULL AND assigned_by IS NULL AND has_template;

-- What an operator said is no face: nothing at this camera is named, or kept as somebody who came
-- back, that is as like to it.
CREATE TABLE not_a_face (
    event     uuid NOT NULL,
    model     smallint NOT NULL REFERENCES model,
    org       uuid NOT NULL,
    camera    uuid NOT NULL,
    embedding vector NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event, model)
);
CREATE INDEX not_a_face_org ON not_a_face (org, at DESC);

-- A visit of somebody without a name may nearly have been somebody's who has one.
DROP INDEX face_event_nearly;
CREATE INDEX face_event_nearly ON face_event (org, id DESC)
    WHERE (assigned_by IS NULL OR assigned_by = 'cluster') AND erased_at IS NULL
      AND (decision ->> 'confidence')::float8 >= 0.4;
