-- Photos that were sent to become matchmakers, and what became of them (docs/decisions/0048).
CREATE TABLE face_upload (
    face          uuid PRIMARY KEY,  -- the matchmaker gets this id: no photo is enrolled twice
    place         bigint GENERATED ALWAYS AS IDENTITY,  -- in the order in which they came
    org           uuid NOT NULL REFERENCES org,
    transaction   text NOT NULL,
    file_name     text NOT NULL,
    person_name   text NOT NULL,
    person        uuid,              -- once it is known; may be merged or gone
    create_person boolean NOT NULL,
    key           text NOT NULL,     -- '' once its pixels were erased
    mime          text NOT NULL,
    size_bytes    int NOT NULL,
    pixels        int NOT NULL,
    created_at    timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'waiting'
                  CHECK (state IN ('waiting', 'enrolled', 'refused')),
    why           text NOT NULL DEFAULT '',
    warning       text NOT NULL DEFAULT '',
    tries         int NOT NULL DEFAULT 0,
    taken_by      text,
    taken_until   timestamptz,       -- a worker that died lets go by this
    settled_at    timestamptz
);
CREATE INDEX face_upload_transaction ON face_upload (org, transaction, place);
CREATE INDEX face_upload_waiting ON face_upload (place) WHERE state = 'waiting';
CREATE INDEX face_upload_waiting_org ON face_upload (org) INCLUDE (size_bytes)
    WHERE state = 'waiting';
CREATE INDEX face_upload_name ON face_upload (org, person_name);
CREATE INDEX face_upload_person ON face_upload (person) WHERE person IS NOT NULL;
CREATE INDEX face_upload_settled ON face_upload (settled_at) WHERE settled_at IS NOT NULL;
