-- Emergency rotation: an order raises the generation, and every issuing replica whose key is of an earlier one makes a new key.

CREATE TABLE signing_generation (
  only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  generation  bigint NOT NULL DEFAULT 0,
  -- Keys of an earlier generation than this are revoked.
  revoked_below bigint NOT NULL DEFAULT 0
);
INSERT INTO signing_generation DEFAULT VALUES;

ALTER TABLE signing_key ADD COLUMN generation bigint NOT NULL DEFAULT 0;

-- The share lock orders a new key against an order: either the order sees the key, or the key is of the new generation.
CREATE FUNCTION signing_key_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT g.generation INTO NEW.generation FROM signing_generation g FOR SHARE;
  RETURN NEW;
END $$;
CREATE TRIGGER signing_key_generation BEFORE INSERT ON signing_key
  FOR EACH ROW EXECUTE FUNCTION signing_key_generation();

GRANT SELECT, UPDATE ON signing_generation TO ${appRole};
