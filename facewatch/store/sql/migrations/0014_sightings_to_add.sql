-- A sighting that is no matchmaker is remembered as well (docs/decisions/0074): *one* is the event.
ALTER TABLE dismissed
    DROP CONSTRAINT dismissed_kind_check,
    ADD CONSTRAINT dismissed_kind_check CHECK (kind IN ('same_person', 'name', 'matchmaker'));
