-- Persons as the house's own family lists and compares them (docs/decisions/0056, 0058).

-- By name, whatever its case, in the order of bytes: prefixes are ranges.
CREATE INDEX person_called ON person (org, lower(name) text_pattern_ops, id)
    WHERE name IS NOT NULL AND merged_into IS NULL;
CREATE INDEX person_named ON person (org, id DESC)
    WHERE name IS NOT NULL AND merged_into IS NULL;
CREATE INDEX person_unnamed ON person (org, id DESC)
    WHERE name IS NULL AND merged_into IS NULL AND erased_at IS NULL;

-- Visits of nobody that nearly were somebody's: few, so that a look for them walks no others.
CREATE INDEX face_event_nearly ON face_event (org, id DESC)
    WHERE person IS NULL AND assigned_by IS NULL AND erased_at IS NULL
      AND (decision ->> 'confidence')::float8 >= 0.4;

-- What an operator does not want to be asked again. *one* is the smaller id of two persons, or the
-- event; *other* is a person. Ids that are merged later are followed when read.
CREATE TABLE dismissed (
    org   uuid NOT NULL REFERENCES org,
    kind  text NOT NULL CHECK (kind IN ('same_person', 'name')),
    one   uuid NOT NULL,
    other uuid NOT NULL REFERENCES person,
    at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, kind, one, other)
);
CREATE INDEX dismissed_other ON dismissed (other);
