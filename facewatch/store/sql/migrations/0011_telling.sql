-- A look whose template tells little counts for less (docs/decisions/0013): as
-- domain.faces.Quality.overall. Qualities from before have five parts; nobody had asked.
CREATE OR REPLACE FUNCTION overall_quality(parts real[]) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT power(greatest(parts[1]::double precision * parts[2] * parts[3] * parts[4] * parts[5], 0), 0.2)
           * least(1, 2 * least(parts[1], parts[2], parts[3], parts[4]))
           * least(1, 2 * coalesce(parts[6], 1))
$$;
